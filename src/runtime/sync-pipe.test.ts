import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { sys } from '#sys';
import { parseMessage, SyncPipe } from './sync-pipe.ts';

function pipe(): { reports: SyncPipe; write: (text: string) => void; end: () => void } {
  const [read, write] = sys.pipe();
  return {
    reports: new SyncPipe(read),
    write: (text) => sys.writeSome(write, Buffer.from(text)),
    end: () => sys.close(write),
  };
}

test('reports come in order, however they were cut', async () => {
  const { reports, write, end } = pipe();
  write('{"data": 0}\n{"da');
  assert.deepEqual(await reports.next(), { data: 0 });
  const next = reports.next();
  write('ta": 4711}\n');
  assert.deepEqual(await next, { data: 4711 });
  end();
  assert.equal(await reports.next(), undefined);
  assert.equal(reports.hasEnded, true);
});

test('words that are no reports are kept', async () => {
  const { reports, write, end } = pipe();
  write('[conmon:e]: runtime path not provided\nand more');
  end();
  assert.equal(await reports.next(), undefined);
  assert.equal(reports.words, '[conmon:e]: runtime path not provided\nand more');
});

test('waiting is bounded by time and by the signal', async () => {
  const { reports, end } = pipe();
  await assert.rejects(reports.nextWithin(5), (error) => isKind(error, 'deadline-exceeded'));
  await assert.rejects(reports.nextWithin(5000, AbortSignal.abort(new Error('stop'))), /stop/);
  reports.close();
  end();
});

test('messages are unescaped, also those JSON would refuse', () => {
  assert.deepEqual(parseMessage('{"data": -1, "message": "a \\"b\\" \\\\ c\\n\\u001b\\t"}'), {
    data: -1,
    message: 'a "b" \\ c\n\u001b\t',
  });
  assert.deepEqual(parseMessage('{"data": -1, "message": "raw \u001f"}'), { data: -1, message: 'raw \u001f' });
  assert.deepEqual(parseMessage('{"exit_code": 3}'), { data: 3 });
  assert.equal(parseMessage('{"data": "x"}'), undefined);
});
