import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '#testing';
import { decodeCdiSpec } from './decode.ts';
import { cdiDeviceNames, cdiEditsOf, readCdiSpecs } from './index.ts';
import { parseYaml } from './yaml.ts';

test('YAML as generators write it', () => {
  const text = `---
# a comment
kind: "a.b/c" # and one more
list:
- one
- 'it''s'
-   nested: 1
    deep:
      - [a, "b, c", 3]
      - {k: v, n: 0o17}
empty:
yes: true
url: http://x/y#z
`;
  assert.deepEqual(parseYaml(text), {
    kind: 'a.b/c',
    list: ['one', "it's", { nested: 1, deep: [['a', 'b, c', 3], { k: 'v', n: 15 }] }],
    empty: null,
    yes: true,
    url: 'http://x/y#z',
  });
  assert.equal(parseYaml('# nothing\n'), null);
});

test('YAML: what is not understood is refused with its line', () => {
  for (const [text, message] of [
    ['a: &x 1', 'YAML line 1: & is not understood here'],
    ['a: |\n  text', 'YAML line 1: | is not understood here'],
    ['a: 1\n   b: 2', 'YAML line 2: not part of what stands before it'],
    ['a: "open', 'YAML line 1: an open quote, or an escape that is not understood'],
    ['a:\n\tb: 1', 'YAML line 2: a tab as indentation'],
    ['a: [[1]]', 'YAML line 1: a flow collection of more than one level or line'],
  ] as const) {
    assert.throws(() => parseYaml(text), { message });
  }
});

test('a specification that cannot be honoured whole is refused by name', () => {
  const device = { name: 'x', containerEdits: {} };
  for (const [spec, message] of [
    [{ kind: 'nope', devices: [device] }, 'kind "nope" is not vendor/class'],
    [{ kind: 'a.b/c', devices: [] }, 'it has no devices'],
    [
      { kind: 'a.b/c', devices: [device], containerEdits: { intelRdt: {} } },
      'containerEdits.intelRdt is not supported',
    ],
    [
      { kind: 'a.b/c', devices: [{ name: 'x', containerEdits: { hooks: [{ hookName: 'x', path: '/x' }] } }] },
      'devices[0].containerEdits.hooks[0].hookName "x" is none',
    ],
  ] as const) {
    assert.throws(() => decodeCdiSpec(spec), { message });
  }
});

test('devices are found by name, and GPUs by number', async () => {
  await using folder = await temporaryFolder();
  const edits = (value: string) => ({ containerEdits: { env: [`X=${value}`] } });
  const gpu = { kind: 'nvidia.com/gpu', ...edits('common') };
  const devices = ['10', '9', 'all'].map((name) => ({ name, ...edits(name) }));
  await writeFile(join(folder.path, 'gpu.json'), JSON.stringify({ ...gpu, devices }));
  await writeFile(
    join(folder.path, 'other.yaml'),
    'kind: a.b/c\ndevices:\n- name: d\n  containerEdits:\n    env: [X=d]\n',
  );
  await writeFile(join(folder.path, 'broken.json'), '{');
  const folders = [join(folder.path, 'absent'), folder.path];
  const specs = readCdiSpecs(folders);
  assert.deepEqual(cdiDeviceNames(specs), ['a.b/c=d', 'nvidia.com/gpu=10', 'nvidia.com/gpu=9', 'nvidia.com/gpu=all']);
  const env = (request: object) => cdiEditsOf([request], specs, folders).flatMap((edit) => edit.env);
  const gpus = { Capabilities: [['gpu']] };
  assert.deepEqual(env({ Driver: 'cdi', DeviceIDs: ['a.b/c=d'] }), ['X=d']);
  assert.deepEqual(env({ ...gpus, Count: -1 }), ['X=common', 'X=all']);
  assert.deepEqual(env({ ...gpus, Count: 1 }), ['X=common', 'X=9']);
  assert.deepEqual(env({ ...gpus, Driver: 'nvidia', DeviceIDs: ['10', '9'] }), ['X=common', 'X=10', 'X=9']);
  for (const [request, message] of [
    [
      { Driver: 'cdi', DeviceIDs: ['a.b/c=d', 'a.b/c=e', 'x'] },
      'CDI device injection failed: unresolvable CDI devices a.b/c=e, x',
    ],
    [{ Driver: 'cdi', DeviceIDs: ['a.b/c=d'], Count: 1 }, 'unexpected count in CDI device request'],
    [{ Driver: 'cdi', DeviceIDs: ['a.b/c=d'], Options: { a: 'b' } }, 'unexpected options in CDI device request'],
    [{ ...gpus, Count: 3 }, 'could not select 3 devices of nvidia.com/gpu: the CDI specification has 2'],
    [
      { Driver: 'bogus', Capabilities: [['tpu', 'x']] },
      'could not select device driver "bogus" with capabilities: [[tpu x]]',
    ],
  ] as const) {
    assert.throws(() => env(request), { message });
  }
  assert.throws(() => cdiEditsOf([{ ...gpus, Count: -1 }], [], ['/etc/cdi']), {
    message: 'could not select device driver "" with capabilities: [[gpu]]: no CDI specification of a GPU in /etc/cdi',
  });
});
