import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '#client';
import { requireRoot, temporaryFolder } from '#testing';
import { TestDaemon } from '../support/daemon.ts';

/** A certificate authority with a certificate for the server and one for a client. */
function makeCertificates(folder: string, authority: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    `${authority}-key.pem`,
    '-out',
    `${authority}.pem`,
    '-days',
    '2',
    '-subj',
    '/CN=ca',
  );
  for (const name of ['server', 'client']) {
    const file = `${authority}-${name}`;
    openssl('req', ...key, '-keyout', `${file}-key.pem`, '-out', `${file}.csr`, '-subj', `/CN=${name}`);
    writeFileSync(join(folder, 'ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
    openssl(
      'x509',
      '-req',
      '-in',
      `${file}.csr`,
      '-CA',
      `${authority}.pem`,
      '-CAkey',
      `${authority}-key.pem`,
      '-CAcreateserial',
      '-out',
      `${file}.pem`,
      '-days',
      '2',
      '-extfile',
      'ext',
    );
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

test('with --tlsverify only clients of the authority are served', async (t) => {
  if (!requireRoot(t)) return;
  await using folder = await temporaryFolder('wherry-tls-');
  makeCertificates(folder.path, 'ours');
  makeCertificates(folder.path, 'theirs');
  const file = (name: string) => join(folder.path, name);
  const pem = (name: string) => readFileSync(file(name));
  const host = `tcp://127.0.0.1:${await freePort()}`;
  const tls = [
    '--tlsverify',
    '--tlscacert',
    file('ours.pem'),
    '--tlscert',
    file('ours-server.pem'),
    '--tlskey',
    file('ours-server-key.pem'),
  ];
  await using _daemon = await TestDaemon.start({ flags: ['-H', host, ...tls] });

  const version = async (options: Parameters<typeof connect>[1]) => {
    await using engine = connect(host, options);
    return (await engine.system.version()).ApiVersion;
  };
  const trusted = { ca: pem('ours.pem'), verify: true };
  const client = (authority: string) => ({
    cert: pem(`${authority}-client.pem`),
    key: pem(`${authority}-client-key.pem`),
  });
  assert.equal(await version({ tls: { ...trusted, ...client('ours') } }), '1.51');
  await assert.rejects(version({ tls: { ...trusted, ...client('theirs') } }));
  await assert.rejects(version({ tls: trusted }));
  await assert.rejects(version({ tls: { verify: true, ca: pem('theirs.pem'), ...client('ours') } }));
  await assert.rejects(version({}));
});
