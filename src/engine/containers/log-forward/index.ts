/**
 * Log drivers that send messages elsewhere: `syslog`, `journald`. conmon writes the container's log whatever happens to the daemon; the daemon
 * sends on from there. What is kept of it answers `docker logs`.
 */
import { join } from 'node:path';
import type { EngineContext } from '../../context.ts';
import type { Container } from '../container.ts';
import { expandTag, logAttributes } from '../log-details.ts';
import { containerPaths } from '../paths.ts';
import { LogForwarder } from './forwarder.ts';
import { openJournal } from './journal.ts';
import { type JournalFields, journalName } from './journal-entry.ts';
import type { LogSink } from './sink.ts';
import { openSyslog } from './syslog.ts';

const drainMs = 2_000;
const removedDrainMs = 10_000;
const defaultTag = '{{.ID}}';

/** Before a start: none where the driver sends nothing on. @throws in dockerd's words when there is nobody to send to. */
export async function prepareForward(ctx: EngineContext, container: Container): Promise<void> {
  await container.logForwarder?.stop();
  container.logForwarder = forwarderOf(ctx, container);
  await container.logForwarder?.connect();
}

/** Once the container runs. */
export function beginForward(ctx: EngineContext, container: Container, ended: Promise<unknown>): void {
  const forwarder = container.logForwarder;
  if (forwarder === undefined) return;
  ctx.containers.logForwarders.add(forwarder);
  void forwarder.begin(ended).then(() => ctx.containers.logForwarders.delete(forwarder));
}

/** At the engine's end. What is not sent is left to the next one. */
export async function stopForwards(ctx: EngineContext): Promise<void> {
  await Promise.all([...ctx.containers.logForwarders].map((forwarder) => forwarder.stop()));
}

/** For a container of an earlier daemon: goes on where that one was. */
export function adoptForward(ctx: EngineContext, container: Container, ended: Promise<unknown>): void {
  container.logForwarder = forwarderOf(ctx, container);
  beginForward(ctx, container, ended);
}

/** After a start that failed: what earlier runs left goes on waiting for its server. */
export async function resumeForward(ctx: EngineContext, container: Container): Promise<void> {
  if (container.logForwarder === undefined) return;
  await container.logForwarder.stop();
  adoptForward(ctx, container, Promise.resolve());
}

/** A process has ended: what it wrote is sent before anybody hears of its end, unless the server keeps us waiting. */
export async function drainForward(container: Container): Promise<void> {
  await container.logForwarder?.drained(drainMs);
}

/** The container goes; its log's files stay open for what is still to be sent. */
export function endForward(container: Container): void {
  container.logForwarder?.endWithin(removedDrainMs);
}

function forwarderOf(ctx: EngineContext, container: Container): LogForwarder | undefined {
  const open = sinkOf(container);
  if (open === undefined) return undefined;
  const { folder, log } = containerPaths(ctx, container.id);
  return new LogForwarder({
    open,
    positionPath: join(folder, 'log-position'),
    messages: (follow) => ctx.runtime.logMessages(log, follow),
    name: container.id,
  });
}

function sinkOf(container: Container): (() => Promise<LogSink>) | undefined {
  const { Type: driver, Config } = container.body.hostConfig.LogConfig ?? {};
  const options = Config ?? {};
  if (driver !== 'syslog' && driver !== 'journald') return undefined;
  const tag = expandTag(container, options['tag'] || defaultTag);
  if (driver === 'syslog') return () => openSyslog(options, tag);
  const fields = journalFields(container, tag);
  return () => openJournal(fields);
}

function journalFields(container: Container, tag: string): JournalFields {
  const attributes = Object.entries(logAttributes(container)).map(([name, value]) => [journalName(name), value]);
  return {
    ...Object.fromEntries(attributes.filter(([name]) => name !== '')),
    CONTAINER_ID: container.id.slice(0, 12),
    CONTAINER_ID_FULL: container.id,
    CONTAINER_NAME: container.name,
    CONTAINER_TAG: tag,
    IMAGE_NAME: container.body.image,
    SYSLOG_IDENTIFIER: tag,
  };
}
