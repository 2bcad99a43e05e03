import assert from 'node:assert/strict';
import { test } from 'node:test';
import { positionOf, readForwardChain } from './forward-rules.ts';

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
