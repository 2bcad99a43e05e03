/** Whole builds over real stores, on both unpacking drivers. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { ExitError, isKind } from '#errdefs';
import { requireRoot } from '#testing';
import { openWorkshop, type Workshop } from './builder-fixture.ts';

async function withWorkshop(
  t: TestContext,
  work: (workshop: Workshop) => Promise<void>,
  driver: 'overlay2' | 'vfs' = 'overlay2',
): Promise<void> {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop(driver);
  await work(workshop);
  assert.deepEqual(await workshop.host.snapshots.list(), [], 'no snapshot is left');
  const rest = (await readdir(`${workshop.root}/..`)).filter((name) => name.startsWith('scratch-'));
  assert.deepEqual(rest, [], 'no scratch folder is left');
}

for (const driver of ['overlay2', 'vfs'] as const) {
  test(`a build with everything, on ${driver}`, (t) =>
    withWorkshop(
      t,
      async ({ build, config, files, host }) => {
        const built = await build({
          tags: ['app', 'reg.example:5000/x/app:2'],
          files: {
            Dockerfile:
              'ARG V=1\nFROM tiny AS make\nARG V\nCOPY --chown=app src /src\nRUN cat /src/a > /out && echo $V >> /out\nFROM tiny\nWORKDIR /app\nCOPY --from=make /out /src/a ./\nRUN rm /etc/group && mkdir -p /tmp/x\nCMD ["cat", "out"]\n',
            src: { type: 'directory', path: 'src', mode: 0o700 },
            'src/a': 'hello\n',
          },
        });
        assert.match(built.output, /^Step 1\/10 : ARG V=1\nStep 2\/10 : FROM tiny AS make\n ---> [0-9a-f]{12}\n/);
        assert.match(
          built.output,
          /Successfully tagged app:latest\nSuccessfully tagged reg\.example:5000\/x\/app:2\n$/,
        );
        assert.equal(built.messages.filter((message) => message.aux).length, 2);
        const listed = await files(built.id);
        for (const line of ['app d 755 0:0', 'app/a f 644 1000:1000', 'app/out f 644 0:0', 'tmp/x d 755 0:0']) {
          assert.ok(listed.includes(line), `${line} in\n${listed.join('\n')}`);
        }
        assert.ok(!listed.some((line) => line.startsWith('etc/group ')));
        const image = await config(built.id);
        assert.deepEqual(image.config, { Env: ['PATH=/bin'], Cmd: ['cat', 'out'], WorkingDir: '/app' });
        assert.equal(image.history!.filter((entry) => !entry.empty_layer).length, image.rootfs.diff_ids.length);
        const record = host.metadata.images.get(built.id)!;
        assert.deepEqual(record.names, ['docker.io/library/app:latest', 'reg.example:5000/x/app:2']);
        assert.ok(record.parent && host.metadata.images.get(record.parent)?.names.length === 0);
      },
      driver,
    ));
}

test('the cache: hits, misses for each kind of change, --no-cache, a removed image', (t) =>
  withWorkshop(t, async ({ build, host, steps }) => {
    const dockerfile = 'FROM tiny\nARG A=1\nCOPY f /f\nRUN echo $A\n';
    const files = { Dockerfile: dockerfile, f: '1' };
    const first = await build({ files });
    const again = await build({ files: { ...files, unrelated: 'x' } });
    assert.equal(again.id, first.id);
    assert.equal(again.output.match(/Using cache/g)?.length, 3);
    assert.equal(steps.length, 1);
    const changes = [
      { files: { ...files, f: '2' } },
      { files: { ...files, f: { type: 'symlink', path: 'f', linkPath: 'g', mode: 0o777 } as const, g: '1' } },
      { files, buildArgs: { A: '2' } },
      { files: { ...files, Dockerfile: dockerfile.replace('echo', 'echo x') } },
    ];
    for (const change of changes) {
      const count: number = steps.length;
      assert.notEqual((await build(change)).id, first.id);
      assert.equal(steps.length, count + 1);
    }
    const runs = steps.length;
    await build({ files, noCache: true });
    assert.equal(steps.length, runs + 1);
    await host.metadata.images.remove(first.id);
    assert.equal((await build({ files })).id, first.id);
    assert.equal(steps.length, runs + 2);
  }));

test('what a step leaves in mount points and volumes is not in its layer', (t) =>
  withWorkshop(t, async ({ build, files, config }) => {
    const dockerfile =
      'FROM tiny\nRUN mkdir /v && echo keep > /v/k\nVOLUME /v /new\nRUN echo gone > /v/g; echo gone > /new/g; chmod 700 /new\nRUN echo stays > /etc/own; echo 1 > /s\nRUN true\n';
    const built = await build({ files: { Dockerfile: dockerfile } });
    const listed = await files(built.id);
    const has = (prefix: string) => listed.some((line) => line.startsWith(`${prefix} `));
    for (const path of ['v/k', 'new', 'etc/own', 's']) assert.ok(has(path), path);
    for (const path of ['v/g', 'new/g', 'proc', 'sys', 'dev', 'etc/hosts', 'etc/resolv.conf', 'etc/hostname']) {
      assert.ok(!has(path), path);
    }
    assert.ok(listed.includes('new d 755 0:0'));
    assert.equal((await config(built.id)).history!.at(-1)!.empty_layer, true);
  }));

test('heredocs run and are copied', (t) =>
  withWorkshop(t, async ({ build, files, steps }) => {
    const dockerfile =
      'FROM tiny\nARG N=5\nRUN <<EOF\necho one > /h1\necho $N > /h2\nEOF\nRUN <<S\n#!/bin/sh\necho script > /h3\nS\nCOPY <<a <<b /c/\nn=$N\na\nBB\nb\n';
    const built = await build({ files: { Dockerfile: dockerfile } });
    const listed = await files(built.id);
    assert.deepEqual(
      listed.filter((line) => /^(h\d|c|c\/.*|\.heredoc.*) /.test(line)),
      ['c d 755 0:0', 'c/a f 644 0:0', 'c/b f 644 0:0', 'h1 f 644 0:0', 'h2 f 644 0:0', 'h3 f 644 0:0'],
    );
    assert.deepEqual(steps.at(-1)!.args, ['/.heredoc-S']);
  }));

test('ONBUILD triggers of a base run under its FROM', (t) =>
  withWorkshop(t, async ({ build, files }) => {
    await build({
      tags: ['base'],
      files: { Dockerfile: 'FROM tiny\nONBUILD COPY a /a\nONBUILD RUN echo t > /t\n', a: '' },
    });
    const built = await build({ files: { Dockerfile: 'FROM base\nRUN cat /t\n', a: 'A' } });
    assert.match(built.output, /^Step 1\/2 : FROM base\n# Executing 2 build triggers\n ---> Running in/);
    const listed = await files(built.id);
    assert.ok(listed.includes('a f 644 0:0') && listed.includes('t f 644 0:0'));
  }));

test('what triggers copy from is built, also where nothing else asks for it', (t) =>
  withWorkshop(t, async ({ build, files }) => {
    const source = 'FROM tiny AS unused\nRUN false\nFROM tiny AS source\nRUN echo s > /s\n';
    const inFile = await build({
      files: {
        Dockerfile: `${source}FROM tiny AS base\nONBUILD COPY --from=source /s /one\nFROM base\nRUN cat /one\n`,
      },
    });
    assert.match(inFile.output, /: FROM tiny AS unused\n.*RUN false\n ---> Skipped/s);
    assert.match(inFile.output, /RUN echo s > \/s\n ---> Running in/);
    assert.ok((await files(inFile.id)).includes('one f 644 0:0'));

    await build({ tags: ['triggers'], files: { Dockerfile: 'FROM tiny\nONBUILD COPY --from=source /s /two\n' } });
    const inImage = await build({ files: { Dockerfile: `${source}FROM triggers\nRUN cat /two\n` } });
    assert.match(inImage.output, /RUN false\n ---> Skipped/);
    assert.match(inImage.output, /RUN echo s > \/s\n ---> Using cache/);
    assert.ok((await files(inImage.id)).includes('two f 644 0:0'));

    const missing = build({ files: { Dockerfile: 'FROM triggers\n' } });
    await assert.rejects(missing, /invalid from flag value source/);
  }));

test("a failing command: dockerd's message and code, output first, nothing left, earlier steps cached", (t) =>
  withWorkshop(t, async ({ build, steps }) => {
    const files = { Dockerfile: 'FROM tiny\nRUN echo good\nRUN echo out; echo err >&2; exit 3\nRUN never\n' };
    const failure = await build({ files }).then(
      () => assert.fail('it built'),
      (error: unknown) => error,
    );
    assert.ok(failure instanceof ExitError);
    assert.equal(failure.code, 3);
    assert.equal(
      failure.message,
      "The command '/bin/sh -c echo out; echo err >&2; exit 3' returned a non-zero code: 3",
    );
    const { output } = failure as unknown as { output: string };
    assert.match(output, /Step 3\/4 : RUN echo out.*\n ---> Running in [0-9a-f]{12}\n/);
    assert.ok(output.includes('out\n') && output.includes('\u001b[91merr\n\u001b[0m') && !output.includes('Step 4/4'));
    await assert.rejects(build({ files }));
    assert.equal(steps.length, 3);
  }));

test('an abort ends the step at once and leaves nothing', (t) =>
  withWorkshop(t, async ({ build }) => {
    const controller = new AbortController();
    const started = performance.now();
    const building = build({ files: { Dockerfile: 'FROM tiny\nRUN sleep 60\n' }, signal: controller.signal });
    building.catch(() => {});
    await wait(300);
    controller.abort(new Error('client left'));
    await assert.rejects(building);
    assert.ok(performance.now() - started < 5000);
  }));

test('stages run beside each other and print in order', (t) =>
  withWorkshop(t, async ({ build, steps }) => {
    const stage = (name: string) =>
      `FROM tiny AS ${name}\nRUN echo start ${name}; sleep 0.5; echo end ${name} > /${name}\n`;
    const dockerfile = `${stage('a')}${stage('b')}${stage('c')}FROM tiny AS unused\nRUN false\nFROM tiny\nCOPY --from=a /a /\nCOPY --from=b /b /\nCOPY --from=c /c /\n`;
    const started = performance.now();
    const built = await build({ files: { Dockerfile: dockerfile } });
    const elapsedMs = performance.now() - started;
    assert.equal(steps.length, 3);
    assert.match(built.output, /start a[\s\S]*start b[\s\S]*start c/);
    assert.match(built.output, /Step 8\/12 : RUN false\n ---> Skipped: the target does not need this stage\n/);
    t.diagnostic(`three stages of half a second in ${Math.round(elapsedMs)} ms`);
  }));

test('ten builds at once run a shared step once', (t) =>
  withWorkshop(t, async ({ build, steps }) => {
    const built = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        build({ files: { Dockerfile: `FROM tiny\nRUN sleep 0.3; echo shared\nENV N=${index}\n` } }),
      ),
    );
    assert.equal(steps.length, 1);
    assert.equal(new Set(built.map(({ id }) => id)).size, 10);
    for (const { output } of built) assert.match(output, /shared\n/);
  }));

test('faults are told before anything runs', (t) =>
  withWorkshop(t, async ({ build, steps }) => {
    const faults: readonly (readonly [string, RegExp])[] = [
      ['FROM tiny\nRUN x\nRUN --device=a x\n', /dockerfile line 3: RUN --device is not supported/],
      ['FROM tiny\nRUN x\nEXPOSE abc\n', /Invalid containerPort: abc/],
      ['FROM tiny\nRUN x\nFOO\n', /dockerfile parse error on line 3: unknown instruction: FOO/],
      ['FROM scratch\n', /No image was generated\. Is your Dockerfile empty\?/],
    ];
    for (const [dockerfile, message] of faults) {
      await assert.rejects(build({ files: { Dockerfile: dockerfile } }), message);
    }
    await assert.rejects(build({ files: { f: '' } }), /Cannot locate specified Dockerfile: Dockerfile/);
    await assert.rejects(build({ files: { Dockerfile: 'FROM tiny' }, tags: ['BAD'] }), (error) =>
      isKind(error, 'invalid-argument'),
    );
    await assert.rejects(build({ files: { Dockerfile: '' } }), /the Dockerfile \(Dockerfile\) cannot be empty/);
    assert.equal(steps.length, 0);
  }));

test('quiet builds say only the image', (t) =>
  withWorkshop(t, async ({ build }) => {
    const built = await build({ files: { Dockerfile: 'FROM tiny\nRUN echo x\n' }, quiet: true, tags: ['q'] });
    assert.equal(built.output, `${built.id}\n`);
  }));

test('the store is whole after builds that worked and builds that did not', (t) =>
  withWorkshop(t, async ({ build, host }) => {
    const files = { Dockerfile: 'FROM tiny\nCOPY f /f\nRUN echo x > /x\nCOPY f nope\n', f: '1' };
    await build({ files: { ...files, Dockerfile: files.Dockerfile.replace('COPY f nope\n', '') }, tags: ['kept'] });
    await assert.rejects(build({ files: { ...files, Dockerfile: `${files.Dockerfile}COPY gone /x\n` } }));
    const faults: string[] = [];
    for await (const fault of host.metadata.verify()) faults.push(fault);
    assert.deepEqual(faults, []);
    await host.metadata.images.remove(host.metadata.images.byName('docker.io/library/kept:latest')!.id);
    assert.equal((await host.metadata.collect()).layers.length, 0, 'intermediate images keep their layers');
  }));

test('a source that is not there: what hides it, or what it may have been meant to be', (t) =>
  withWorkshop(t, async ({ build }) => {
    const files = { 'src/index.js': '', 'README.md': '', '.dockerignore': '*.log\nsecret\n' };
    const hints: readonly (readonly [string, string])[] = [
      ['src/indx.js', ' (did you mean src/index.js?)'],
      ['scr/index.js', ' (did you mean src/index.js?)'],
      ['readme.md', ' (did you mean README.md?)'],
      ['build.log', ' (.dockerignore leaves it out: *.log)'],
      ['secret/key', ' (.dockerignore leaves it out: secret)'],
      ['nothing/like/it', ''],
    ];
    for (const [source, hint] of hints) {
      const failed = build({ files: { ...files, Dockerfile: `FROM tiny\nCOPY ${source} /x\n` } });
      const words = `COPY failed: file not found in build context or excluded by .dockerignore: stat ${source}: file does not exist${hint}`;
      await assert.rejects(failed, (error: Error) => error.message === words || assert.fail(error.message));
    }
  }));
