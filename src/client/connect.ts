import type { Engine } from '#api-types';
import { type ClientTls, HttpClient, parseHost } from '#http';
import { runBuild, runListedBuild } from './builds.ts';
import { containers, execs } from './containers.ts';
import { images } from './images.ts';
import { networks, system, trash, volumes } from './resources.ts';
import { filtersQuery, Transport } from './transport.ts';

export interface ConnectOptions {
  /** PEM files' content for `tcp://` with TLS. */
  readonly tls?: ClientTls;
  /** Speak this version instead of the newest one; for daemons older than 1.51. */
  readonly apiVersion?: string;
}

/**
 * The engine behind `unix:///path` or `tcp://host:port`. Nothing is sent until the first call.
 *
 * @example
 * await using engine = connect('unix:///run/wherry.sock');
 * for (const image of await engine.images.list()) console.log(image.RepoTags);
 */
export function connect(host: string, options: ConnectOptions = {}): Engine {
  const endpoint = parseHost(host, { tls: options.tls !== undefined });
  const http = new HttpClient(endpoint.kind === 'tcp' && options.tls ? { ...endpoint, tls: options.tls } : endpoint);
  const transport = new Transport(http, options.apiVersion ?? '1.51');
  return {
    images: images(transport),
    containers: containers(transport),
    execs: execs(transport),
    networks: networks(transport),
    volumes: volumes(transport),
    system: system(transport),
    trash: trash(transport),
    build: (context, build = {}) => runBuild(transport, context, build),
    buildListed: (context, build = {}) => runListedBuild(transport, context, build),
    debugBuild: async (container, { signal, command, tty, stdin } = {}) => {
      const path = `/wherry/v1/builds/${encodeURIComponent(container)}/debug`;
      return (await transport.json<{ Id: string }>('POST', path, { json: { command, tty, stdin }, signal })).Id;
    },
    pruneBuildCache: (prune = {}) =>
      transport.json('POST', '/build/prune', {
        query: {
          all: prune.all,
          filters: filtersQuery(prune.filters),
          'reserved-space': prune.reservedSpaceBytes,
          'max-used-space': prune.maxUsedSpaceBytes,
          'min-free-space': prune.minFreeSpaceBytes,
        },
        signal: prune.signal,
      }),
    async [Symbol.asyncDispose]() {
      http[Symbol.dispose]();
    },
  };
}
