import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandTable, findCommand } from './commands.ts';

test('every command is listed once, and found by its name and its aliases', () => {
  const names = commandTable.flatMap((command) => [command.name, ...(command.aliases ?? [])]);
  assert.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  );
  for (const command of commandTable) {
    for (const name of [command.name, ...(command.aliases ?? [])])
      assert.equal(findCommand(name.split(' '))?.command, command, name);
  }
});
