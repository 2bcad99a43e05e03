import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cacheSelection, type FilteredRecord } from './cache-filters.ts';
import { booleanFilter, checkFilterKeys, matchesKeyValue, matchesLabels, matchesPattern } from './filters.ts';
import { formatNs, nowNs, parseTimeNs } from './time.ts';

test('an unknown key is refused by name', () => {
  checkFilterKeys({ label: ['a'] }, ['label']);
  assert.throws(() => checkFilterKeys({ foo: ['a'] }, ['label']), {
    kind: 'invalid-argument',
    message: "invalid filter 'foo'",
  });
});

test('labels: every wanted one, none unwanted, by key or by key and value', () => {
  const labels = { k: 'v', empty: '' };
  assert.equal(matchesKeyValue(labels, 'k'), true);
  assert.equal(matchesKeyValue(labels, 'k=v'), true);
  assert.equal(matchesKeyValue(labels, 'k='), false);
  assert.equal(matchesKeyValue(labels, 'empty='), true);
  assert.equal(matchesKeyValue(labels, 'toString'), false);
  assert.equal(matchesKeyValue(null, 'k'), false);
  assert.equal(matchesLabels(labels, { label: ['k', 'empty'] }), true);
  assert.equal(matchesLabels(labels, { label: ['k', 'x'] }), false);
  assert.equal(matchesLabels(labels, { 'label!': ['k=v'] }), false);
  assert.equal(matchesLabels(labels, { 'label!': ['k=w'] }), true);
});

test('a boolean filter takes four words and no two that differ', () => {
  assert.equal(booleanFilter({}, 'dangling'), undefined);
  assert.equal(booleanFilter({ dangling: ['1', 'true'] }, 'dangling'), true);
  assert.equal(booleanFilter({ dangling: ['0'] }, 'dangling'), false);
  for (const values of [['T'], ['TRUE'], ['yes'], [''], ['true', 'false']]) {
    assert.throws(() => booleanFilter({ dangling: values }, 'dangling'), {
      message: `invalid filter 'dangling=[${values.join(' ')}]'`,
    });
  }
});

test('names match as expressions, and plainly when the pattern is none', () => {
  assert.equal(matchesPattern('^a', 'abc'), true);
  assert.equal(matchesPattern('(', '('), true);
  assert.equal(matchesPattern('(', 'x'), false);
});

test('times: seconds, RFC 3339 in its short forms, durations back from now', () => {
  assert.equal(parseTimeNs('1.5'), 1_500_000_000n);
  assert.equal(formatNs(parseTimeNs('2024-01-02')), '2024-01-02T00:00:00Z');
  assert.equal(formatNs(parseTimeNs('2024-01-02T03:04:05.000000006+01:00')), '2024-01-02T02:04:05.000000006Z');
  const ago = nowNs() - parseTimeNs('10m');
  assert.ok(ago > 599_900_000_000n && ago < 605_000_000_000n);
  for (const text of ['x', '', '1h x', '2024-13-01']) {
    assert.throws(() => parseTimeNs(text), {
      kind: 'invalid-argument',
      message: `failed to parse value as time or duration: ${JSON.stringify(text)}`,
    });
  }
});

test('build cache: what a prune means, and what it refuses', () => {
  const record: FilteredRecord = {
    ...{ key: 'sha256:abc', description: 'RUN x', type: 'regular', isHeld: false, result: { diffIDs: [] } },
    ...{ components: {}, sizeBytes: 0, createdMs: 0, lastUsedMs: Date.now() - 3_600_000, usageCount: 0 },
  };
  const selects = (filters: Record<string, string[]>, changes: Partial<FilteredRecord> = {}) =>
    cacheSelection(filters)({ ...record, ...changes });
  assert.equal(selects({}), true);
  assert.equal(selects({ until: ['30m'] }), true);
  assert.equal(selects({ until: ['2h'] }), false);
  assert.equal(selects({ 'unused-for': ['2h'] }), false);
  assert.equal(selects({ id: ['ab'] }), true);
  assert.equal(selects({ id: ['zz'] }), false);
  assert.equal(selects({ type: ['regular'], private: ['true'] }), true);
  assert.equal(selects({ type: ['source.local'] }), false);
  assert.equal(selects({ type: ['exec.cachemount'] }), false);
  assert.equal(selects({ type: ['exec.cachemount'] }, { type: 'exec.cachemount' }), true);
  assert.equal(selects({}, { isHeld: true }), false, 'what a build uses now');
  assert.equal(selects({ inuse: [] }), false);
  assert.equal(selects({ shared: [] }), false);
  assert.equal(selects({ parent: ['x'] }), false);
  assert.equal(selects({ label: ['x'] }), false);
  assert.equal(selects({ 'label!': ['x'] }), true);
  assert.throws(() => selects({ x: ['y'] }), { message: "failed to prune build cache: invalid filter 'x'" });
  assert.throws(() => selects({ until: ['1h', '2h'] }), /failed to prune build cache: filters expect only one value/);
  assert.throws(
    () => selects({ until: ['x'] }),
    /"until" filter expects a duration .* or a timestamp: failed to parse value/,
  );
});
