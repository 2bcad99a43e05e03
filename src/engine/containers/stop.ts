import { delay } from '#concurrency';
import { EngineError, isKind, kindOf, messageOf } from '#errdefs';
import type { EngineContext } from '../context.ts';
import { notRunning } from './attach.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { hasRestartPolicy } from './restart-policy.ts';
import { endRestarting } from './restarting.ts';
import { parseSignal } from './signal.ts';
import { saveContainer } from './store.ts';

const defaultStopSeconds = 10;
const sigkill = 9;
/** How long after SIGKILL a process may take to go before a caller is told. */
const killWaitMs = 20_000;

export interface StopOptions {
  readonly signal?: string;
  /** -1 waits for ever. */
  readonly timeoutSeconds?: number;
  /** False: by the daemon itself, so that a restart policy may bring the container back. */
  readonly byHand?: boolean;
}

/** `POST /containers/{id}/stop`: the stop signal, then SIGKILL when the time is over. @throws `not-modified` when it does not run. */
export async function stopContainer(ctx: EngineContext, reference: string, options: StopOptions = {}): Promise<void> {
  const container = ctx.containers.resolve(reference);
  if (!container.isRunning) throw new EngineError('not-modified', '');
  const signal = stopSignal(container, options, `cannot stop container: ${reference}`);
  const seconds = options.timeoutSeconds ?? container.body.config.StopTimeout ?? defaultStopSeconds;
  container.stopRequested = true;
  if (!(await endRestarting(ctx, container)) && container.isUp) {
    const exited = container.nextExit();
    await sendSignal(ctx, container, signal, options);
    if (!(await endsWithin(exited, seconds))) await killAndWait(ctx, container, exited, options);
  }
  emitContainer(ctx, container, 'stop');
}

/** Asked before anything is done. dockerd answers a signal it does not know with 500 here, and with 400 to `kill`. */
export function stopSignal(container: Container, { signal }: StopOptions, failure: string): number {
  try {
    return parseSignal(signal || container.body.config.StopSignal || 'SIGTERM');
  } catch (cause) {
    throw new EngineError('internal', `${failure}: ${messageOf(cause)}`, { cause });
  }
}

/** Whether it comes to its end in time; with a negative time it is waited for without end. */
export async function endsWithin(exited: Promise<unknown>, seconds: number): Promise<boolean> {
  if (seconds < 0) {
    await exited;
    return true;
  }
  const timer = new AbortController();
  const timeout = delay(seconds * 1000, { signal: timer.signal }).then(
    () => false,
    () => false,
  );
  try {
    return await Promise.race([exited.then(() => true), timeout]);
  } finally {
    timer.abort();
  }
}

/** SIGKILL, and waits until the process is gone. @throws `deadline-exceeded` when the kernel does not let it go. */
export async function killAndWait(
  ctx: EngineContext,
  container: Container,
  exited: Promise<unknown> = container.nextExit(),
  options: StopOptions = {},
): Promise<void> {
  if (options.byHand ?? true) container.stopRequested = true;
  if ((await endRestarting(ctx, container)) || !container.isUp) return;
  await sendSignal(ctx, container, sigkill, options);
  if (!(await endsWithin(exited, killWaitMs / 1000))) {
    throw new EngineError('deadline-exceeded', `container ${container.id}: the process does not end after SIGKILL`);
  }
}

/** `POST /containers/{id}/kill`: just the signal. @throws `conflict` when it does not run. */
export async function killContainer(ctx: EngineContext, reference: string, options: StopOptions = {}): Promise<void> {
  try {
    await killResolved(ctx, ctx.containers.resolve(reference), options);
  } catch (error) {
    throw new EngineError(kindOf(error), `cannot kill container: ${reference}: ${messageOf(error)}`, { cause: error });
  }
}

async function killResolved(ctx: EngineContext, container: Container, options: StopOptions): Promise<void> {
  const signal = parseSignal(options.signal || 'SIGKILL');
  if (!container.isRunning) throw notRunning(container);
  if (signal === sigkill) return await killAndWait(ctx, container, container.nextExit(), options);
  if (endsPolicy(container, signal)) {
    container.stopRequested = true;
    if (await endRestarting(ctx, container)) return;
  }
  await sendSignal(ctx, container, signal);
}

/** As in dockerd: the container's own stop signal means to end it; without one, every signal does. */
function endsPolicy({ body }: Container, signal: number): boolean {
  return !body.config.StopSignal || parseSignal(body.config.StopSignal) === signal;
}

async function sendSignal(
  ctx: EngineContext,
  container: Container,
  signal: number,
  { byHand = true }: StopOptions = {},
): Promise<void> {
  if (byHand) await rememberHand(ctx, container);
  if (container.body.state.status === 'paused') {
    await ctx.runtime.resume(container.id);
    container.setState({ status: 'running' });
  }
  // Told first: the process may be gone before the runtime has said that it sent the signal.
  emitContainer(ctx, container, 'kill', { signal: String(signal) });
  try {
    await ctx.runtime.kill(container.id, signal);
  } catch (error) {
    // Its process has just ended, and the exit is on its way here.
    const isGone = isKind(error, 'failed-precondition') || isKind(error, 'not-found');
    if (container.isUp && !isGone) throw error;
  }
}

/** On disk before the signal is sent: the daemon may be killed before it sees what comes of it. */
async function rememberHand(ctx: EngineContext, container: Container): Promise<void> {
  if (container.body.stoppedByHand) return;
  container.body = { ...container.body, stoppedByHand: true };
  if (hasRestartPolicy(container.body.hostConfig)) await saveContainer(ctx, container);
}
