import { channel } from 'node:diagnostics_channel';
import type { HealthResult } from '#api-types';
import { delay } from '#concurrency';
import { formatDuration } from '#dockerfile';
import { isErrno, messageOf } from '#errdefs';
import type { RunningProcess } from '#runtime';
import type { EngineContext } from '../context.ts';
import { newID } from '../ids.ts';
import { formatNs, nowNs } from '../time.ts';
import { type HealthCheckDone, healthChannelName } from '../trace.ts';
import type { Container } from './container.ts';
import { emitContainer } from './events.ts';
import { eventCommand, execProcess, rootOf } from './exec.ts';
import type { HealthPlan } from './health-policy.ts';

const checked = channel(healthChannelName);
const maxOutputBytes = 4096;
const exitCodeOfNone = -1;
const sigkillGraceMs = 5_000;

/** Runs a container's check once. Whatever goes wrong with it is its result. */
export async function probeHealth(ctx: EngineContext, container: Container, plan: HealthPlan): Promise<HealthResult> {
  const start = formatNs(nowNs());
  let failed = false;
  const { exitCode, output } = await runProbe(ctx, container, plan).catch((error: unknown) => {
    failed = true;
    return { exitCode: exitCodeOfNone, output: messageOf(error) };
  });
  if (checked.hasSubscribers) checked.publish({ failed } satisfies HealthCheckDone);
  return { Start: start, End: formatNs(nowNs()), ExitCode: exitCode, Output: output };
}

async function runProbe(
  ctx: EngineContext,
  container: Container,
  { command, timeoutMs }: HealthPlan,
): Promise<{ exitCode: number; output: string }> {
  const config = { Cmd: command };
  const id = newID();
  const event = (action: string, attributes: Readonly<Record<string, string>> = {}) =>
    emitContainer(ctx, container, action, { execID: id, ...attributes });
  event(`exec_create: ${eventCommand(config)}`);
  event(`exec_start: ${eventCommand(config)}`);
  const process = await ctx.runtime.exec(container.id, {
    id,
    process: execProcess(ctx, container, config, rootOf(container)),
    openStdin: false,
    attach: true,
  });
  await using attachment = await process.attach();
  const output = new ProbeOutput();
  const finished = output.collect(attachment.output).then(() => process.exited);
  const ended = await within(timeoutMs, finished);
  if (ended) {
    event('exec_die', { exitCode: String(ended.exitCode) });
    return { exitCode: ended.exitCode, output: output.text };
  }
  await endProbe(process);
  const said = output.text === '' ? '' : `: ${output.text}`;
  return {
    exitCode: exitCodeOfNone,
    output: `Health check exceeded timeout (${formatDuration(timeoutMs * 1_000_000)})${said}`,
  };
}

/** Undefined when the work takes longer. */
async function within<T>(limitMs: number, work: Promise<T>): Promise<T | undefined> {
  const timer = new AbortController();
  const limit = delay(limitMs, { signal: timer.signal }).then(
    () => undefined,
    () => undefined,
  );
  work.catch(() => {});
  try {
    return await Promise.race([work, limit]);
  } finally {
    timer.abort();
  }
}

/** Waits for its end, so that checks that hang do not pile up. */
async function endProbe(probe: RunningProcess): Promise<void> {
  if (await within(0, probe.exited)) return;
  try {
    process.kill(probe.pid, 'SIGKILL');
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error;
  }
  await within(sigkillGraceMs, probe.exited);
}

/** The first bytes of both streams; the rest is read and let go of. */
class ProbeOutput {
  readonly #parts: Uint8Array[] = [];
  #sizeBytes = 0;
  #isCut = false;

  async collect(source: AsyncIterable<{ readonly data: Uint8Array }>): Promise<void> {
    for await (const { data } of source) {
      const part = data.subarray(0, maxOutputBytes - this.#sizeBytes);
      this.#isCut ||= part.byteLength < data.byteLength;
      if (part.byteLength === 0) continue;
      this.#parts.push(part);
      this.#sizeBytes += part.byteLength;
    }
  }

  get text(): string {
    const text = Buffer.concat(this.#parts).toString('utf8');
    return this.#isCut ? `${text}...` : text;
  }
}
