import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { EventLog } from './events.ts';

const event = (action: string) => ({ type: 'container' as const, action, id: 'c', attributes: {} });

test('what happened while nobody read comes in order', async () => {
  const log = new EventLog();
  const reader = log.follow();
  const first = reader.next();
  for (let at = 0; at < 1000; at++) log.emit(event(`a${at}`));
  assert.equal((await first).value?.Action, 'a0');
  for (let at = 1; at < 1000; at++) assert.equal((await reader.next()).value?.Action, `a${at}`);
  await reader.return(undefined);
  assert.equal(log.listenerCount, 0);
});

test('a reader that stops is let go of, and told when it comes back', async () => {
  const log = new EventLog();
  const slow = log.follow();
  const quick = log.follow();
  const [begun, others] = [slow.next(), quick.next()];
  log.emit(event('start'));
  await Promise.all([begun, others]);
  for (let at = 0; at < 20_000; at++) {
    const next = quick.next();
    log.emit(event(`a${at}`));
    assert.equal((await next).value?.Action, `a${at}`);
  }
  assert.equal(log.listenerCount, 1);
  await assert.rejects(slow.next(), (error) => isKind(error, 'unavailable'));
  await quick.return(undefined);
});

test('since replays what is kept, until ends it', async () => {
  const log = new EventLog();
  log.emit(event('before'));
  const since = String((Date.now() - 60_000) / 1000);
  const until = String((Date.now() + 50) / 1000);
  const seen = await Array.fromAsync(log.follow({ since, until }), ({ Action }) => Action);
  assert.deepEqual(seen, ['before']);
});
