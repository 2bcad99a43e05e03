import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultSeccomp, type SeccompProfile } from './seccomp.ts';
import { alwaysAllowed } from './seccomp-table.ts';

const machine = { arch: 'x64', kernelRelease: '6.18.44' };

function allows(profile: SeccompProfile | undefined, name: string): boolean {
  return profile!.syscalls.some((rule) => rule.action === 'SCMP_ACT_ALLOW' && !rule.args && rule.names.includes(name));
}

test('the calls an escape needs are refused without their capability, and opened with it', () => {
  const plain = defaultSeccomp({ ...machine, capabilities: ['CAP_CHOWN'] });
  const pairs: [string, string][] = [
    ['CAP_SYS_ADMIN', 'mount'],
    ['CAP_SYS_ADMIN', 'unshare'],
    ['CAP_SYS_ADMIN', 'setns'],
    ['CAP_SYS_MODULE', 'init_module'],
    ['CAP_SYS_BOOT', 'reboot'],
    ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
    ['CAP_SYS_CHROOT', 'chroot'],
    ['CAP_SYS_TIME', 'clock_settime'],
    ['CAP_BPF', 'bpf'],
    ['CAP_PERFMON', 'perf_event_open'],
  ];
  for (const [capability, call] of pairs) {
    assert.equal(allows(plain, call), false, call);
    assert.equal(allows(defaultSeccomp({ ...machine, capabilities: [capability] }), call), true, call);
  }
  for (const call of ['kexec_load', 'keyctl', 'add_key', 'userfaultfd', 'io_uring_setup', 'swapon']) {
    assert.equal(allows(plain, call), false, call);
  }
});

test('threads are free, namespaces are not: clone by its flags, clone3 as if it were not there', () => {
  const rules = defaultSeccomp({ ...machine, capabilities: [] })!.syscalls;
  const clone = rules.find((rule) => rule.names.includes('clone'));
  assert.deepEqual(clone?.args, [{ index: 0, value: 0x7e020000, op: 'SCMP_CMP_MASKED_EQ' }]);
  const clone3 = rules.find((rule) => rule.names.includes('clone3'));
  assert.deepEqual([clone3?.action, clone3?.errnoRet], ['SCMP_ACT_ERRNO', 38]);
  const privileged = defaultSeccomp({ ...machine, capabilities: ['CAP_SYS_ADMIN'] });
  assert.ok(allows(privileged, 'clone') && allows(privileged, 'clone3'));
});

test('tracing waits for Linux 4.8', () => {
  const at = (kernelRelease: string) => defaultSeccomp({ arch: 'x64', kernelRelease, capabilities: [] });
  assert.equal(allows(at('4.7.10'), 'ptrace'), false);
  assert.equal(allows(at('4.8.0-rc1'), 'ptrace'), true);
  assert.equal(allows(at('5.15.0-custom'), 'ptrace'), true);
});

test('each architecture has its own names; one we do not know has no profile', () => {
  const arm = defaultSeccomp({ ...machine, arch: 'arm64', capabilities: [] });
  assert.deepEqual(arm?.architectures, ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']);
  assert.equal(allows(arm, 'arch_prctl'), false);
  assert.equal(allows(arm, 'set_tls'), true);
  assert.equal(defaultSeccomp({ ...machine, arch: 'mips', capabilities: [] }), undefined);
});

test('the table names each call once', () => {
  assert.equal(new Set(alwaysAllowed).size, alwaysAllowed.length);
  assert.ok(alwaysAllowed.every((name) => /^[a-z0-9_]+$/.test(name)));
});
