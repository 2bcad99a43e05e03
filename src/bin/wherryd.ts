/** Main of the daemon: read flags, open the engine, listen, wait for a signal. */
import { readFile } from 'node:fs/promises';
import { apiServer } from '#api';
import type { Engine } from '#api-types';
import type { ReloadableEngine } from '#engine';
import { EngineError, isKind, messageOf } from '#errdefs';
import { hasGroup, type Listener, listen, requireFreeAddress, type ServerTls } from '#http';
import { log, setLevel, setSink, writeJson } from '#log';
import { type DaemonConfig, defaultGroup, readInvocation } from './daemon-config.ts';
import { UsageError, usage } from './daemon-flags.ts';
import { engineOptions } from './engine-options.ts';
import { collectWhenIdle } from './idle-memory.ts';
import type { MetricsServer } from './metrics/server.ts';
import { claimPidFile } from './pid-file.ts';
import { useProxies } from './proxies.ts';
import { reload } from './reload.ts';
import { verifyDataRoot } from './verify.ts';

const product = 'Wherry/0.1.0';
/** How long answers under way may take once a signal has come. */
const closeGraceMs = 2000;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    const invocation = await readInvocation(args);
    switch (invocation.kind) {
      case 'help':
        process.stdout.write(usage());
        return 0;
      case 'version':
        process.stdout.write(`Wherry version ${product.split('/')[1]}\n`);
        return 0;
      case 'validate':
        process.stdout.write('configuration OK\n');
        return 0;
      case 'verify':
        return await verifyDataRoot(invocation.config);
      case 'run':
        return await serve(invocation.config, args);
      default:
        return invocation satisfies never;
    }
  } catch (error) {
    return explain(error);
  }
}

function explain(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(
      `${error.message}\n\nUsage:  wherryd [OPTIONS]\n\nRun 'wherryd --help' for more information\n`,
    );
    return 125;
  }
  const known = error instanceof EngineError ? messageOf(error) : ((error as Error).stack ?? messageOf(error));
  process.stderr.write(`failed to start daemon: ${known}\n`);
  return 1;
}

async function serve(config: DaemonConfig, args: readonly string[]): Promise<number> {
  setLevel(config.logLevel);
  if (config.logFormat === 'json') setSink(writeJson);
  if (process.getuid?.() !== 0) {
    throw new EngineError('permission-denied', 'wherryd needs to be started with root privileges: run it with sudo');
  }
  for (const notice of config.notices) log.warn(notice);
  const stopped = nextSignal();
  // From the beginning: without a listener the signal would end the process.
  let running: ReloadableEngine | undefined;
  process.on('SIGHUP', () => running && void reload(args, running));
  // Whatever can refuse does so before containers are touched: an engine that opens and closes again would stop those that live on.
  await using _pidFile = await claimPidFile(config.pidFile);
  const tls = await serverTls(config);
  if (config.group !== undefined && config.group !== defaultGroup && !(await hasGroup(config.group))) {
    throw new EngineError('invalid-argument', `failed to load listeners: group ${config.group} not found`);
  }
  for (const host of config.hosts) await requireFreeAddress(host);
  useProxies(config.proxies);
  const { openEngine } = await import('#engine');
  await using _trace = await traceTo(config.traceFile);
  await using metrics = await metricsAt(config.metricsAddress);
  const engine = await openEngine(engineOptions(config));
  metrics?.tellOf(engine);
  running = engine;
  let listeners: Listener[] = [];
  try {
    listeners = await listenAll(config, engine, tls);
    using _idle = collectWhenIdle({ isBusy: () => engine.isBuilding() });
    log.info('API listens', { addresses: listeners.map((listener) => listener.address) });
    log.info('stopping', { signal: await stopped });
  } finally {
    await Promise.all(listeners.map((listener) => listener.close(closeGraceMs)));
    await engine[Symbol.asyncDispose]();
  }
  return 0;
}

async function traceTo(path: string | undefined): Promise<AsyncDisposable | undefined> {
  if (path === undefined) return undefined;
  const { openTraceFile } = await import('./trace-file.ts');
  return await openTraceFile(path);
}

async function metricsAt(address: string | undefined): Promise<MetricsServer | undefined> {
  if (address === undefined) return undefined;
  const { serveMetrics } = await import('./metrics/server.ts');
  return await serveMetrics(address);
}

/** The first signal stops in order; a third one, from somebody who will not wait, at once. */
function nextSignal(): Promise<string> {
  let count = 0;
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (++count >= 3) process.exit(130);
        resolve(signal);
      });
    }
  });
}

async function listenAll(config: DaemonConfig, engine: Engine, tls: ServerTls | undefined): Promise<Listener[]> {
  const listeners: Listener[] = [];
  const { experimental, apiVersion: version } = config;
  try {
    for (const host of config.hosts) {
      const secured = host.kind === 'tcp' && tls ? { tls } : {};
      if (host.kind === 'tcp' && !tls) {
        log.warn('the API listens on TCP without TLS: whoever reaches the port is root on this machine', {
          host: host.host,
        });
      }
      const api = apiServer({ engine, product, experimental, version });
      listeners.push(await listen(host, { ...api, ...secured }));
    }
    return listeners;
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.close()));
    throw error;
  }
}

async function serverTls(config: DaemonConfig): Promise<ServerTls | undefined> {
  if (!config.tls) return undefined;
  const { verify, caFile, certFile, keyFile } = config.tls;
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  return { cert, key, ...(verify ? { ca: await readPem(caFile) } : {}) };
}

async function readPem(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new EngineError('invalid-argument', `could not read TLS file: ${messageOf(cause)}`, { cause });
  }
}

process.on('unhandledRejection', (error) => {
  if (isKind(error, 'canceled')) return;
  log.error('a failure nobody waited for', {
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
});
