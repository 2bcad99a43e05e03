import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attributesOf } from './posted-attributes.ts';

test('options of a posted build are attributes of the frontend', () => {
  const options = {
    target: 'fin',
    dockerfile: 'sub/Dockerfile',
    nocache: true,
    pull: true,
    t: ['a'],
    networkmode: 'none',
    extrahosts: ['db:10.0.0.1', 'six:fe80::1', 'way:host-gateway'],
    ulimits: [{ Name: 'nofile', Soft: 10, Hard: 20 }],
    buildargs: { A: '1', B: null },
    labels: { l: 'v' },
    cachefrom: ['x', 'y'],
    shmsize: 4096,
  };
  assert.deepEqual(attributesOf(options, 'http://x/ctx.tar', '172.17.0.1'), {
    target: 'fin',
    filename: 'sub/Dockerfile',
    context: 'http://x/ctx.tar',
    'no-cache': '',
    'image-resolve-mode': 'pull',
    'shm-size': '4096',
    'cache-from': 'x,y',
    'force-network-mode': 'none',
    'add-hosts': 'db=10.0.0.1,six=fe80::1,way=172.17.0.1',
    ulimit: 'nofile=10:20',
    'build-arg:A': '1',
    'label:l': 'v',
  });
  assert.deepEqual(attributesOf({ networkmode: 'default' }, undefined, undefined), {
    'image-resolve-mode': 'default',
  });
});

test('what BuildKit does not take is refused in the words of dockerd', () => {
  assert.throws(() => attributesOf({ networkmode: 'bridge' }, undefined, undefined), {
    message: 'network mode "bridge" not supported by buildkit',
  });
  assert.throws(() => attributesOf({ extrahosts: ['a:host-gateway'] }, undefined, undefined), {
    message: 'unable to derive the IP value for host-gateway',
  });
});
