import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMetricsAddress } from './server.ts';
import { formatMetrics, Histogram } from './text.ts';

test('text of Prometheus: labels escaped, buckets that add up', () => {
  const histogram = new Histogram({ action: 'start' });
  for (const seconds of [0.004, 0.3, 60]) histogram.add(seconds);
  const text = formatMetrics([
    { name: 'a', help: 'An a', type: 'gauge', samples: [{ labels: { b: 'c"\\\n' }, value: 1.5 }] },
    { name: 'h', help: 'An h', type: 'histogram', samples: histogram.samples() },
  ]);
  assert.ok(text.startsWith('# HELP a An a\n# TYPE a gauge\na{b="c\\"\\\\\\n"} 1.5\n# HELP h An h\n'), text);
  for (const [le, count] of Object.entries({ 0.005: 1, 0.25: 1, 0.5: 2, 10: 2, '+Inf': 3 })) {
    assert.ok(text.includes(`h_bucket{action="start",le="${le}"} ${count}\n`), `${le}: ${text}`);
  }
  assert.match(text, /^h_sum\{action="start"\} 60\.304\nh_count\{action="start"\} 3\n$/m);
});

test('addresses', () => {
  assert.deepEqual(parseMetricsAddress('127.0.0.1:9323'), { host: '127.0.0.1', port: 9323 });
  assert.deepEqual(parseMetricsAddress(':9323'), { port: 9323 });
  assert.deepEqual(parseMetricsAddress('[::1]:1'), { host: '::1', port: 1 });
  const message = 'failed to start metrics server: error parsing tcp address: address x: missing port in address';
  assert.throws(() => parseMetricsAddress('x'), { message });
});
