/** Runs the bodies in `network` in a network namespace of their own, so that no link or rule of this machine is touched. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { requireRoot } from '#testing';

const bodies = {
  'the default bridge': 'bridge.body.ts',
  IPv6: 'ipv6.body.ts',
  'beside firewalls of others': 'other-firewalls.body.ts',
};

for (const [what, body] of Object.entries(bodies)) {
  test(`${what}, in a namespace of the test`, { timeout: 300_000 }, (t) => runBody(t, body));
}

function runBody(t: TestContext, file: string): void {
  if (!requireRoot(t)) return;
  const name = `wherry-test-${process.pid}`;
  execFileSync('ip', ['netns', 'add', name]);
  try {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const body = join(import.meta.dirname, 'network', file);
    const run = spawnSync('nsenter', [`--net=/run/netns/${name}`, process.execPath, body], {
      env,
      encoding: 'utf8',
      timeout: 290_000,
    });
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`);
    assert.match(run.stdout, /fail 0/);
  } finally {
    execFileSync('ip', ['netns', 'delete', name]);
  }
}
