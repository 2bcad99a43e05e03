import { posix } from 'node:path';
import { EngineError } from '#errdefs';
import { checkVolumeName } from '#volume';
import {
  anonymousVolume,
  cleanDestination,
  notBothWays,
  type ParsedMount,
  propagations,
  sharesMounts,
} from './planned-mount.ts';

/** dockerd gives these no status of their own: 500. */
const invalid = (message: string) => new EngineError('unknown', message);

/** `source:destination[:mode]`, `name:destination[:mode]`, or `destination` for a volume without a name. @throws `unknown` in Docker's words. */
export function parseBind(spec: string, readOnlyNonRecursive: boolean): ParsedMount {
  const { source, destination, mode } = bindParts(spec);
  const isBind = source.startsWith('/');
  const fault = (message: string) =>
    invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "${isBind ? 'bind' : 'volume'}": ${message}`,
    );
  if (destination === '') throw fault('field Target must not be empty');
  if (!destination.startsWith('/')) throw fault(`invalid mount path: '${destination}' mount path must be absolute`);
  if (posix.normalize(destination) === '/') throw fault("invalid specification: destination can't be '/'");
  if (source === '') return { copyUp: true, mount: { ...anonymousVolume(cleanDestination(destination)), mode: 'z' } };
  const modes = parseModes(mode, spec);
  if (isBind && modes.noCopy) throw fault('field VolumeOptions must not be specified');
  if (!isBind && modes.propagation !== '') throw fault('field BindOptions must not be specified');
  if (isBind) {
    return {
      copyUp: false,
      mount: {
        kind: 'bind',
        source: posix.normalize(source),
        destination: cleanDestination(destination),
        mode,
        readOnly: modes.readOnly,
        propagation: modes.propagation || 'rprivate',
        recursive: true,
        readOnlyNonRecursive,
        ...(modes.idmap ? { idmap: true as const } : {}),
      },
    };
  }
  checkVolumeName(source);
  return {
    copyUp: !modes.noCopy,
    mount: {
      kind: 'volume',
      name: source,
      source: '',
      destination: cleanDestination(destination),
      mode: mode === '' ? 'z' : mode,
      readOnly: modes.readOnly,
      anonymous: false,
    },
  };
}

function bindParts(spec: string): { source: string; destination: string; mode: string } {
  const parts = spec.split(':');
  const [first = '', second = '', mode = ''] = parts;
  if (first === '' || parts.length > 3 || (parts.length === 2 && isMode(second))) {
    throw invalid(`invalid volume specification: '${spec}'`);
  }
  return parts.length === 1 ? { source: '', destination: first, mode } : { source: first, destination: second, mode };
}

const isMode = (text: string) =>
  text !== '' &&
  text.split(',').every((word) => propagations.has(word) || modeKinds.some(([, words]) => words.includes(word)));

const modeKinds: readonly (readonly [
  kind: 'access' | 'label' | 'copy' | 'consistency' | 'idmap',
  words: readonly string[],
])[] = [
  ['idmap', ['idmap']],
  ['access', ['ro', 'rw']],
  ['label', ['z', 'Z']],
  ['copy', ['nocopy']],
  // What Docker Desktop's shared folders go by; elsewhere all are the same.
  ['consistency', ['consistent', 'cached', 'delegated']],
];

/** `ro,rslave`: at most one word of a kind. */
function parseModes(
  mode: string,
  spec: string,
): { readOnly: boolean; noCopy: boolean; propagation: string; idmap: boolean } {
  const chosen = new Map<string, string>();
  for (const word of mode === '' ? [] : mode.split(',')) {
    const kind = propagations.has(word) ? 'propagation' : modeKinds.find(([, words]) => words.includes(word))?.[0];
    if (kind === undefined || chosen.has(kind)) throw invalid(`invalid mode: ${mode}`);
    chosen.set(kind, word);
  }
  const idmap = chosen.has('idmap');
  if (idmap && !spec.startsWith('/')) throw invalid(`invalid mode: ${mode}`);
  if (idmap && sharesMounts(chosen.get('propagation'))) throw invalid(`invalid mode: ${mode}: ${notBothWays}`);
  return {
    readOnly: chosen.get('access') === 'ro',
    noCopy: chosen.has('copy'),
    propagation: chosen.get('propagation') ?? '',
    idmap,
  };
}
