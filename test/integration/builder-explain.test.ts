/** Why a step ran: seeded changes, each to be named. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { BuildCause } from '#api-types';
import type { PackEntry } from '#archive';
import { requireRoot } from '#testing';
import { type BuildInput, openWorkshop, type Workshop } from './builder-fixture.ts';

type Files = Record<string, string | PackEntry>;

interface Seed {
  readonly name: string;
  /** Changes what is built; `dockerfile` is the lines after `FROM tiny` and the seed's own label. */
  readonly change: (input: { files: Files; lines: string[] }) => Partial<BuildInput> | undefined;
  /** The first step that ran, by how its line begins, and its causes; none when all are cached. */
  readonly step?: string;
  readonly causes?: readonly BuildCause[];
  readonly before?: (workshop: Workshop, id: string) => Promise<void>;
}

const lines = [
  'ARG V=1',
  'ENV A=one B=two',
  'COPY src /src',
  'COPY top* /tops/',
  'COPY --chown=5:6 --chmod=640 alone /alone',
  'COPY <<doc /doc\nwritten here\ndoc',
  'RUN echo $V > /dev/null',
  'RUN <<EOF\ntrue\nEOF',
  'WORKDIR /w',
  'USER 5',
  'CMD ["x"]',
];

const file = (mode: number, text: string, owner = 0): PackEntry & { body: Uint8Array } =>
  ({ ...{ type: 'file', path: '', mode, uid: owner, gid: owner }, body: Buffer.from(text) }) as never;
const link = (linkPath: string): PackEntry => ({ type: 'symlink', path: '', linkPath, mode: 0o777 });

const tree = (): Files => ({
  'src/a.js': 'let a;',
  'src/b.js': file(0o644, 'let b;'),
  'src/sub/c.js': 'let c;',
  'src/link': link('a.js'),
  'src/empty': '',
  top1: 'top',
  alone: 'alone',
});

const fileCause = (change: string, path: string, more: object = {}): BuildCause =>
  ({ kind: 'file', change, path, ...more }) as BuildCause;
const variable = (name: string, before: string | null, after: string | null): BuildCause => ({
  ...{ kind: 'variable', name, before, after },
});
const replace = (of: string[], from: string, to: string) => {
  const at = of.findIndex((line) => line.startsWith(from));
  of.splice(at, 1, ...(to === '' ? [] : [to]));
};
const reworded = (name: string, from: string, to: string, step = to): Seed => ({
  name,
  change: (input) => void replace(input.lines, from, to),
  step,
  causes: [{ kind: 'instruction', before: from, after: to }],
});
const inSource = (name: string, change: (files: Files) => void, ...causes: BuildCause[]): Seed => ({
  ...{ name, step: 'COPY src', causes },
  change: ({ files }) => void change(files),
});

const seeds: readonly Seed[] = [
  inSource('content', (files) => (files['src/a.js'] = 'let x;'), fileCause('content', 'src/a.js')),
  inSource('content and size', (files) => (files['src/a.js'] = 'let another;'), fileCause('content', 'src/a.js')),
  inSource('content of an empty file', (files) => (files['src/empty'] = 'x'), fileCause('content', 'src/empty')),
  inSource('content in a folder', (files) => (files['src/sub/c.js'] = 'x'), fileCause('content', 'src/sub/c.js')),
  inSource(
    'mode',
    (files) => (files['src/b.js'] = file(0o755, 'let b;')),
    fileCause('mode', 'src/b.js', { before: '644', after: '755' }),
  ),
  inSource(
    'mode and content',
    (files) => (files['src/b.js'] = file(0o755, 'let x;')),
    fileCause('mode', 'src/b.js', { before: '644', after: '755' }),
    fileCause('content', 'src/b.js'),
  ),
  inSource(
    'rename',
    (files) => {
      files['src/z.js'] = files['src/a.js']!;
      delete files['src/a.js'];
    },
    fileCause('renamed', 'src/z.js', { before: 'src/a.js', after: 'src/z.js' }),
  ),
  inSource(
    'rename into a folder',
    (files) => {
      files['src/sub/a.js'] = files['src/a.js']!;
      delete files['src/a.js'];
    },
    fileCause('renamed', 'src/sub/a.js', { before: 'src/a.js', after: 'src/sub/a.js' }),
  ),
  inSource(
    'symlink target',
    (files) => (files['src/link'] = link('b.js')),
    fileCause('target', 'src/link', { before: 'a.js', after: 'b.js' }),
  ),
  inSource('new file', (files) => (files['src/new'] = 'n'), fileCause('added', 'src/new')),
  inSource(
    'new folder',
    (files) => (files['src/more/new'] = 'n'),
    fileCause('added', 'src/more'),
    fileCause('added', 'src/more/new'),
  ),
  inSource('deleted file', (files) => delete files['src/empty'], fileCause('removed', 'src/empty')),
  inSource(
    'deleted folder',
    (files) => delete files['src/sub/c.js'],
    fileCause('removed', 'src/sub'),
    fileCause('removed', 'src/sub/c.js'),
  ),
  inSource(
    'file to symlink',
    (files) => (files['src/empty'] = link('a.js')),
    fileCause('type', 'src/empty', { before: 'file', after: 'symlink' }),
  ),
  inSource(
    'symlink to file',
    (files) => (files['src/link'] = 'text'),
    fileCause('type', 'src/link', { before: 'symlink', after: 'file' }),
  ),
  inSource(
    'ignore rule',
    (files) => {
      // What a client leaves out, and the file that says so.
      delete files['src/empty'];
      files['.dockerignore'] = '**/*.md\nsrc/emp*\n';
    },
    fileCause('removed', 'src/empty', { ignoredBy: 'src/emp*' }),
  ),
  {
    ...{ name: 'two files at once', step: 'COPY src' },
    change: ({ files }) => void Object.assign(files, { 'src/a.js': 'x', 'src/new': 'y' }),
    causes: [fileCause('content', 'src/a.js'), fileCause('added', 'src/new')],
  },
  {
    ...{ name: 'a file more for a wildcard', step: 'COPY top*' },
    change: ({ files }) => void (files['top2'] = 'x'),
    causes: [fileCause('added', 'top2')],
  },
  {
    ...{ name: 'content of a lone file', step: 'COPY --chown' },
    change: ({ files }) => void (files['alone'] = 'x'),
    causes: [fileCause('content', 'alone')],
  },
  { name: 'a file nobody copies', change: ({ files }) => void (files['other'] = 'x') },
  {
    name: 'owner of a file of the context',
    change: ({ files }) => void (files['src/b.js'] = file(0o644, 'let b;', 7)),
  },
  { name: 'nothing', change: () => undefined },
  { name: 'a proxy', change: () => ({ buildArgs: { HTTP_PROXY: 'http://p' } }) },
  reworded('--chown', lines[4]!, 'COPY --chown=5:7 --chmod=640 alone /alone'),
  reworded('--chmod', lines[4]!, 'COPY --chown=5:6 --chmod=600 alone /alone'),
  reworded('destination', 'COPY src /src', 'COPY src /source'),
  {
    ...{ name: 'heredoc of COPY', step: 'COPY <<doc' },
    change: (input) => void replace(input.lines, 'COPY <<doc', 'COPY <<doc /doc\nwritten there\ndoc'),
    causes: [fileCause('content', 'doc')],
  },
  {
    ...{ name: 'heredoc of RUN', step: 'RUN <<EOF' },
    change: (input) => void replace(input.lines, 'RUN <<EOF', 'RUN <<EOF\ntrue #\nEOF'),
    causes: [{ kind: 'setting', name: 'heredoc' }],
  },
  reworded('default of ARG', 'ARG V=1', 'ARG V=2'),
  {
    ...{ name: 'value of ARG', step: 'RUN echo', causes: [variable('V', '1', '2')] },
    change: () => ({ buildArgs: { V: '2' } }),
  },
  {
    ...{ name: 'ARG that was unset', step: 'RUN echo', causes: [variable('U', null, '1')] },
    before: async () => {},
    change: () => ({ buildArgs: { U: '1' } }),
  },
  {
    ...{ name: 'ARG inside ENV', step: 'ENV N', causes: [variable('W', 'a', 'b')] },
    change: () => ({ buildArgs: { W: 'b' } }),
  },
  reworded('value of ENV', 'ENV A=one B=two', 'ENV A=one B=three'),
  reworded('order of ENV', 'ENV A=one B=two', 'ENV B=two A=one'),
  reworded('reworded RUN', 'RUN echo $V > /dev/null', 'RUN echo  $V > /dev/null'),
  reworded('WORKDIR', 'WORKDIR /w', 'WORKDIR /x'),
  reworded('USER', 'USER 5', 'USER 6'),
  reworded('CMD', 'CMD ["x"]', 'CMD ["y"]'),
  {
    ...{ name: 'an instruction more', step: 'EXPOSE 80', causes: [{ kind: 'new' }] },
    change: (input) => void input.lines.splice(2, 0, 'EXPOSE 80'),
  },
  {
    ...{ name: 'an instruction less', step: 'COPY src', causes: [{ kind: 'step-before', step: 3 }] },
    change: (input) => void replace(input.lines, 'ENV A', ''),
  },
  {
    ...{ name: 'network mode', step: 'RUN echo', causes: [{ kind: 'setting', name: 'networkMode' }] },
    change: () => ({ networkMode: 'none' }),
  },
  {
    ...{ name: 'no cache', step: 'ARG', causes: [{ kind: 'no-cache' }] },
    change: () => ({ noCache: true }),
  },
  {
    ...{ name: 'an image removed', step: 'CMD', causes: [{ kind: 'image-removed' }] },
    before: async ({ host }, id) => void (await host.metadata.images.remove(id as never)),
    change: () => undefined,
  },
];

/** Lines that only some seeds need, so that the others stay as they are. */
const extraLines: Readonly<Record<string, (of: string[]) => void>> = {
  'ARG that was unset': (of) => void of.splice(1, 0, 'ARG U'),
  'ARG inside ENV': (of) => void of.splice(1, 0, 'ARG W=a', 'ENV N=$W'),
};

test('every seeded change is named, and only that', async (t: TestContext) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  assert.ok(seeds.length >= 40);
  for (const [number, seed] of seeds.entries()) {
    await t.test(seed.name, async () => {
      const written = [...lines];
      extraLines[seed.name]?.(written);
      const dockerfile = (of: readonly string[]) => ['FROM tiny', `LABEL seed=${number}`, ...of, ''].join('\n');
      const files = tree();
      const first = await workshop.build({ files: { ...files, Dockerfile: dockerfile(written) } });
      await seed.before?.(workshop, first.id);
      const input = { files, lines: written };
      const more = seed.change(input) ?? {};
      // A record of the same millisecond would be one of this build.
      await new Promise((resolve) => setTimeout(resolve, 2));
      const built = await workshop.build({ files: { ...files, Dockerfile: dockerfile(input.lines) }, ...more });
      const ran = built.explanations.filter((step) => step.outcome === 'run' && !step.text.startsWith('LABEL seed'));
      assert.equal(
        ran[0]?.text.startsWith(seed.step ?? '\0') ?? false,
        seed.step !== undefined,
        JSON.stringify(ran[0]),
      );
      assert.deepEqual(ran[0]?.causes, seed.causes);
      for (const { step, causes } of ran.slice(1)) {
        const known = causes.some(({ kind }) => ['step-before', 'no-cache', 'variable', 'setting'].includes(kind));
        assert.ok(known, `step ${step}: ${JSON.stringify(causes)}`);
      }
    });
  }
});

test('a base that moved, and a stage that was copied from', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const dockerfile = 'FROM tiny AS made\nCOPY f /f\nFROM tiny\nCOPY --from=made /f /g\n';
  const before = await workshop.build({ files: { Dockerfile: dockerfile, f: '1' } });
  const changed = await workshop.build({ files: { Dockerfile: dockerfile, f: '2' } });
  const causes = changed.explanations.map((step) => [step.step, step.causes]);
  assert.deepEqual(causes, [
    [2, [fileCause('content', 'f')]],
    [4, [fileCause('content', 'f')]],
  ]);
  const tiny = workshop.host.metadata.images.byName('docker.io/library/tiny:latest')!.id;
  const moved = await workshop.build({
    files: { Dockerfile: 'FROM tiny\nLABEL moved=1\n' },
    tags: ['docker.io/library/tiny:latest'],
  });
  const rebuilt = await workshop.build({ files: { Dockerfile: dockerfile, f: '2' } });
  assert.deepEqual(rebuilt.explanations[0]?.causes, [{ kind: 'base', before: tiny, after: moved.id }]);
  assert.notEqual(before.id, rebuilt.id);
});

test('a rename of a file too large to be read again for it is a file that is gone and one that is new', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const large = 'x'.repeat(33 << 20);
  const dockerfile = 'FROM tiny\nCOPY d /d\n';
  await workshop.build({ files: { Dockerfile: dockerfile, 'd/a': large } });
  const { explanations } = await workshop.build({ files: { Dockerfile: dockerfile, 'd/b': large } });
  assert.deepEqual(explanations[0]?.causes, [fileCause('removed', 'd/a'), fileCause('added', 'd/b')]);
});

test('of 3,000 files the one that changed is named, until what is kept of them is pruned', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const files: Files = {};
  for (let n = 0; n < 3000; n++) files[`d/${n % 50}/f${n}`] = `${n}`;
  const build = async () => {
    // A record of the same millisecond would be one of this build.
    await new Promise((resolve) => setTimeout(resolve, 2));
    const { explanations } = await workshop.build({ files: { ...files, Dockerfile: 'FROM tiny\nCOPY d /d\n' } });
    return explanations[0]?.causes;
  };
  assert.deepEqual(await build(), [{ kind: 'new' }]);
  files['d/0/f0'] = 'first';
  files['d/49/f2999'] = 'last';
  assert.deepEqual(await build(), [fileCause('content', 'd/0/f0'), fileCause('content', 'd/49/f2999')]);
  delete files['d/7/f57'];
  files['d/7/renamed'] = '57';
  assert.deepEqual(await build(), [fileCause('renamed', 'd/7/renamed', { before: 'd/7/f57', after: 'd/7/renamed' })]);
  files['d/8/new'] = 'new';
  assert.deepEqual(await build(), [fileCause('added', 'd/8/new')]);
  for (let n = 0; n < 1500; n++) files[`d/${n % 50}/f${n}`] = `changed ${n}`;
  const many = (await build()) ?? [];
  assert.deepEqual([many.length, many.at(-1)], [1001, { kind: 'files' }]);
  await workshop.host.fileLists.keepOnly(new Set());
  files['d/8/new'] = 'newer';
  assert.deepEqual(await build(), [{ kind: 'files' }]);
  files['d/8/new'] = 'newest';
  assert.deepEqual(await build(), [fileCause('content', 'd/8/new')]);
});
