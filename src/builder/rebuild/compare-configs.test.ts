import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageConfig } from '#oci';
import { compareConfigs } from './compare-configs.ts';

const image = (facts: Partial<ImageConfig>): ImageConfig =>
  ({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] }, ...facts }) as ImageConfig;

test('each field that differs, with both values', () => {
  const before = image({ created: '2020-01-01T00:00:00Z', config: { Env: ['A=1'], User: 'u' } });
  const after = image({ created: '2021-01-01T00:00:00Z', config: { Env: ['A=2'], User: 'u' } });
  assert.deepEqual(compareConfigs(before, before), []);
  assert.deepEqual(compareConfigs(before, after), [
    {
      field: 'created',
      image: '"2020-01-01T00:00:00Z"',
      rebuilt: '"2021-01-01T00:00:00Z"',
      hint: 'built at another moment, or on another base image: try --build-arg SOURCE_DATE_EPOCH=1577836800',
    },
    { field: 'config.Env', image: '["A=1"]', rebuilt: '["A=2"]' },
  ]);
});

test('a history is told up to the first step that is another one', () => {
  const before = image({ history: [{ created_by: 'a' }, { created_by: 'b' }, { created_by: 'c' }] });
  const after = image({ history: [{ created_by: 'a', comment: 'x' }, { created_by: 'd' }] });
  assert.deepEqual(
    compareConfigs(before, after).map(({ field, image, rebuilt }) => [field, image, rebuilt]),
    [
      ['history[0].comment', null, '"x"'],
      ['history[1].created_by', '"b"', '"d"'],
    ],
  );
});
