import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkProxy, maskCredentials, useProxies } from './proxies.ts';

test('a proxy is the URL of an HTTP or SOCKS5 proxy, or its host', () => {
  for (const proxy of ['http://u:p@10.0.0.1:3128', 'https://proxy', 'proxy:3128', 'socks5://u:p@x:1080'])
    checkProxy(proxy);
  assert.throws(() => checkProxy('::x'), { message: 'invalid proxy: ::x is not a valid URI' });
  assert.throws(
    () => checkProxy('socks4://u:p@x'),
    /^Error: invalid proxy: socks4:\/\/xxxxx:xxxxx@x: only http:\/\/, https:\/\/ and/,
  );
});

test('credentials are masked as Docker masks them', () => {
  assert.equal(maskCredentials('http://user:pw@127.0.0.1:3128'), 'http://xxxxx:xxxxx@127.0.0.1:3128');
  assert.equal(maskCredentials('http://user:p@w@127.0.0.1:3128'), 'http://xxxxx:xxxxx@127.0.0.1:3128');
  for (const plain of ['http://127.0.0.1:3128/a@b', 'a.b,c', '/a/b@c']) assert.equal(maskCredentials(plain), plain);
});

test('they go before the environment’s, under both spellings', () => {
  const environment: NodeJS.ProcessEnv = { HTTP_PROXY: 'old', http_proxy: 'older', NO_PROXY: 'kept' };
  useProxies({ HTTP_PROXY: 'http://new' }, environment);
  assert.deepEqual(environment, { HTTP_PROXY: 'http://new', http_proxy: 'http://new', NO_PROXY: 'kept' });
});
