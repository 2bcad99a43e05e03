import type {
  ArchiveStat,
  AttachedStreams,
  BuildOptions,
  ContainerInspect,
  ContainerLogs,
  Containers,
  ExecInspect,
  Execs,
  WaitAnswer,
} from '#api-types';
import { EngineError } from '#errdefs';
import { type Connection, decodeFrames } from '#http';
import { type ByteSource, readAll } from '#streams';
import { decode, filtersQuery, type QueryValues, type Transport } from './transport.ts';

const maxWaitBytes = 1 << 20;
const one = (id: string) => `/containers/${encodeURIComponent(id)}`;

/** Frames as output; a terminal's bytes are all standard output. */
async function* output(
  source: ByteSource,
  multiplexed: boolean,
): AsyncGenerator<{ stream: 'stdout' | 'stderr'; data: Uint8Array }> {
  if (!multiplexed) {
    for await (const data of source) yield { stream: 'stdout', data };
    return;
  }
  for await (const frame of decodeFrames(source)) {
    if (frame.stream === 'stdout' || frame.stream === 'stderr') yield { stream: frame.stream, data: frame.data };
  }
}

function attached(connection: Connection, multiplexed: boolean): AttachedStreams {
  return {
    tty: !multiplexed,
    output: output(connection.input, multiplexed),
    write: (data) => connection.write(data),
    closeInput: () => connection.end(),
    async [Symbol.asyncDispose]() {
      connection.destroy();
      await connection.closed;
    },
  };
}

export function containers(transport: Transport): Containers {
  const post = (id: string, verb: string, query: QueryValues = {}, signal?: AbortSignal) =>
    transport.call('POST', `${one(id)}/${verb}`, { query, signal });
  return {
    list: (options = {}) =>
      transport.json('GET', '/containers/json', {
        query: { all: options.all, limit: options.limit, size: options.size, filters: filtersQuery(options.filters) },
      }),
    create: (config, options = {}) =>
      transport.json('POST', '/containers/create', {
        query: { name: options.name, platform: options.platform },
        json: config,
      }),
    inspect: (id, options = {}) => transport.json('GET', `${one(id)}/json`, { query: { size: options.size } }),
    start: (id, options = {}) => post(id, 'start', { detachKeys: options.detachKeys }, options.signal),
    stop: (id, options = {}) =>
      post(id, 'stop', {
        signal: options.signal,
        t: options.timeoutSeconds,
      }),
    restart: (id, options = {}) =>
      post(id, 'restart', {
        signal: options.signal,
        t: options.timeoutSeconds,
      }),
    kill: (id, options = {}) => post(id, 'kill', { signal: options.signal }),
    pause: (id) => post(id, 'pause'),
    unpause: (id) => post(id, 'unpause'),
    rename: (id, name) => post(id, 'rename', { name }),
    update: (id, config) => transport.json('POST', `${one(id)}/update`, { json: config }),
    async wait(id, options = {}) {
      const response = await transport.send('POST', `${one(id)}/wait`, {
        query: { condition: options.condition },
        signal: options.signal,
      });
      const result = readAll(response.body, maxWaitBytes, 'wait answer').then((bytes) => decode<WaitAnswer>(bytes));
      result.catch(() => {});
      return { accepted: true, result };
    },
    remove: (id, options = {}) =>
      transport.call('DELETE', one(id), { query: { force: options.force, v: options.volumes, link: options.link } }),
    prune: (options = {}) =>
      transport.json('POST', '/containers/prune', { query: { filters: filtersQuery(options.filters) } }),
    async attach(id, options = {}) {
      const { stdin, stdout, stderr, logs, stream, detachKeys } = options;
      const answer = await transport.hijack(`${one(id)}/attach`, {
        query: { stdin, stdout, stderr, logs, stream, detachKeys },
      });
      return attached(answer.connection, answer.multiplexed);
    },
    resize: (id, size) => post(id, 'resize', { h: size.height, w: size.width }),
    async logs(id, options = {}): Promise<ContainerLogs> {
      const { signal, ...query } = options;
      const response = await transport.send('GET', `${one(id)}/logs`, { query: { ...query }, signal });
      const type = response.headers['content-type'];
      // Before API 1.42 the type did not tell: then the container is asked.
      const tty =
        type === 'application/vnd.docker.raw-stream'
          ? true
          : type === 'application/vnd.docker.multiplexed-stream'
            ? false
            : ((await transport.json<ContainerInspect>('GET', `${one(id)}/json`)).Config.Tty ?? false);
      return { tty, output: output(response.body, !tty), wire: response.body };
    },
    stats: (id, { signal, stream = false, oneShot } = {}) =>
      transport.lines('GET', `${one(id)}/stats`, { query: { stream, 'one-shot': oneShot }, signal }),
    top: (id, psArgs) => transport.json('GET', `${one(id)}/top`, { query: { ps_args: psArgs } }),
    changes: async (id) =>
      (await transport.json<Awaited<ReturnType<Containers['changes']>> | null>('GET', `${one(id)}/changes`)) ?? [],
    export: async (id, options = {}) =>
      (await transport.send('GET', `${one(id)}/export`, { signal: options.signal })).body,
    async archiveStat(id, path) {
      const response = await transport.send('HEAD', `${one(id)}/archive`, { query: { path } });
      return decodeStat(response.headers['x-docker-container-path-stat']);
    },
    async getArchive(id, path, options = {}) {
      const response = await transport.send('GET', `${one(id)}/archive`, { query: { path }, signal: options.signal });
      return { stat: decodeStat(response.headers['x-docker-container-path-stat']), archive: response.body };
    },
    putArchive: (id, path, archive, options = {}) =>
      transport.call('PUT', `${one(id)}/archive`, {
        query: { path, noOverwriteDirNonDir: options.noOverwriteDirNonDir, copyUIDGID: options.copyUIDGID },
        headers: { 'Content-Type': 'application/x-tar' },
        body: archive,
        signal: options.signal,
      }),
  };
}

function decodeStat(header: string | undefined): ArchiveStat {
  if (header === undefined)
    throw new EngineError('data-loss', 'archive answer: X-Docker-Container-Path-Stat is missing');
  return JSON.parse(Buffer.from(header, 'base64').toString('utf8')) as ArchiveStat;
}

export function execs(transport: Transport): Execs {
  return {
    create: (containerID, config) => transport.json('POST', `${one(containerID)}/exec`, { json: config }),
    async start(id, options) {
      const body = {
        Detach: options.detach,
        Tty: options.tty,
        ...(options.consoleSize ? { ConsoleSize: options.consoleSize } : {}),
      };
      if (options.detach) {
        await transport.call('POST', `/exec/${id}/start`, { json: body });
        return undefined;
      }
      const answer = await transport.hijack(`/exec/${id}/start`, { json: body });
      await options.onAccepted?.();
      return attached(answer.connection, answer.multiplexed);
    },
    resize: (id, size) => transport.call('POST', `/exec/${id}/resize`, { query: { h: size.height, w: size.width } }),
    inspect: (id) => transport.json<ExecInspect>('GET', `/exec/${id}/json`),
  };
}

/** `POST /build`'s query from typed options: maps and lists travel as JSON, tags repeat. */
export function buildQuery(options: BuildOptions): QueryValues {
  const json = (value: object | undefined) => (value === undefined ? undefined : JSON.stringify(value));
  return {
    dockerfile: options.dockerfile,
    t: options.t,
    buildargs: json(options.buildargs),
    labels: json(options.labels),
    nocache: options.nocache,
    pull: options.pull,
    rm: options.rm ?? true,
    forcerm: options.forcerm,
    keepfailed: options.keepfailed,
    q: options.q,
    explain: options.explain,
    plan: options.plan,
    rebuild: options.rebuild,
    check: options.check,
    target: options.target,
    platform: options.platform,
    networkmode: options.networkmode,
    extrahosts: options.extrahosts,
    shmsize: options.shmsize,
    memory: options.memory,
    memswap: options.memswap,
    cpushares: options.cpushares,
    cpuperiod: options.cpuperiod,
    cpuquota: options.cpuquota,
    cpusetcpus: options.cpusetcpus,
    cpusetmems: options.cpusetmems,
    cgroupparent: options.cgroupparent,
    ulimits: json(options.ulimits),
    securityopt: json(options.securityopt),
    isolation: options.isolation,
    cachefrom: json(options.cachefrom),
    remote: options.remote,
    squash: options.squash,
  };
}
