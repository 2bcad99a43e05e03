/**
 * The project's own benchmark. Starts our daemon on a private root and drives it with the docker CLI, beside a peer when one is given: sample
 * by sample in turn, so that what else the machine does hits both alike. Quote the ratios; milliseconds are those of one machine on one day.
 *
 * Usage: run.ts [--tasks a,b] [--samples N] [--markdown] [--list] [--files N] [--megabytes M] [--large M] [--images N] [--registry HOST:PORT]
 *               [--buildx PLUGIN] [--peer unix:///run/x.sock [--peer-pid N] [--peer-data-root DIR] [--peer-registry HOST:PORT | --peer-netns PATH]]
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { baseImageTar } from '../scripts/base-image.ts';
import { type Contender, openOurs, openPeer } from './contender.ts';
import { markdownTable, table } from './figures.ts';
import { measure } from './measure.ts';
import { reportHead, reportRows } from './report.ts';
import { deepImage, largeImage, manyImages } from './store-images.ts';
import { syntheticImage } from './synthetic-image.ts';
import type { Bench } from './task.ts';
import { tasks, tasksNamed } from './tasks/index.ts';

const { values } = parseArgs({
  options: {
    tasks: { type: 'string' },
    samples: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    files: { type: 'string', default: '40000' },
    megabytes: { type: 'string', default: '600' },
    large: { type: 'string', default: '500' },
    images: { type: 'string', default: '1000' },
    registry: { type: 'string' },
    buildx: { type: 'string' },
    peer: { type: 'string' },
    'peer-pid': { type: 'string' },
    'peer-data-root': { type: 'string' },
    'peer-registry': { type: 'string' },
    'peer-netns': { type: 'string' },
  },
});
const cache = join(import.meta.dirname, '..', '.cache', 'bench');

if (values.list) {
  for (const task of tasks) console.log(`${task.name} (${Object.keys(task.metrics).join(', ')}): ${task.about}`);
} else {
  await main();
}

async function main(): Promise<void> {
  const chosen = values.tasks === undefined ? tasks : tasksNamed(values.tasks.split(','));
  const bench = await prepareBench();
  await using opened = new AsyncDisposableStack();
  const contenders: Contender[] = [opened.use(await openOurs({ registry: values.registry, buildx: values.buildx }))];
  if (values.peer !== undefined) contenders.push(opened.use(await openPeer(peerOptions(values.peer))));
  const rows: string[][] = [];
  for (const task of chosen) {
    const samples = values.samples === undefined ? task.samples : wholeNumber('samples', values.samples);
    console.error(`${task.name}: ${samples} samples`);
    const measured = await measure(task, contenders, bench, samples);
    rows.push(...reportRows(task, measured));
    for (const { contender, reason } of measured.left) console.error(`${task.name}: ${contender} left out: ${reason}`);
  }
  console.log((values.markdown ? markdownTable : table)(reportHead, rows));
}

async function prepareBench(): Promise<Bench> {
  await mkdir(cache, { recursive: true });
  const baseTar = join(cache, 'base.tar');
  await writeFile(baseTar, baseImageTar());
  const files = wholeNumber('files', values.files);
  const megabytes = wholeNumber('megabytes', values.megabytes);
  const place = async () => ({ cache, baseTar: await readFile(baseTar) });
  return {
    baseTar,
    image: async () => syntheticImage({ files, megabytes, ...(await place()) }),
    deep: async () => deepImage(await place(), 61),
    large: async () => largeImage(await place(), wholeNumber('large', values.large)),
    many: async () => manyImages(await place(), wholeNumber('images', values.images)),
  };
}

function peerOptions(host: string) {
  return {
    host,
    buildx: values.buildx,
    pid: values['peer-pid'] === undefined ? undefined : wholeNumber('peer-pid', values['peer-pid']),
    dataRoot: values['peer-data-root'],
    registry: values['peer-registry'],
    networkNamespace: values['peer-netns'],
  };
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text}: a whole number above 0 is needed`);
  return value;
}
