import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { temporaryFolder } from '#testing';
import { RunRoot } from './run-root.ts';

const facts = { terminal: true, openStdin: true, stdinOnce: false, cgroupPath: '/x/a' };

test('what is kept of a container comes back', async () => {
  await using folder = await temporaryFolder();
  const root = new RunRoot(join(folder.path, 'run'));
  const bundle = root.makeBundle('a', { some: 'config' }, facts);
  assert.deepEqual(root.facts('a'), facts);
  assert.equal(root.pid('a'), undefined);
  writeFileSync(join(bundle, 'pid'), '4711');
  assert.equal(root.pid('a'), 4711);
  const time = new Date('2026-01-02T03:04:05.678Z');
  root.markStarted('a', time);
  assert.deepEqual(root.startedAt('a'), time);
  assert.deepEqual(new RunRoot(root.path).list(), ['a']);
  root.removeBundle('a');
  root.removeBundle('a');
  assert.equal(existsSync(bundle), false);
  assert.equal(root.facts('a'), undefined);
});

test('execs do not outlive their daemon', async () => {
  await using folder = await temporaryFolder();
  const root = new RunRoot(folder.path);
  const made = root.makeExecFolder('e1', { args: ['true'] });
  assert.throws(
    () => root.makeExecFolder('e1', {}),
    (error) => isKind(error, 'already-exists'),
  );
  root.removeExecs();
  assert.equal(existsSync(made), false);
});

test('facts cut short by a crash are none', async () => {
  await using folder = await temporaryFolder();
  const root = new RunRoot(folder.path);
  const bundle = root.makeBundle('a', {}, facts);
  for (const text of ['', '{"terminal": tr', '{}', 'null', '[]']) {
    writeFileSync(join(bundle, 'container.json'), text);
    assert.equal(root.facts('a'), undefined, text);
  }
});

test('an ID never leaves its folder, and is used once', async () => {
  await using folder = await temporaryFolder();
  const root = new RunRoot(folder.path);
  for (const id of ['..', '.', '', '/', 'a/b', '-x', 'a\0', 'ü', 'x'.repeat(129)]) {
    assert.throws(
      () => root.bundle(id),
      (error) => isKind(error, 'invalid-argument'),
      id,
    );
    assert.throws(
      () => root.execFolder(id),
      (error) => isKind(error, 'invalid-argument'),
      id,
    );
  }
  root.makeBundle('a', {}, facts);
  assert.throws(
    () => root.makeBundle('a', {}, facts),
    (error) => isKind(error, 'already-exists'),
  );
});
