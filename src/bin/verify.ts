import { stat } from 'node:fs/promises';
import type { Engine } from '#api-types';
import { connect } from '#client';
import { EngineError, isKind } from '#errdefs';
import { setLevel } from '#log';
import { dataRootOwner } from '#metadata';
import type { DaemonConfig } from './daemon-config.ts';
import { engineOptions } from './engine-options.ts';

/**
 * `wherryd verify`: rehashes and cross-checks everything below the data root, through the daemon that owns it when one runs. One line per fault on
 * standard output. `--repair` first brings back what it can. Answers the exit status: 0 only when all is well.
 */
export async function verifyDataRoot(config: DaemonConfig): Promise<number> {
  setLevel('error');
  await requireFolder(config.dataRoot);
  await using engine = await reach(config);
  if (config.repair) await repair(engine);
  let faults = 0;
  for await (const fault of engine.system.verify()) {
    process.stdout.write(`${fault}\n`);
    faults++;
  }
  process.stderr.write(faults === 0 ? 'everything is well\n' : `${faults} fault${faults === 1 ? '' : 's'} found\n`);
  return faults === 0 ? 0 : 1;
}

/** Tells what was brought back; what could not be is found again by the look that follows. */
async function repair(engine: Engine): Promise<void> {
  for await (const { Subject, Harm, RepairedFrom, Reason } of engine.system.repair()) {
    const harm = Harm.length > 0 ? ` (${Harm.join(', ')})` : '';
    const outcome = RepairedFrom === undefined ? `not repaired: ${Reason}` : `repaired from ${RepairedFrom}`;
    process.stderr.write(`${Subject}${harm}: ${outcome}\n`);
  }
}

async function requireFolder(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) throw new EngineError('not-found', `verify ${path}: no such data root`);
}

/**
 * Opens the data root here, or asks the daemon that has it. Where an earlier daemon ran its containers is read from the root itself: one
 * that looked elsewhere would take them for ended.
 */
async function reach(config: DaemonConfig): Promise<Engine> {
  const owner = await dataRootOwner(config.dataRoot);
  const options = engineOptions({ ...config, execRoot: config.execRoot ?? owner?.execRoot });
  const { openEngine } = await import('#engine');
  try {
    return await openEngine({ ...options, liveRestore: true, autoRestart: false, sockets: [] });
  } catch (error) {
    if (!isKind(error, 'conflict')) throw error;
    return await reachOwner(config.dataRoot, error);
  }
}

async function reachOwner(dataRoot: string, refusal: unknown): Promise<Engine> {
  for (const socket of (await dataRootOwner(dataRoot))?.sockets ?? []) {
    const engine = connect(socket);
    try {
      await engine.system.ping();
      return engine;
    } catch {
      await engine[Symbol.asyncDispose]();
    }
  }
  throw refusal;
}
