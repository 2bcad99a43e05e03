import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startFailure } from './start-failure.ts';

const create =
  'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ';
const init = 'unable to start container process: error during container init: ';
const exec = 'OCI runtime exec failed: exec failed: ';

const runc = (text: string) => `time="2026-11-21T03:03:41Z" level=error msg="${text.replaceAll('"', '\\"')}"\n`;

test('crun and runc are given the same words', () => {
  const cases: [command: string, crun: string, runc: string, want: string, code: number][] = [
    [
      'nosuch',
      'executable file `nosuch` not found in $PATH: No such file or directory\n',
      'runc create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH',
      'exec: "nosuch": executable file not found in $PATH',
      127,
    ],
    [
      '/no/such',
      'executable file `/no/such` not found in $PATH: No such file or directory\n',
      'runc create failed: unable to start container process: exec: "/no/such": stat /no/such: no such file or directory',
      'exec: "/no/such": stat /no/such: no such file or directory',
      127,
    ],
    [
      '/noexec',
      'open executable: Permission denied\n',
      'runc create failed: unable to start container process: error during container init: exec: "/noexec": permission denied',
      'exec: "/noexec": permission denied',
      126,
    ],
  ];
  for (const [command, crunWords, runcWords, want, code] of cases) {
    for (const words of [crunWords, runc(runcWords)]) {
      const error = startFailure('create', words, command);
      assert.equal(error.message, create + init + want);
      assert.equal(error.exitCode, code);
      assert.equal(error.kind, 'invalid-argument');
    }
  }
});

test('a folder is no command; a working directory can be missing', () => {
  const folder = startFailure('create', 'open executable: Operation not permitted\n', '/etc');
  assert.equal(folder.message, `${create}${init}exec: "/etc": is a directory: permission denied`);
  assert.equal(folder.exitCode, 126);
  const cwd = startFailure('exec', 'chdir `/nope`: No such file or directory\n', 'true');
  assert.equal(
    cwd.message,
    `${exec}unable to start container process: chdir to cwd ("/nope") set in config.json failed: no such file or directory`,
  );
  assert.equal(cwd.exitCode, 127);
});

test('exec has its own words', () => {
  const error = startFailure('exec', 'executable file `x` not found in $PATH: No such file or directory', 'x');
  assert.equal(
    error.message,
    `${exec}unable to start container process: exec: "x": executable file not found in $PATH`,
  );
});

test('anything else is passed on, the last line of it', () => {
  const error = startFailure('create', 'a warning\ncgroups in hybrid mode not supported\n\n', 'x');
  assert.equal(error.message, `${create}cgroups in hybrid mode not supported`);
  assert.equal(error.exitCode, 128);
  assert.equal(startFailure('create', '', 'x').message, `${create}no reason given`);
});
