import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container } from '../container.ts';
import { linkVariables } from './environment.ts';
import { parseLink } from './requested.ts';

function variables(alias: string, ports: readonly string[], env: readonly string[] = []): string[] {
  const config = { ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])), Env: env };
  const child = { body: { config } } as unknown as Container;
  return linkVariables({ name: `/parent/${alias}`, alias, child, ipAddress: '172.17.0.2' });
}

test('ports come TCP first, a range after the port that follows it', () => {
  const lines = variables('my-db', ['81/udp', '53/udp', '8002/tcp', '8000/tcp', '53/tcp', '8001/tcp']);
  const four = (port: number, protocol: string) => {
    const name = `MY_DB_PORT_${port}_${protocol.toUpperCase()}`;
    return [
      `${name}=${protocol}://172.17.0.2:${port}`,
      `${name}_ADDR=172.17.0.2`,
      `${name}_PORT=${port}`,
      `${name}_PROTO=${protocol}`,
    ];
  };
  assert.deepEqual(lines, [
    'MY_DB_PORT=tcp://172.17.0.2:53',
    ...four(53, 'tcp'),
    ...four(8000, 'tcp'),
    ...four(8001, 'tcp'),
    ...four(8002, 'tcp'),
    ...four(53, 'udp'),
    'MY_DB_PORT_8000_TCP_START=tcp://172.17.0.2:8000',
    'MY_DB_PORT_8000_TCP_PORT_START=8000',
    'MY_DB_PORT_8000_TCP_END=tcp://172.17.0.2:8002',
    'MY_DB_PORT_8000_TCP_PORT_END=8002',
    ...four(81, 'udp'),
    'MY_DB_NAME=/parent/my-db',
  ]);
  assert.deepEqual(variables('x', ['1/tcp', '2/tcp']).slice(-5), [
    'X_PORT_1_TCP_START=tcp://172.17.0.2:1',
    'X_PORT_1_TCP_PORT_START=1',
    'X_PORT_1_TCP_END=tcp://172.17.0.2:2',
    'X_PORT_1_TCP_PORT_END=2',
    'X_NAME=/parent/x',
  ]);
});

test('a container without ports has its name and variables, but for its home and its path', () => {
  assert.deepEqual(variables('a.b', [], ['HOME=/x', 'PATH=/y', 'EMPTY=', 'MULTI=a=b', 'UNSET']), [
    'A.B_NAME=/parent/a.b',
    'A.B_ENV_EMPTY=',
    'A.B_ENV_MULTI=a=b',
  ]);
});

test('links are read as users write them and as inspect shows them', () => {
  assert.deepEqual(parseLink('db:alias'), { reference: 'db', alias: 'alias' });
  assert.deepEqual(parseLink('db'), { reference: 'db', alias: 'db' });
  assert.deepEqual(parseLink('/db:/web/alias'), { reference: 'db', alias: 'alias' });
  assert.throws(() => parseLink('a:b:c'), /^EngineError: bad format for links: a:b:c$/);
  assert.throws(() => parseLink(''), /empty string specified for links/);
});
