import assert from 'node:assert/strict';
import { test } from 'node:test';
import { givenAuth } from './given-auth.ts';

test('credentials are found by any name that clients give a registry', () => {
  const [hub, own] = [{ username: 'hub' }, { username: 'own' }];
  for (const key of ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io'])
    assert.equal(givenAuth({ 'r.example:5000': own, [key]: hub }, 'docker.io'), hub, key);
  for (const key of ['r.example:5000', 'https://r.example:5000', 'http://r.example:5000/v2/'])
    assert.equal(givenAuth({ 'docker.io': hub, [key]: own }, 'r.example:5000'), own, key);
  assert.equal(givenAuth({ 'docker.io': hub }, 'r.example'), undefined);
  assert.equal(givenAuth(undefined, 'docker.io'), undefined);
});
