/** `RUN --mount`, which dockerd has with BuildKit only. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '#client';
import { withBuilds } from './build-fixture.ts';
import { lines } from './containers-fixture.ts';

const outputOf = (stdout: string): string[] => lines(stdout).filter((line) => line.startsWith('> '));

test('bind mounts: the context, a stage, an image; what is written there is gone, and the targets too', (t) =>
  withBuilds(t, async ({ build, docker }) => {
    const files = {
      'sub/a': 'from the context',
      top: 'one file',
      Dockerfile: [
        'FROM base AS made',
        'RUN mkdir /d && echo staged > /d/x',
        'FROM base',
        'WORKDIR /w',
        'RUN --mount=type=bind,source=sub,target=/src --mount=from=made,source=/d,target=rel,rw echo "> $(cat /src/a) $(cat /w/rel/x)" && touch rel/new && ! touch /src/new',
        'RUN --mount=source=top,target=/etc/deep/top echo "> $(cat /etc/deep/top)"',
        'RUN --mount=from=made,source=/d,target=/d echo "> $(ls /d)"',
        'RUN --mount=from=base,source=/bin,target=/tools ls /tools/busybox',
        'RUN echo "> $(ls -d /src /w/rel /etc/deep /d /tools 2>/dev/null)."',
      ].join('\n'),
    };
    const built = await build(files, '-t', 'result');
    assert.equal(built.status, 0, built.stderr);
    assert.deepEqual(outputOf(built.stdout), ['> from the context staged', '> one file', '> x', '> .']);
    const history = await docker.ok('history', '--no-trunc', '--format', '{{.CreatedBy}}', 'result');
    assert.doesNotMatch(history, /mount=/);

    const again = await build(files);
    assert.equal(again.stdout.match(/Using cache/g)?.length, 7, again.stdout);
    const changed = await build({ ...files, 'sub/a': 'changed' });
    assert.deepEqual(outputOf(changed.stdout).slice(0, 1), ['> changed staged']);
    const elsewhere = await build({ ...files, 'sub/../other': 'not mounted' });
    assert.equal(elsewhere.stdout.match(/Using cache/g)?.length, 7, 'a file that no mount shows');
  }));

test('a prune leaves what the space allows, what was used longest ago goes first', (t) =>
  withBuilds(t, async ({ build, docker, daemon }) => {
    for (const id of ['old', 'new']) {
      const fill = `RUN --mount=type=cache,id=${id},target=/c head -c 3000000 /dev/zero > /c/x`;
      assert.equal((await build({ Dockerfile: `FROM base\n${fill}\n` })).status, 0);
    }
    const mounts = async () =>
      lines(
        await docker.ok('system', 'df', '-v', '--format', '{{range .BuildCache}}{{.CacheType}}={{.Size}};{{end}}'),
      )[0]!
        .split(';')
        .filter((item) => item.startsWith('exec.cachemount'));
    assert.deepEqual(await mounts(), ['exec.cachemount=3MB', 'exec.cachemount=3MB']);
    await using engine = connect(daemon.host);
    const prune = (space: Parameters<typeof engine.pruneBuildCache>[0]) =>
      engine.pruneBuildCache({ all: true, ...space });
    assert.equal((await prune({ maxUsedSpaceBytes: 10_000_000 })).CachesDeleted, null);
    assert.equal((await prune({ minFreeSpaceBytes: 1 })).CachesDeleted, null);
    assert.equal((await prune({ maxUsedSpaceBytes: 1, reservedSpaceBytes: 7_000_000 })).CachesDeleted, null);
    const freed = await prune({ maxUsedSpaceBytes: 4_000_000 });
    assert.ok(freed.SpaceReclaimed! >= 3_000_000, JSON.stringify(freed));
    assert.equal((await mounts()).length, 1);
    const again = await build({ Dockerfile: 'FROM base\nRUN --mount=type=cache,id=new,target=/c echo "> $(ls /c)"\n' });
    assert.deepEqual(outputOf(again.stdout), ['> x'], 'the one used last is there');
  }));

test('cache mounts: kept over builds and restarts, listed, pruned; owner, mode and seed', (t) =>
  withBuilds(t, async ({ build, docker, daemon }) => {
    const files = {
      Dockerfile: [
        'FROM base AS seed',
        'RUN mkdir -m 750 /seed && echo first > /seed/x',
        'FROM base',
        'RUN --mount=type=cache,target=/c echo x >> /c/log; echo "> $(wc -l < /c/log)"',
        'RUN --mount=type=cache,id=owned,target=/o,uid=5,gid=6,mode=0711 echo "> $(stat -c "%u %g %a" /o)"',
        'RUN --mount=type=cache,id=seeded,from=seed,source=/seed,target=/s echo "> $(stat -c %a /s) $(cat /s/x)"; echo later > /s/x',
      ].join('\n'),
    };
    const first = await build(files);
    assert.equal(first.status, 0, first.stderr);
    assert.deepEqual(outputOf(first.stdout), ['> 1', '> 5 6 711', '> 750 first']);
    await daemon.kill();
    await daemon.start();
    const lastThree = files.Dockerfile.replace('wc -l', 'wc  -l')
      .replace('%u %g', '%u  %g')
      .replace('cat /s', 'cat  /s');
    const second = await build({ Dockerfile: lastThree });
    assert.deepEqual(outputOf(second.stdout), ['> 2', '> 5  6 711', '> 750 later']);
    const other = await build({
      Dockerfile: 'FROM base\nRUN --mount=type=cache,id=other,target=/c echo "> $(ls /c)."',
    });
    assert.deepEqual(outputOf(other.stdout), ['> .']);

    const usage = await docker.ok('system', 'df', '-v');
    assert.equal(usage.match(/exec\.cachemount/g)?.length, 4, usage);
    await docker.ok('builder', 'prune', '-f', '--filter', 'type=exec.cachemount');
    assert.doesNotMatch(await docker.ok('system', 'df', '-v'), /exec\.cachemount/);
    const third = await build(files, '--no-cache');
    assert.equal(outputOf(third.stdout)[0], '> 1');
    assert.equal((await docker.ok('system', 'df', '-v')).match(/exec\.cachemount/g)?.length, 3);
  }));

test('cache mounts of builds at the same time: together, one after the other, or apart', (t) =>
  withBuilds(t, async ({ build }) => {
    const step = (sharing: string, name: string) =>
      `FROM base\nRUN --mount=type=cache,id=${sharing},sharing=${sharing},target=/c : ${name}; ls /c/busy 2>/dev/null && echo "> met"; touch /c/busy; sleep 1; rm -f /c/busy`;
    const met = async (sharing: string) => {
      const one = build({ Dockerfile: step(sharing, 'one') });
      await new Promise((resolve) => setTimeout(resolve, 400));
      const two = build({ Dockerfile: step(sharing, 'two') });
      const built = await Promise.all([one, two]);
      for (const { status, stderr } of built) assert.equal(status, 0, stderr);
      return built.flatMap(({ stdout }) => outputOf(stdout));
    };
    assert.deepEqual(await met('locked'), []);
    assert.deepEqual(await met('private'), []);
    assert.deepEqual(await met('shared'), ['> met']);
  }));

test('tmpfs, and mounts that cannot be', (t) =>
  withBuilds(t, async ({ build, docker }) => {
    const tmpfs = await build({
      Dockerfile:
        'FROM base\nRUN --mount=type=tmpfs,target=/t,size=1m touch /t/x; echo "> $(grep " /t " /proc/mounts)"\nRUN echo "> $(ls -d /t 2>&1)"',
    });
    assert.match(outputOf(tmpfs.stdout)[0]!, /^> tmpfs \/t tmpfs rw,.*size=1024k/);
    assert.match(outputOf(tmpfs.stdout)[1]!, /No such file/);
    const faults: readonly (readonly [string, RegExp])[] = [
      ['--mount=type=bind,target=/', /invalid mount target "\/"/],
      [
        '--mount=source=nosuch,target=/x',
        /file not found in build context or excluded by \.dockerignore: stat \/nosuch/,
      ],
      ['--mount=from=base,source=/nosuch,target=/x', /stat \/nosuch: file does not exist/],
      ['--mount=type=cache,source=/a,target=/x', /a source of a cache mount needs from/],
      ['--mount=type=secret,id=a', /line 2: RUN --mount=type=secret,id=a is not supported/],
      ['--mount=from=1,target=/x', /invalid from flag value 1: index out of bounds/],
    ];
    for (const [flag, words] of faults) {
      const failed = await build({ Dockerfile: `FROM base\nRUN ${flag} true\n` });
      assert.notEqual(failed.status, 0, flag);
      assert.match(failed.stderr, words);
    }
    assert.equal(await docker.ok('ps', '-aq'), '');
  }));
