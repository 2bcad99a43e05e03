import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Engine, SystemInfo } from '#api-types';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import { Counts } from './counts.ts';
import { contentType, formatMetrics, type Metric } from './text.ts';

export interface MetricsServer extends AsyncDisposable {
  /** Whose state is told from here on. */
  tellOf(engine: Engine): void;
}

/** `--metrics-addr`: `127.0.0.1:9323`, `:9323`. @throws `invalid-argument` in dockerd's words. */
export function parseMetricsAddress(text: string): { host?: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined) {
    const fact = text.includes(':') ? 'invalid address' : 'missing port in address';
    const message = `failed to start metrics server: error parsing tcp address: address ${text}: ${fact}`;
    throw new EngineError('invalid-argument', message);
  }
  const host = bracketed ?? plain;
  return { ...(host ? { host } : {}), port: Number(port) };
}

/** Serves `/metrics` and counts from now on. @throws `conflict` when the address cannot be had. */
export async function serveMetrics(text: string): Promise<MetricsServer> {
  const address = parseMetricsAddress(text);
  const counts = new Counts();
  let engine: Engine | undefined;
  const server = createServer((request, response) => {
    if (request.url?.split('?', 1)[0] !== '/metrics') return void response.writeHead(404).end('404 page not found\n');
    answer(engine, counts).then(
      (body) => response.writeHead(200, { 'Content-Type': contentType }).end(body),
      (error: unknown) => response.writeHead(500).end(`${messageOf(error)}\n`),
    );
  });
  server.listen(address);
  try {
    await once(server, 'listening');
  } catch (cause) {
    counts[Symbol.dispose]();
    throw new EngineError('conflict', `failed to start metrics server: ${messageOf(cause)}`, { cause });
  }
  log.info('metrics are served', { address: text });
  return {
    tellOf(opened) {
      engine = opened;
    },
    async [Symbol.asyncDispose]() {
      counts[Symbol.dispose]();
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(engine: Engine | undefined, counts: Counts): Promise<string> {
  const own = engine ? engineMetrics(await engine.system.info()) : [];
  const named = [...own, ...counts.metrics()].toSorted((left, right) => (left.name < right.name ? -1 : 1));
  return formatMetrics([...named, ...processMetrics()]);
}

function engineMetrics(info: SystemInfo): Metric[] {
  const gauge = (name: string, help: string, samples: Metric['samples']): Metric => {
    return { name: `engine_daemon_${name}`, help, type: 'gauge', samples };
  };
  const states = { paused: info.ContainersPaused, running: info.ContainersRunning, stopped: info.ContainersStopped };
  const labels = {
    architecture: info.Architecture,
    commit: '',
    daemon_id: info.ID,
    graphdriver: info.Driver,
    kernel: info.KernelVersion,
    os: info.OperatingSystem,
    os_type: info.OSType,
    os_version: info.OSVersion,
    version: info.ServerVersion,
  };
  return [
    gauge(
      'container_states_containers',
      'The count of containers in various states',
      Object.entries(states).map(([state, value]) => ({ labels: { state }, value })),
    ),
    gauge('engine_cpus_cpus', 'The number of cpus that the host system of the engine has', [{ value: info.NCPU }]),
    gauge('engine_info', 'The information related to the engine and the OS it is running on', [{ labels, value: 1 }]),
    gauge('engine_memory_bytes', 'The number of bytes of memory that the host system of the engine has', [
      { value: info.MemTotal },
    ]),
    gauge('events_subscribers_total', 'The number of current subscribers to events', [{ value: info.NEventsListener }]),
  ];
}

function processMetrics(): Metric[] {
  const { user, system } = process.cpuUsage();
  const one = (name: string, help: string, type: Metric['type'], value: number): Metric => {
    return { name: `process_${name}`, help, type, samples: [{ value }] };
  };
  return [
    one('cpu_seconds_total', 'Total user and system CPU time spent in seconds.', 'counter', (user + system) / 1e6),
    one('resident_memory_bytes', 'Resident memory size in bytes.', 'gauge', process.memoryUsage.rss()),
    one(
      'start_time_seconds',
      'Start time of the process since unix epoch in seconds.',
      'gauge',
      Math.round(performance.timeOrigin) / 1000,
    ),
  ];
}
