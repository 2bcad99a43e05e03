import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLast, positionOf, readForwardChain } from './forward-rules.ts';

const chain = (...rules: string[]) => readForwardChain(['-P FORWARD ACCEPT', '-N DOCKER-USER', ...rules].join('\n'));

test('a chain is closed where a rule refuses everybody', () => {
  assert.equal(chain().closedAt, undefined);
  assert.equal(chain('-A FORWARD -i eth0 -j DROP', '-A FORWARD -p tcp -j REJECT').closedAt, undefined);
  const reject = '-A FORWARD -j REJECT --reject-with icmp-host-prohibited';
  assert.equal(chain('-A FORWARD -i lo -j ACCEPT', reject).closedAt, 2);
  assert.equal(readForwardChain('-P FORWARD DROP\n').drops, true);
});

test('UFW’s policy stands in a chain of its own, which is empty unless it rejects', () => {
  const jumps = [
    '-A FORWARD -j ufw-before-forward',
    '-A FORWARD -j ufw-reject-forward',
    '-A FORWARD -j ufw-track-forward',
  ];
  assert.equal(chain(...jumps).closedAt, undefined);
  assert.equal(chain(...jumps, '-A ufw-reject-forward -j REJECT --reject-with icmp-port-unreachable').closedAt, 2);
});

test('what the user forbids in a chain for that is no policy', () => {
  assert.equal(chain('-A FORWARD -j DOCKER-USER', '-A DOCKER-USER -j DROP').closedAt, undefined);
});

test('a rule is found by its text', () => {
  const found = chain('-A FORWARD -i lo -j ACCEPT', '-A FORWARD -i wh-1 -m comment --comment "wherry-1" -j ACCEPT');
  const rule = ['-i', 'wh-1', '-m', 'comment', '--comment', 'wherry-1', '-j', 'ACCEPT'];
  assert.equal(positionOf(found, rule), 2);
  assert.equal(positionOf(found, ['-o', ...rule.slice(1)]), undefined);
});

test('our rules are in place where nothing of others stands between them and the end', () => {
  const rule = ['-i', 'wh-1', '-m', 'comment', '--comment', 'wherry-1', '-j', 'ACCEPT'];
  const text = `-A FORWARD ${rule.join(' ')}`;
  const sibling = '-A FORWARD -i wh-2 -m comment --comment wherry-2 -j ACCEPT';
  const reject = '-A FORWARD -j REJECT';
  assert.equal(isLast(chain('-A FORWARD -j ufw-before-forward', text, sibling), rule), true);
  assert.equal(isLast(chain(text, '-A FORWARD -j ufw-before-forward'), rule), false);
  assert.equal(isLast(chain(text, sibling, reject, '-A FORWARD -j ufw-track-forward'), rule), true);
  assert.equal(isLast(chain(text, '-A FORWARD -p tcp -j DROP', reject), rule), false);
  assert.equal(isLast(chain(reject, text), rule), false, 'behind what refuses everybody');
  assert.equal(isLast(chain(), rule), false);
});
