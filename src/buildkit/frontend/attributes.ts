import type { BuildOptions } from '#api-types';
import { EngineError } from '#errdefs';
import { parseBool, parseInteger } from '#http';
import { parsePlatform } from '#oci';
import { parseCacheImports } from '../cache/index.ts';
import { extraHosts, networkMode, ulimits } from './attribute-values.ts';
import { requireCapabilities } from './capabilities.ts';

/** Where the Dockerfile and its context are, in the words of the session. */
export interface DockerfileSource {
  readonly context: string;
  readonly dockerfile: string;
  readonly filename: string;
  /** A URL or a git repository in place of the client's folder. */
  readonly remote?: string;
  /** Of what the remote has, only this folder. */
  readonly subdirectory?: string;
  /** Of a repository its `.git` is wanted, too. */
  readonly keepsGit: boolean;
  /** The Dockerfile is the client's also where the context is not. */
  readonly isOwnDockerfile: boolean;
}

export interface DecodedAttributes {
  readonly options: BuildOptions;
  readonly source: DockerfileSource;
  /** Further contexts, as `kind:what`, by their names. */
  readonly contexts: ReadonlyMap<string, string>;
  /** Folders of other sessions than the build's own: their IDs. */
  readonly folderSessions: ReadonlyMap<string, string>;
  /** What the result is to run on; none is this machine's. */
  readonly platforms: readonly string[];
  /** Images that steps may be taken from, which may have to be brought in. */
  readonly cacheImports: readonly string[];
  /** The result is an index, be it of one. */
  readonly isForSeveral: boolean;
  /** Something else than an image that is asked for. */
  readonly subrequest?: string;
  /** An image that is to read the Dockerfile in place of what is built in. */
  readonly syntax?: string;
}

type Attributes = Readonly<Record<string, string>>;
type Change = (value: string, name: string) => BuildOptions;

const number = (key: keyof BuildOptions): Change => {
  return (value) => ({ [key]: parseInteger(value) });
};

/** Attributes that are options of a build. */
const settings: Readonly<Record<string, Change>> = {
  target: (target) => ({ target }),
  'no-cache': (stages) => (stages === '' ? { nocache: true } : { nocachestages: stages.split(',') }),
  'image-resolve-mode': (mode) => ({ pull: isPull(mode) }),
  'add-hosts': (hosts) => ({ extrahosts: extraHosts(hosts) }),
  'force-network-mode': (mode) => ({ networkmode: networkMode(mode) }),
  'shm-size': number('shmsize'),
  ulimit: (list) => ({ ulimits: ulimits(list) }),
  'cgroup-parent': (cgroupparent) => ({ cgroupparent }),
  memory: number('memory'),
  memswap: number('memswap'),
  cpushares: number('cpushares'),
  cpuperiod: number('cpuperiod'),
  cpuquota: number('cpuquota'),
  cpusetcpus: (cpusetcpus) => ({ cpusetcpus }),
  cpusetmems: (cpusetmems) => ({ cpusetmems }),
  'cache-from': (list) => ({ cachefrom: list.split(',') }),
};

const folderSession = 'local-sessionid:';
const keepGit = 'build-arg:BUILDKIT_CONTEXT_KEEP_GIT_DIR';

/** Read elsewhere, or said of the files alone: where they are from is for provenance, which is not made. */
const others = [
  'platform',
  'cache-imports',
  'filename',
  'context',
  'contextkey',
  'contextsubdir',
  'dockerfilekey',
  'frontend.caps',
  'requestid',
];
const silent = ['cmdline', 'source', 'multi-platform', 'build-arg:BUILDKIT_SYNTAX'];
const silentPrefixes = ['vcs:', folderSession, 'sharedkey:localdir:', 'input:', 'input-metadata:', 'context:'];

/** The attributes of `dockerfile.v0`. @throws `not-implemented` for one that is not honoured, `invalid-argument` for one that cannot be read */
export function decodeAttributes(attributes: Attributes): DecodedAttributes {
  requireCapabilities(attributes['frontend.caps'] ?? '');
  const options: BuildOptions = Object.assign({}, ...Object.entries(attributes).map((entry) => optionOf(...entry)));
  const platforms = (attributes['platform'] ?? '').split(',').filter((platform) => platform !== '');
  for (const platform of platforms) parsePlatform(platform);
  const subrequest = attributes['requestid'];
  const syntax = attributes['build-arg:BUILDKIT_SYNTAX'] ?? attributes['source'];
  return {
    options: {
      ...options,
      ...(platforms[0] ? { platform: platforms[0] } : {}),
      buildargs: withPrefix(attributes, 'build-arg:'),
      labels: withPrefix(attributes, 'label:'),
    },
    source: sourceOf(attributes),
    platforms,
    cacheImports: parseCacheImports(attributes['cache-imports'] || '[]'),
    isForSeveral: platforms.length > 1 || parseBool(attributes['multi-platform'] || 'false') === true,
    contexts: new Map(Object.entries(withPrefix(attributes, 'context:'))),
    folderSessions: new Map(Object.entries(withPrefix(attributes, folderSession))),
    ...(subrequest ? { subrequest } : {}),
    ...(syntax ? { syntax } : {}),
  };
}

/** Build arguments that BuildKit's frontend takes for itself, and that mean something else than a variable. */
const refusedArguments = ['build-arg:BUILDKIT_SANDBOX_HOSTNAME', 'build-arg:BUILDKIT_CACHE_MOUNT_NS'];

function optionOf(name: string, value: string): BuildOptions {
  const setting = settings[name];
  if (setting) return value === '' && name !== 'no-cache' ? {} : setting(value, name);
  const isKnown =
    !refusedArguments.includes(name) &&
    (/^(?:build-arg|label):/.test(name) ||
      others.includes(name) ||
      silent.includes(name) ||
      silentPrefixes.some((prefix) => name.startsWith(prefix)));
  if (isKnown) return {};
  throw new EngineError('not-implemented', `the frontend attribute ${name} is not supported`);
}

function withPrefix(attributes: Attributes, prefix: string): Record<string, string> {
  const entries = Object.entries(attributes).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(entries.map(([name, value]) => [name.slice(prefix.length), value]));
}

function sourceOf(attributes: Attributes): DockerfileSource {
  const contextKey = attributes['contextkey'] || 'context';
  const remote = attributes[contextKey];
  const subdirectory = attributes['contextsubdir'];
  return {
    context: 'context',
    dockerfile: attributes['dockerfilekey'] || 'dockerfile',
    filename: attributes['filename'] || 'Dockerfile',
    keepsGit: parseBool(attributes[keepGit] ?? 'false') ?? false,
    isOwnDockerfile: remote === undefined || attributes['dockerfilekey'] !== undefined,
    ...(remote ? { remote } : {}),
    ...(subdirectory ? { subdirectory } : {}),
  };
}

function isPull(mode: string): boolean {
  if (mode === 'pull') return true;
  if (mode === 'local' || mode === 'default') return false;
  throw new EngineError('invalid-argument', `invalid image-resolve-mode: ${mode}`);
}
