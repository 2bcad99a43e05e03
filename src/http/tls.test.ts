import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { type Endpoint, type ExchangeHandler, HttpClient, listen } from './index.ts';

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A CA and two certificates it signed, as `dockerd --tlsverify` wants them. */
function makeCertificates(folder: string): (name: string) => Buffer {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-days', '1', '-subj', '/CN=ca', '-keyout', 'ca.key', '-out', 'ca.pem');
  writeFileSync(join(folder, 'ext'), 'subjectAltName=IP:127.0.0.1\n');
  for (const name of ['server', 'client']) {
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const sign = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '1', '-extfile', 'ext'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...sign, '-out', `${name}.pem`);
  }
  return (name) => readFileSync(join(folder, name));
}

const echo: ExchangeHandler = async (exchange) => {
  const { request, response } = exchange;
  if (request.url !== '/hijack') {
    response.end('secret');
    return;
  }
  await using connection = exchange.hijack();
  await connection.write(Buffer.from('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n'));
  for await (const chunk of connection.input) await connection.write(chunk);
};

test('TLS: only clients with a certificate of the CA come in, and hijacked connections half-close', {
  skip: hasOpenssl() ? false : 'openssl is not installed',
}, async () => {
  await using folder = await temporaryFolder();
  const file = makeCertificates(folder.path);
  await using listener = await listen(
    { kind: 'tcp', host: '127.0.0.1', port: 0 },
    {
      handler: echo,
      mayUpgrade: () => true,
      tls: { cert: file('server.pem'), key: file('server.key'), ca: file('ca.pem') },
    },
  );
  const port = Number(listener.address.split(':').at(-1));
  const at = (tls: Extract<Endpoint, { kind: 'tcp' }>['tls']) =>
    new HttpClient({ kind: 'tcp', host: '127.0.0.1', port, tls });
  const own = { ca: file('ca.pem'), cert: file('client.pem'), key: file('client.key'), verify: true };
  using client = at(own);
  const response = await client.request({ method: 'GET', path: '/' });
  assert.equal((await readAll(response.body, 100)).toString(), 'secret');
  const hijacked = await client.hijack({ method: 'POST', path: '/hijack' });
  assert.ok('connection' in hijacked);
  await hijacked.connection.write(Buffer.from('there and back'));
  await hijacked.connection.end();
  assert.equal((await readAll(hijacked.connection.input, 100)).toString(), 'there and back');
  using nameless = at({ ca: file('ca.pem'), verify: true });
  await assert.rejects(nameless.request({ method: 'GET', path: '/' }).then((got) => readAll(got.body, 100)));
  using trusting = at({ cert: file('client.pem'), key: file('client.key'), verify: true });
  await assert.rejects(trusting.request({ method: 'GET', path: '/' }), /certificate/);
  using plain = at(undefined);
  await assert.rejects(plain.request({ method: 'GET', path: '/' }), (error) => isKind(error, 'canceled'));
});
