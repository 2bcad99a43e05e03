/**
 * The main job from end to end, on this machine, with nothing but what this checkout has: daemon, registry, base image, build, run, push, remove,
 * pull, run again. Everything lives in one private folder that is gone at the end.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { baseImageTar } from './base-image.ts';

const home = join(import.meta.dirname, '..');
const startedMs = Date.now();

if (process.getuid?.() !== 0) {
  console.error('wherry quickstart: containers need root: run `sudo npm run quickstart`');
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'wherry-quickstart-'));
const socket = join(folder, 'wherry.sock');
const children: ChildProcess[] = [];
let failed = false;

function say(text: string): void {
  console.log(`\n\u001b[1m${text}\u001b[0m`);
}

/** As it would be typed; no word here has a single quote. */
function shellWord(text: string): string {
  return /[\s"$]/.test(text) ? `'${text}'` : text;
}

/** Runs `wherry …` as a user would type it, its output shown. */
async function wherry(...args: string[]): Promise<void> {
  console.log(`$ wherry ${args.map(shellWord).join(' ')}`);
  const child = spawn(join(home, 'bin/wherry'), args, {
    stdio: 'inherit',
    env: { ...process.env, WHERRY_HOST: `unix://${socket}` },
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`wherry ${args[0]} ended with status ${code}`);
}

/** A process of the quickstart's own, ready when its port or socket answers. */
async function start(name: string, command: string, args: string[], answersAt: string | number): Promise<void> {
  const log = join(folder, `${name}.log`);
  const child = spawn('sh', ['-c', 'exec "$0" "$@" >"$LOG" 2>&1', command, ...args], {
    stdio: 'ignore',
    env: { ...process.env, LOG: log },
  });
  children.push(child);
  for (let tries = 0; tries < 300; tries++) {
    if (child.exitCode !== null) throw new Error(`${name} ended at once; see ${log}`);
    if (await answers(answersAt)) return;
    await wait(50);
  }
  throw new Error(`${name} does not answer; see ${log}`);
}

function answers(at: string | number): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = typeof at === 'number' ? createConnection(at, '127.0.0.1') : createConnection(at);
    connection.on('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.on('error', () => resolve(false));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(patience);
}

async function mainJob(): Promise<void> {
  const registry = `127.0.0.1:${await freePort()}`;
  say('1. A daemon on a private data root, and our own registry');
  await start(
    'wherryd',
    join(home, 'bin/wherryd'),
    [
      '--data-root',
      join(folder, 'data'),
      '--exec-root',
      join(folder, 'run'),
      '--pidfile',
      join(folder, 'wherryd.pid'),
      '-H',
      `unix://${socket}`,
    ],
    socket,
  );
  await start(
    'registry',
    join(home, 'bin/wherry'),
    ['registry', 'serve', '--root', join(folder, 'registry'), '--addr', registry],
    Number(registry.split(':')[1]),
  );
  console.log(`   daemon at unix://${socket}, registry at ${registry}`);

  say('2. A base image, made on this machine from its busybox');
  writeFileSync(join(folder, 'base.tar'), baseImageTar());
  await wherry(
    'import',
    '--change',
    'ENV PATH=/bin',
    '--change',
    'CMD ["sh"]',
    join(folder, 'base.tar'),
    'wherry-base',
  );

  const image = `${registry}/hello:1`;
  say('3. From Dockerfile to image');
  await wherry('build', '-t', image, join(home, 'examples/hello'));

  say('4. From image to container');
  await wherry('run', '--rm', image);
  await wherry('run', '-d', '--name', 'greeter', image, 'sh', '-c', 'cat $PAGE; sleep 60');
  await wherry('ps');
  await wherry('images');
  await wherry('history', image);
  await wherry('rm', '-f', 'greeter');

  say('5. To a registry and back');
  await wherry('push', image);
  await wherry('rmi', image);
  await wherry('pull', image);
  await wherry('run', '--rm', image);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of children) child.kill('SIGTERM');
  });
}

try {
  await mainJob();
} catch (error) {
  failed = true;
  console.error(`\nwherry quickstart: ${error instanceof Error ? error.message : error}`);
} finally {
  for (const child of children) await stop(child);
  if (!failed || !existsSync(folder)) rmSync(folder, { recursive: true, force: true });
  else console.error(`its files are left for a look: ${folder}`);
}

if (failed) process.exitCode = 1;
else {
  say(`Done in ${((Date.now() - startedMs) / 1000).toFixed(0)} s, and everything is cleaned up. What to try next:`);
  console.log(`  bin/wherryd                          start a daemon; its socket is /run/wherry.sock
  bin/wherry run --rm IMAGE            Docker's commands, or point the docker CLI at it:
  DOCKER_HOST=unix:///run/wherry.sock docker build .
  examples/library.ts                  the same engine inside your own program, no daemon
  docs/ and npm test                   how it works, and the proof that it does`);
}
