import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseReference } from '#reference';
import { temporaryFolder } from '#testing';
import { secureContextFor } from './certificates.ts';
import { createRegistryClient } from './index.ts';
import { Transport } from './transport.ts';

/** A self-signed certificate for 127.0.0.1. */
async function certificate(t: TestContext, folder: string) {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-keyout', key, '-out', cert, '-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1'],
  ]);
  if (made.error || made.status !== 0) {
    t.skip('needs openssl');
    return undefined;
  }
  return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
}

async function writeHosts(folder: string, text: string): Promise<void> {
  await mkdir(join(folder, 'hosts.d/registry.example'), { recursive: true });
  await writeFile(join(folder, 'hosts.d/registry.example/hosts.toml'), text);
}

test('TLS: verified, with certs.d, with a client certificate; unverified for insecure hosts', async (t) => {
  await using folder = await temporaryFolder();
  const pair = await certificate(t, folder.path);
  if (!pair) return;
  const peers: boolean[] = [];
  const server = createServer({ ...pair, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    peers.push('CN' in ((request.socket as import('node:tls').TLSSocket).getPeerCertificate().subject ?? {}));
    response.writeHead(200, { 'docker-content-digest': 'x' }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const url = new URL(`https://127.0.0.1:${port}/v2/`);
    await using strict = new Transport({ userAgent: 'test' });
    await assert.rejects(strict.send({ method: 'GET', url }, { verify: true }), {
      message: `Get "${url}": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
      retryable: false,
    });
    const certsDir = join(folder.path, 'certs.d');
    const own = join(certsDir, `127.0.0.1:${port}`);
    await mkdir(own, { recursive: true });
    await writeFile(join(own, 'ca.crt'), pair.cert);
    await writeFile(join(own, 'client.cert'), pair.cert);
    await assert.rejects(secureContextFor(`127.0.0.1:${port}`, { certsDir, verify: true }), {
      kind: 'invalid-argument',
      message: 'missing key client.key for client certificate client.cert. CA certificates must use the extension .crt',
    });
    await writeFile(join(own, 'client.key'), pair.key);
    await using trusting = new Transport({ certsDir, userAgent: 'test' });
    const answer = await trusting.send({ method: 'GET', url }, { verify: true });
    assert.equal(answer.status, 200);
    await answer.discard();
    assert.deepEqual(peers, [true]);
    await writeHosts(
      folder.path,
      `server = "https://127.0.0.1:${port}"\nca = "../../cert.pem"\nclient = [["../../cert.pem", "../../key.pem"]]`,
    );
    await using named = createRegistryClient({ certsDir: join(folder.path, 'hosts.d') });
    const blob = `sha256:${'a'.repeat(64)}` as never;
    peers.length = 0;
    assert.equal(await named.hasBlob(parseReference('registry.example/x'), blob), true);
    assert.deepEqual(new Set(peers), new Set([true]), 'hosts.toml brings authority and client certificate');
    await writeHosts(folder.path, `server = "https://127.0.0.1:${port}"\nskip_verify = true`);
    peers.length = 0;
    assert.equal(await named.hasBlob(parseReference('registry.example/x'), blob), true);
    assert.deepEqual(new Set(peers), new Set([false]));
    await using client = createRegistryClient();
    assert.equal(
      await client.hasBlob(parseReference(`127.0.0.1:${port}/x`), `sha256:${'a'.repeat(64)}` as never),
      true,
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
