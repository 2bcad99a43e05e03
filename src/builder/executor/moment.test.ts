import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageConfig } from '#oci';
import { buildTimes } from '../source-date-epoch.ts';
import { createdAt, environmentAt, momentOf } from './moment.ts';

const image = (facts: Partial<ImageConfig>) => ({
  config: { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] }, ...facts } as ImageConfig,
});
const base = { kind: 'base' } as const;

test('a moment is that of the youngest image, in whole seconds', () => {
  const old = image({ created: '2001-01-01T00:00:00Z' });
  const young = image({ created: '2020-02-03T04:05:06.999999999Z' });
  assert.equal(createdAt(momentOf(base, [old, young])), '2020-02-03T04:05:06Z');
  assert.equal(createdAt(momentOf(base, [old])), '2001-01-01T00:00:00Z');
  assert.equal(createdAt(momentOf({ kind: 'given', epochSec: 7 }, [young])), '1970-01-01T00:00:07Z');
  assert.equal(momentOf({ kind: 'clock' }, [young]), undefined);
});

test('an image that does not say when it was made: its history, else 1980, as for what is older than a zip can tell', () => {
  const history = [{ created: '2010-01-01T00:00:00Z' }, { created_by: 'x' }];
  assert.equal(createdAt(momentOf(base, [image({ history })])), '2010-01-01T00:00:00Z');
  for (const created of ['0001-01-01T00:00:00Z', '1970-01-01T00:00:00Z', 'yesterday']) {
    assert.equal(createdAt(momentOf(base, [image({ created })])), '1980-01-01T00:00:00Z');
  }
  assert.equal(createdAt(momentOf(base, [image({})])), '1980-01-01T00:00:00Z');
});

test('what a build was told: a moment, the clock, nothing', () => {
  const reproducible = true;
  assert.deepEqual(buildTimes({ SOURCE_DATE_EPOCH: '5' }, { reproducible }), { kind: 'given', epochSec: 5 });
  assert.deepEqual(buildTimes({ SOURCE_DATE_EPOCH: '' }, { reproducible }), { kind: 'clock' });
  for (const args of [{}, { SOURCE_DATE_EPOCH: null }]) {
    assert.deepEqual(buildTimes(args, { reproducible }), { kind: 'base' });
    assert.deepEqual(buildTimes(args, { reproducible: false }), { kind: 'clock' });
  }
  assert.deepEqual(buildTimes({ SOURCE_DATE_EPOCH: '5' }, { reproducible: false }), { kind: 'given', epochSec: 5 });
});

test('the environment has the moment, unless it has one', () => {
  assert.deepEqual(environmentAt(9, ['A=1']), ['A=1', 'SOURCE_DATE_EPOCH=9']);
  assert.deepEqual(environmentAt(9, ['SOURCE_DATE_EPOCH=1']), ['SOURCE_DATE_EPOCH=1']);
  assert.deepEqual(environmentAt(undefined, ['A=1']), ['A=1']);
});
