import type { ImageDifference, ImageFile, ImageFileFacts, Images, ProgressMessage } from '#api-types';
import { readAll } from '#streams';
import { authHeader, type CallSpec, decode, filtersQuery, type QueryValues, type Transport } from './transport.ts';

const maxListBytes = 16 << 20;

const platformJson = (platform: string | undefined) => {
  if (platform === undefined) return undefined;
  const [system = '', architecture = '', variant] = platform.split('/');
  const [, os = '', version] = /^([^(]*)(?:\(([^)+]*)\)$)?/.exec(system) ?? [];
  const osVersion = version ? { 'os.version': version } : {};
  return JSON.stringify({ os, architecture, ...osVersion, ...(variant === undefined ? {} : { variant }) });
};

/** Several platforms are a word of API 1.52. */
function platformsQuery(platforms: readonly string[] = [], query: QueryValues): Pick<CallSpec, 'query' | 'version'> {
  const platform = platforms.map((one) => platformJson(one)!);
  return { query: { ...query, platform }, ...(platform.length > 1 ? { version: '1.52' } : {}) };
}

/** Names keep their slashes: the daemon's routes take them whole. */
const named = (name: string) =>
  `/images/${encodeURIComponent(name).replaceAll('%2F', '/').replaceAll('%3A', ':').replaceAll('%40', '@')}`;

/** Below our own prefix. */
const ownNamed = (name: string) => `/wherry/v1${named(name)}`;

/** A reference split as the API wants it: the name, and its tag or digest. */
export function splitReference(reference: string): { name: string; tag: string | undefined } {
  const digest = /^(.*)@([^@]+)$/.exec(reference);
  if (digest) return { name: digest[1]!.replace(/:[^:/]*$/, ''), tag: digest[2] };
  const tagged = /^(.*):([^:/]+)$/.exec(reference);
  return tagged ? { name: tagged[1]!, tag: tagged[2] } : { name: reference, tag: undefined };
}

/** Without a text no body at all. */
function textBody(text: string | undefined): Pick<CallSpec, 'body' | 'headers'> {
  return text === undefined ? {} : { body: Buffer.from(text), headers: { 'Content-Type': 'text/plain' } };
}

export function images(transport: Transport): Images {
  return {
    list: (options = {}) =>
      transport.json('GET', '/images/json', {
        query: {
          all: options.all,
          'shared-size': options.sharedSize,
          digests: options.digests,
          manifests: options.manifests,
          identity: options.identity,
          filters: filtersQuery(options.filters),
        },
        ...(options.identity ? { version: '1.54' } : {}),
      }),
    inspect: (name, options = {}) =>
      transport.json('GET', `${named(name)}/json`, {
        query: { platform: platformJson(options.platform), manifests: options.manifests },
      }),
    buildReport: (name) => transport.json('GET', `/wherry/v1/builds/${encodeURIComponent(name)}`),
    attestations: (name, options = {}) =>
      transport.json('GET', `${named(name)}/attestations`, {
        query: { platform: platformJson(options.platform), type: options.types, statement: options.statement },
        version: '1.55',
      }),
    history: (name, options = {}) =>
      transport.json('GET', `${named(name)}/history`, { query: { platform: platformJson(options.platform) } }),
    files: (name, { path, recursive, self, noFollow, signal } = {}) =>
      transport.lines<ImageFile>('GET', `${ownNamed(name)}/files`, {
        query: { path, recursive, self, nofollow: noFollow },
        signal,
      }),
    async file(name, path, { signal } = {}) {
      const response = await transport.send('GET', `${ownNamed(name)}/file`, { query: { path }, signal });
      const header = String(response.headers['x-wherry-file'] ?? '');
      return { file: decode<ImageFileFacts>(Buffer.from(header, 'base64')), content: response.body };
    },
    blame: (name, { files, signal } = {}) =>
      transport.json('GET', `${ownNamed(name)}/blame`, { query: { files }, signal }),
    compare: (before, after, { times, signal } = {}) =>
      transport.lines<ImageDifference>('GET', `${ownNamed(before)}/compare`, { query: { with: after, times }, signal }),
    pull(reference, options = {}) {
      const { name, tag } = splitReference(reference);
      return transport.lines<ProgressMessage>('POST', '/images/create', {
        query: { fromImage: name, tag: options.allTags ? undefined : (tag ?? 'latest'), platform: options.platform },
        headers: authHeader(options.auth),
        signal: options.signal,
      });
    },
    push(reference, options = {}) {
      const { name, tag } = splitReference(reference);
      const path = options.compress === undefined ? named(name) : ownNamed(name);
      return transport.lines<ProgressMessage>('POST', `${path}/push`, {
        query: {
          tag: options.allTags ? undefined : (tag ?? 'latest'),
          platform: platformJson(options.platform),
          compress: options.compress,
        },
        headers: authHeader(options.auth),
        signal: options.signal,
      });
    },
    import: (source, options = {}) =>
      transport.lines<ProgressMessage>('POST', '/images/create', {
        query: {
          fromSrc: options.origin ?? '-',
          repo: options.repo,
          tag: options.tag,
          message: options.message,
          changes: options.changes,
          platform: options.platform,
        },
        headers: { 'Content-Type': 'application/x-tar' },
        body: source,
        signal: options.signal,
      }),
    load: (archive, options = {}) =>
      transport.lines<ProgressMessage>('POST', '/images/load', {
        ...platformsQuery(options.platforms, { quiet: options.quiet ?? false }),
        headers: { 'Content-Type': 'application/x-tar' },
        body: archive,
        signal: options.signal,
      }),
    async *save(names, { since, signal, platforms } = {}) {
      const call = platformsQuery(platforms, { names, since: since?.images });
      const response = await (since
        ? transport.send('POST', '/wherry/v1/save', { ...call, ...textBody(since.list), signal })
        : transport.send('GET', '/images/get', { ...call, signal }));
      yield* response.body;
    },
    async digests(names = [], { signal } = {}) {
      const response = await transport.send('GET', '/wherry/v1/digests', { query: { names }, signal });
      return (await readAll(response.body, maxListBytes, 'list of digests')).toString('utf8');
    },
    tag: (source, repo, tag) => transport.call('POST', `${named(source)}/tag`, { query: { repo, tag } }),
    remove: (name, options = {}) =>
      transport.json('DELETE', named(name), {
        query: {
          force: options.force,
          noprune: options.noPrune,
          platforms: options.platforms?.map((platform) => platformJson(platform)!),
        },
      }),
    prune: (options = {}) =>
      transport.json('POST', '/images/prune', {
        query: { filters: filtersQuery(options.filters) },
        signal: options.signal,
      }),
    search: (term, options = {}) =>
      transport.json('GET', '/images/search', {
        query: { term, limit: options.limit, filters: filtersQuery(options.filters) },
        headers: authHeader(options.auth),
        signal: options.signal,
      }),
    distribution: (name, options = {}) =>
      transport.json('GET', `/distribution${named(name).slice('/images'.length)}/json`, {
        headers: authHeader(options.auth),
        signal: options.signal,
      }),
    commit: (container, options = {}) =>
      transport.json('POST', '/commit', {
        query: {
          container,
          repo: options.repo,
          tag: options.tag,
          comment: options.comment,
          author: options.author,
          pause: options.pause ?? true,
          changes: options.changes,
        },
        json: options.config ?? {},
        signal: options.signal,
      }),
  };
}
