import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellFullDisk } from './full-disk.ts';
import { StartError } from './types.ts';

test('a runtime that failed on a full disk is said to have, unless it says so itself or it is the command that fails', () => {
  const vague = new StartError('runc create failed: seccomp_export_bpf: Operation canceled', 128);
  const full = () => 4096;
  assert.equal(tellFullDisk(vague, '/run/x', full).message, `${vague.message}: no space left on device, /run/x`);
  assert.equal(
    tellFullDisk(vague, '/run/x', () => 1 << 30),
    vague,
  );
  const clear = new StartError('mkdir /run/x: No space left on device', 128);
  assert.equal(tellFullDisk(clear, '/run/x', full), clear);
  const command = new StartError('exec: "x": executable file not found in $PATH', 127);
  assert.equal(tellFullDisk(command, '/run/x', full), command);
});
