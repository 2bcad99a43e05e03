import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChallenges } from './challenge.ts';
import { insecureHosts } from './insecure.ts';
import { loginDomain } from './login.ts';
import { parseRetryAfter } from './retry.ts';
import { proxyFor } from './transport.ts';

test('challenges are read, several in one header', () => {
  const read = (text: string) =>
    parseChallenges(text).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
  assert.deepEqual(read('Bearer realm="https://a/t?x=1,2",service="s \\"q\\"", scope=plain, Basic realm="b"'), [
    ['bearer', { realm: 'https://a/t?x=1,2', service: 's "q"', scope: 'plain' }],
    ['basic', { realm: 'b' }],
  ]);
  assert.deepEqual(read('Basic'), [['basic', {}]]);
  assert.deepEqual(read('Negotiate, Bearer Realm="x"'), [
    ['negotiate', {}],
    ['bearer', { realm: 'x' }],
  ]);
  assert.deepEqual(read('Bearer realm="unterminated'), [['bearer', {}]]);
  assert.deepEqual(read('"'), []);
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void parseChallenges(text)));
});

test('loopback is insecure, and what is configured', async () => {
  const hosts = insecureHosts(['10.1.0.0/16', 'reg.example:5000', 'http://plain.example', 'fd00::/8']);
  for (const host of [
    'localhost',
    'localhost:5000',
    '127.0.0.1',
    '127.9.8.7:1',
    '[::1]:5000',
    '10.1.2.3:80',
    'reg.example:5000',
    'plain.example',
    '[fd00::1]',
  ]) {
    assert.equal(await hosts.includes(host), true, host);
  }
  for (const host of ['10.2.0.1', '128.0.0.1:5000', 'reg.example', '[fe80::1]:80']) {
    assert.equal(await hosts.includes(host), false, host);
  }
});

test('patience is seconds or a date', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(parseRetryAfter('7', nowMs), 7000);
  assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:30 GMT', nowMs), 30_000);
  assert.equal(parseRetryAfter('Thu, 01 Jan 2020 00:00:30 GMT', nowMs), 0);
  assert.equal(parseRetryAfter('soon', nowMs), undefined);
  assert.equal(parseRetryAfter(undefined), undefined);
});

test('proxies come from the environment, never for loopback', () => {
  const environment = { HTTPS_PROXY: 'http://proxy:3128', http_proxy: 'other:80', NO_PROXY: 'skip.example, .inner' };
  const ranges = { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: '10.1.0.0/16,fd00::/8,10.2.0.0/99' };
  const inRanges = (url: string) => proxyFor(new URL(url), ranges);
  for (const url of ['https://10.1.2.3/', 'https://[fd00::1]:5000/']) assert.equal(inRanges(url), undefined, url);
  for (const url of ['https://10.2.2.3/', 'https://[fe00::1]/', 'https://name/']) {
    assert.equal(inRanges(url), 'http://proxy:3128', url);
  }
  const at = (url: string) => proxyFor(new URL(url), environment);
  assert.equal(at('https://registry.example/'), 'http://proxy:3128');
  assert.equal(at('http://registry.example/'), 'http://other:80');
  for (const url of [
    'http://127.0.0.1:5000/',
    'https://localhost/',
    'http://[::1]/',
    'https://skip.example/',
    'https://a.skip.example/',
    'https://x.inner/',
  ]) {
    assert.equal(at(url), undefined, url);
  }
});

test('a login address is read as Docker does', () => {
  for (const address of [undefined, '', 'https://index.docker.io/v1/', 'docker.io']) {
    assert.equal(loginDomain(address), 'docker.io');
  }
  assert.equal(loginDomain('http://127.0.0.1:5000/v1/'), '127.0.0.1:5000');
  assert.equal(loginDomain('reg.example:5000'), 'reg.example:5000');
});
