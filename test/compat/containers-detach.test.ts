/** Detaching from terminals by keys, and coming back: the docker CLI and wherry, each on a terminal of its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { findDockerCli } from '../support/docker-cli.ts';
import { openTerminal } from '../support/terminal.ts';
import { containerSetup, until } from './containers-fixture.ts';

const wherry = join(import.meta.dirname, '..', '..', 'bin', 'wherry');
const controlP = '\x10';
const controlQ = '\x11';
const controlX = '\x18';

/** Says back every line it reads, and ends at `quit`. */
const echo = 'while read line; do echo "<$line>"; [ "$line" = quit ] && exit 6; done; exit 9';

test('detach keys', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon, folder } = setup;
  const cli = findDockerCli();
  assert.ok('path' in cli);
  const clients: readonly (readonly [string, readonly string[]])[] = [
    ['docker', [cli.path]],
    ['wherry', [wherry, '-H', daemon.host]],
  ];
  const env = { DOCKER_HOST: daemon.host, DOCKER_CONFIG: join(folder, 'terminal-config') };
  const state = async (name: string) =>
    (await docker.ok('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', name)).trim();

  for (const [client, command] of clients) {
    const on = (...args: string[]) => openTerminal([...command, ...args], env);

    await t.test(`${client}: run, detach, attach, type on, and end it from there`, async () => {
      const name = `${client}-run`;
      await using first = on('run', '-it', '--name', name, 'base', 'sh', '-c', echo);
      first.type('one\n');
      await first.shows('<one>');
      first.type(controlP + controlQ);
      assert.equal(await first.ends(), 0);
      assert.equal(await state(name), 'running 0');

      await using second = on('attach', '--detach-keys', 'ctrl-x,b', name);
      second.type('two\n');
      await second.shows('<two>');
      second.type(`${controlX}c\n`);
      await second.shows(`<${controlX}c>`);
      second.type(`${controlP + controlQ}three\n`);
      await second.shows('three>');
      second.type(controlX);
      second.type('b');
      await second.shows('read escape sequence');
      assert.equal(await second.ends(), 1);
      assert.equal(await state(name), 'running 0');

      await using third = on('attach', name);
      third.type('quit\n');
      await third.shows('<quit>');
      assert.equal(await third.ends(), 6);
      assert.equal(await state(name), 'exited 6');
    });

    await t.test(`${client}: exec, detach, and the command goes on`, async () => {
      const name = `${client}-exec`;
      await docker.ok('run', '-d', '--name', name, 'base', 'sleep', '100');
      await using session = on('exec', '-it', '--detach-keys', 'ctrl-x', name, 'sh', '-c', echo);
      session.type('one\n');
      await session.shows('<one>');
      session.type(controlX);
      await session.shows('read escape sequence');
      assert.equal(await session.ends(), 1);
      assert.match(await docker.ok('top', name, '-o', 'pid,args'), /while read line/);
    });

    await t.test(`${client}: a terminal that is closed leaves the container running, and its input open`, async () => {
      const name = `${client}-closed`;
      {
        await using session = on('run', '-it', '--name', name, 'base', 'sh', '-c', echo);
        session.type('one\n');
        await session.shows('<one>');
      }
      await using again = on('attach', name);
      again.type('quit\n');
      await again.shows('<quit>');
      await until(
        () => state(name),
        (answer) => answer === 'exited 6',
      );
    });
  }
});
