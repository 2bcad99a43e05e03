import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HistoryEntry, ImageConfig } from '#oci';
import { withSharedHistory } from './shared-history.ts';

function config(...history: HistoryEntry[]): ImageConfig {
  return { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [] }, history };
}

const one = () => ({ created: 'then', created_by: 'one' });
const two = () => ({ created: 'then', created_by: 'two', empty_layer: true });

test('an image tells the steps before its own with the entries of the image below it', () => {
  const parent = config(one());
  const shared = withSharedHistory(config(one(), two()), parent);
  assert.deepEqual(shared, config(one(), two()));
  assert.equal(shared.history?.[0], parent.history?.[0]);
});

test('another history, or one with its fields in another order, stays as it is', () => {
  const others = [
    config({ created: 'now', created_by: 'one' }),
    config({ created_by: 'one', created: 'then' }),
    config(one(), one()),
  ];
  for (const parent of others) {
    const own = config(one(), two());
    assert.equal(withSharedHistory(own, parent), own);
  }
});
