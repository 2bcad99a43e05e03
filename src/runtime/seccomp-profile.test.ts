import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translateSeccomp } from './seccomp-profile.ts';

const facts = { capabilities: ['CAP_CHOWN', 'CAP_KILL'], arch: 'x64', kernelRelease: '5.10.0-1' };
const translated = (profile: object) => translateSeccomp(JSON.stringify(profile), facts);
const deny = (names: string[], more: object = {}) => ({ names, action: 'SCMP_ACT_ERRNO', ...more });

test('a call is taken over when capabilities, architecture and kernel are as it asks', () => {
  const conditions: [name: string, taken: boolean, condition: object][] = [
    ['plain', true, {}],
    ['caps', true, { includes: { caps: ['CAP_CHOWN', 'CAP_KILL'] } }],
    ['caps-missing', false, { includes: { caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } }],
    ['arch', true, { includes: { arches: ['arm64', 'amd64'] } }],
    ['arch-other', false, { includes: { arches: ['arm64'] } }],
    ['kernel', true, { includes: { minKernel: '5.10' } }],
    ['kernel-newer', false, { includes: { minKernel: '5.11' } }],
    ['not-caps', false, { excludes: { caps: ['CAP_SYS_ADMIN', 'CAP_KILL'] } }],
    ['not-caps-missing', true, { excludes: { caps: ['CAP_SYS_ADMIN'] } }],
    ['not-arch', false, { excludes: { arches: ['amd64'] } }],
    ['not-kernel', false, { excludes: { minKernel: '4.8' } }],
  ];
  const syscalls = conditions.map(([name, , condition]) => deny([name], condition));
  const profile = translated({ defaultAction: 'SCMP_ACT_ALLOW', syscalls });
  assert.deepEqual(
    profile?.syscalls.flatMap(({ names }) => names),
    conditions.flatMap(([name, taken]) => (taken ? [name] : [])),
  );
});

test('the rest of a profile goes over as it stands, numbers of 64 bits too', () => {
  const text = `{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"flags":["SECCOMP_FILTER_FLAG_LOG"],
    "archMap":[{"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]},
               {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
    "syscalls":[{"name":"clone","action":"SCMP_ACT_ALLOW","comment":"x","errnoRet":1,
      "args":[{"index":0,"value":18446744073709551615,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}`;
  assert.equal(
    JSON.stringify(translateSeccomp(text, facts)),
    '{"defaultErrnoRet":38,"flags":["SECCOMP_FILTER_FLAG_LOG"],"defaultAction":"SCMP_ACT_ERRNO",' +
      '"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","errnoRet":1,' +
      '"args":[{"index":0,"value":18446744073709551615,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}',
  );
});

test('an empty profile is none; a wrong one is refused in the words of dockerd', () => {
  assert.equal(translated({}), undefined);
  const refused = (profile: object, message: string | RegExp) => assert.throws(() => translated(profile), { message });
  refused({ defaultAction: 'X' }, /runc create failed: string X is not a valid action for seccomp$/);
  refused(
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [deny(['a'], { name: 'b' })] },
    "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
  );
  refused(
    { architectures: ['SCMP_ARCH_X86'], archMap: [{}] },
    "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
  );
  refused(
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [deny(['a'], { includes: { minKernel: 'new' } })] },
    'Decoding seccomp profile failed: invalid kernel version: "new", expected "<kernel>.<major>"',
  );
  assert.throws(() => translateSeccomp('bogus', facts), {
    message: "Decoding seccomp profile failed: invalid character 'b' looking for beginning of value",
  });
});
