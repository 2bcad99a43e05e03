/** `wherry build --explain` and `wherry history --build`, which Docker has nothing like. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { withBuilds } from './build-fixture.ts';
import { lines } from './containers-fixture.ts';

/** Without what a step took. */
const untimed = (line: string) => line.replace(/ {2}\([^()]*\)$/, '');

const program = join(import.meta.dirname, '..', '..', 'bin/wherry');

test('why each step ran: by words, as JSON, and afterwards', (t) =>
  withBuilds(t, async ({ daemon, docker, folder }) => {
    const context = join(folder, 'context');
    await mkdir(join(context, 'src'), { recursive: true });
    await writeFile(join(context, 'src/a.js'), 'one');
    await writeFile(join(context, 'Dockerfile'), 'FROM base\nARG V=1\nCOPY src /src\nRUN echo $V\n');
    const wherry = async (...args: string[]) => {
      const child = spawn(program, ['-H', daemon.host, ...args], {
        cwd: context,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return Buffer.concat(await Array.fromAsync(child.stdout)).toString();
    };
    const explained = async (...args: string[]) => {
      const output = await wherry('build', '-t', 'made', '--explain', ...args, '.');
      return lines(output)
        .filter((line) => /^(cached|run {3}| {10})/.test(line))
        .map(untimed);
    };
    assert.deepEqual(await explained(), [
      'run     step 2: ARG V=1',
      '          nothing like it was built here before',
      'run     step 3: COPY src /src',
      '          nothing like it was built here before',
      'run     step 4: RUN echo $V',
      '          nothing like it was built here before',
    ]);
    await writeFile(join(context, 'src/a.js'), 'two');
    const changed = await explained('--build-arg', 'V=2', '--explain-file', 'why.json');
    assert.deepEqual(changed, [
      'cached  step 2: ARG V=1',
      'run     step 3: COPY src /src',
      '          src/a.js has another content',
      'run     step 4: RUN echo $V',
      '          step 3 left another result',
      '          V was "1", is "2"',
    ]);
    const written = JSON.parse(await readFile(join(context, 'why.json'), 'utf8'));
    assert.deepEqual(written[1].causes, [{ kind: 'file', change: 'content', path: 'src/a.js' }]);
    const [cached, copied, ran] = written;
    assert.deepEqual([cached.tookMs, typeof copied.tookMs, copied.commandMs], [undefined, 'number', undefined]);
    assert.ok(ran.commandMs <= ran.tookMs, JSON.stringify(ran));
    await daemon.kill();
    await daemon.start();
    const shown = lines(await wherry('history', '--build', 'made'));
    assert.deepEqual(shown.map(untimed), changed);
    assert.match(shown[3]!, /^run {5}step 4: RUN echo \$V {2}\(\d.* m?s, \d+ ms of it around the command\)$/);
    assert.deepEqual(JSON.parse(await wherry('history', '--build', '--json', 'made')), written);

    await docker.ok('builder', 'prune', '-af');
    assert.deepEqual((await explained('--build-arg', 'V=2')).slice(0, 4), [
      'run     step 2: ARG V=1',
      '          its result was pruned from the build cache',
      'run     step 3: COPY src /src',
      '          its result was pruned from the build cache',
    ]);
    await writeFile(join(context, 'Dockerfile'), 'FROM base\nARG V=1\nCOPY src /src\nRUN exit 3\n');
    const failed = await explained('--build-arg', 'V=2');
    assert.equal(failed.at(-1), '          the line was: RUN echo $V', 'also of a build that fails');
  }));
