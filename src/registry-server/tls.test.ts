import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { temporaryFolder } from '#testing';
import { serveRegistry } from './index.ts';

function certificate(t: TestContext, folder: string, name: string): boolean {
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem'), '-subj', `/CN=${name}`],
  ]);
  if (made.error || made.status !== 0) t.skip('needs openssl');
  return made.status === 0;
}

/** The name in the certificate that a new connection is shown. */
function shownName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('a certificate that is replaced is shown to new connections; a bad one is not', async (t) => {
  await using folder = await temporaryFolder();
  if (!certificate(t, folder.path, 'first')) return;
  const tls = { cert: join(folder.path, 'cert.pem'), key: join(folder.path, 'key.pem') };
  await assert.rejects(
    serveRegistry({ root: folder.path, addr: '127.0.0.1:0', config: { tls: { ...tls, key: tls.cert } } }),
    {
      kind: 'invalid-argument',
    },
  );
  await using server = await serveRegistry({ root: join(folder.path, 'data'), addr: '127.0.0.1:0', config: { tls } });
  assert.equal(await shownName(server.port), 'first');
  certificate(t, folder.path, 'second');
  for (let tries = 0; tries < 200 && (await shownName(server.port)) !== 'second'; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(await shownName(server.port), 'second');
});
