import { spawn } from 'node:child_process';
import type { ChangeItem, ContainerTop } from '#api-types';
import { EngineError, kindOf, messageOf } from '#errdefs';
import { readAll } from '#streams';
import type { EngineContext } from '../context.ts';
import { notRunning } from './attach.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { renameInLinks } from './links/index.ts';
import { refuseRestarting } from './restarting.ts';
import { saveContainer } from './store.ts';

const kinds = { modify: 0, add: 1, delete: 2 } as const;

/** `GET /containers/{id}/changes`. */
export async function containerChanges(ctx: EngineContext, reference: string): Promise<ChangeItem[]> {
  const container = ctx.containers.resolve(reference);
  const changes = await ctx.snapshots.changes(container.id);
  return changes.map((change) => ({ Path: change.path, Kind: kinds[change.kind] }));
}

/** `POST /containers/{id}/rename`. @throws `conflict` when the name is taken. */
export async function renameContainer(ctx: EngineContext, reference: string, name: string): Promise<void> {
  const wanted = name.replace(/^\//, '');
  if (reference === '' || wanted === '')
    throw new EngineError('invalid-argument', 'Neither old nor new names may be empty');
  const container = ctx.containers.resolve(reference);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(wanted)) {
    throw new EngineError(
      'invalid-argument',
      `Error when allocating new name: Invalid container name (/${wanted}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  if (wanted === container.name) {
    throw new EngineError('invalid-argument', 'Renaming a container with the same name as its current name');
  }
  using _held = await container.lock.acquire();
  claimNewName(ctx, container, wanted);
  const oldName = container.name;
  container.name = wanted;
  try {
    await saveContainer(ctx, container, true);
  } catch (error) {
    container.name = oldName;
    ctx.containers.releaseName(wanted);
    throw error;
  }
  ctx.containers.releaseName(oldName);
  await renameInLinks(ctx, container);
  emitContainer(ctx, container, 'rename', { oldName: `/${oldName}` });
}

function claimNewName(ctx: EngineContext, container: Container, name: string): void {
  try {
    ctx.containers.claimName(name, container.id);
  } catch (error) {
    throw new EngineError(kindOf(error), `Error when allocating new name: ${messageOf(error)}`, { cause: error });
  }
}

const maxPsBytes = 16 << 20;

/** `GET /containers/{id}/top`: the host's `ps`, kept to the container's processes. */
export async function containerTop(ctx: EngineContext, reference: string, psArgs = '-ef'): Promise<ContainerTop> {
  const container = ctx.containers.resolve(reference);
  if (!container.isRunning) throw notRunning(container);
  refuseRestarting(container);
  const pids = new Set((await ctx.runtime.processes(container.id)).map(String));
  const args = psArgs === '' ? ['-ef'] : psArgs.split(/\s+/);
  // By number: `-o pid,args` alone shows what shares the daemon's terminal. Some options do not go with it.
  const text = await runPs([...args, `-q${[...pids].join(',')}`]).catch(() => runPs(args));
  const [header = '', ...rows] = text.split('\n').filter((line) => line.trim() !== '');
  const titles = header.trim().split(/\s+/);
  const pidColumn = titles.indexOf('PID');
  if (pidColumn < 0) throw new EngineError('internal', "Couldn't find PID field in ps output");
  const split = (row: string) => {
    const fields = row.trim().split(/\s+/);
    return [...fields.slice(0, titles.length - 1), fields.slice(titles.length - 1).join(' ')];
  };
  const processes = rows.map(split).filter((fields) => pids.has(fields[pidColumn] ?? ''));
  emitContainer(ctx, container, 'top');
  return { Titles: titles, Processes: processes };
}

async function runPs(args: readonly string[]): Promise<string> {
  const child = spawn('ps', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const [output, errors] = await Promise.all([readAll(child.stdout, maxPsBytes), readAll(child.stderr, maxPsBytes)]);
  if ((await closed) !== 0) throw new EngineError('internal', `ps: ${errors.toString().trim().split('\n', 1)[0]}`);
  return output.toString();
}
