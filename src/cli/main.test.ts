import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Terminal } from './command.ts';
import { runCli } from './main.ts';

async function ran(...words: string[]) {
  const said = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({ write: (text: string) => void (said[name] += text) });
  const terminal = { stdout: stream('stdout'), stderr: stream('stderr') } as unknown as Terminal;
  return { status: await runCli(words, terminal, {}), ...said };
}

test('a word that commands begin with tells what may follow it', async () => {
  for (const words of [['network'], ['network', '--help'], ['network', 'help']]) {
    const { status, stdout } = await ran(...words);
    assert.equal(status, 0);
    assert.match(stdout, /^Usage: {2}wherry network COMMAND\n\nCommands:\n {2}connect {5}\S/);
    assert.match(stdout, /^ {2}ls {10}List networks$/m);
    assert.match(stdout, /^Run 'wherry network COMMAND --help'/m);
  }
  const images = await ran('image');
  for (const name of ['history', 'ls', 'prune', 'rm', 'verify']) {
    assert.match(images.stdout, new RegExp(`^ {2}${name} `, 'm'), name);
  }
  assert.doesNotMatch(images.stdout, /^ {2}list /m, 'one name of each');
});

test('what is no command is named, and where to look', async () => {
  const first = await ran('bogus', 'more');
  assert.equal(first.status, 1);
  assert.equal(first.stderr, "wherry: unknown command: wherry bogus\n\nRun 'wherry --help' for more information\n");
  const second = await ran('network', 'bogus');
  assert.equal(second.status, 1);
  assert.equal(
    second.stderr,
    "wherry: unknown command: wherry network bogus\n\nRun 'wherry network --help' for more information\n",
  );
});
