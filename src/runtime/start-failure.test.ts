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

test('what a path is not', () => {
  const mismatch =
    'not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';
  const cases: ['create' | 'exec', words: string, want: string, code: number][] = [
    [
      'create',
      'mount `/etc/hostname` to `bin`: Not a directory',
      `${create}${init}error mounting "/etc/hostname" to rootfs at "/bin": mount src=/etc/hostname, dst=/bin: ${mismatch}`,
      127,
    ],
    ['create', 'chdir `/etc/passwd`: Not a directory', 'Cannot mkdir: /etc/passwd is not a directory', 128],
    [
      'exec',
      'chdir `/etc/passwd`: Not a directory',
      `${exec}unable to start container process: chdir to cwd ("/etc/passwd") set in config.json failed: ${mismatch}`,
      127,
    ],
  ];
  for (const [step, words, want, code] of cases) {
    const { message, exitCode } = startFailure(step, words, 'true');
    assert.deepEqual([message, exitCode], [want, code]);
  }
});

test('settings that the kernel does not take', () => {
  const missing = 'No such file or directory';
  const cases: [words: string, want: string, code: number][] = [
    [`open /proc/sys/net/bogus: ${missing}`, 'open sysctl net.bogus file: no such file or directory', 127],
    [
      'write to /proc/sys/kernel/msgmax: Invalid argument',
      'failed to write sysctl kernel.msgmax: invalid argument',
      128,
    ],
    ['sethostname: Invalid argument', 'sethostname: invalid argument', 128],
    ['error opening file `/proc/self/setgroups`: Too many open files', 'too many open files', 128],
  ];
  for (const [words, want, code] of cases) {
    const { message, exitCode } = startFailure('create', words, 'true');
    assert.deepEqual([message, exitCode], [create + init + want, code]);
  }
});

test('an empty command is none', () => {
  const { message, exitCode } = startFailure('create', 'open executable: Operation not permitted', '');
  assert.deepEqual([message, exitCode], [`${create}${init}exec: "": executable file not found in $PATH`, 127]);
});

test('what was meant for a terminal comes from a log, with a time in front', () => {
  const words = '2026-11-21T11:25:15.032937Z: executable file `x` not found in $PATH: No such file or directory\n';
  assert.match(startFailure('exec', words, 'x').message, /process: exec: "x": executable file not found in \$PATH$/);
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
