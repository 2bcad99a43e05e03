import { posix } from 'node:path';
import { EngineError } from '#errdefs';
import { badVolumeName, cleanDestination, type ParsedMount, propagations, volumeNamePattern } from './planned-mount.ts';

const invalid = (message: string) => new EngineError('invalid-argument', message);

/** `source:destination[:mode]` or `name:destination[:mode]`. @throws `invalid-argument` in Docker's words. */
export function parseBind(spec: string, readOnlyNonRecursive: boolean): ParsedMount {
  const parts = spec.split(':');
  if (parts.length < 2 || parts.length > 3 || parts.some((part) => part === '')) {
    throw invalid(`invalid volume specification: '${spec}'`);
  }
  const [source = '', destination = '', mode = ''] = parts;
  if (!destination.startsWith('/')) {
    throw invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "bind": invalid mount path: '${destination}' mount path must be absolute`,
    );
  }
  if (posix.normalize(destination) === '/') {
    throw invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "bind": invalid specification: destination can't be '/'`,
    );
  }
  const modes = parseModes(mode, spec);
  if (source.startsWith('/')) {
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
  if (!volumeNamePattern.test(source)) {
    throw badVolumeName(source);
  }
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

const modeKinds: readonly (readonly [kind: 'access' | 'label' | 'copy' | 'idmap', words: readonly string[]])[] = [
  ['idmap', ['idmap']],
  ['access', ['ro', 'rw']],
  ['label', ['z', 'Z']],
  ['copy', ['nocopy']],
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
  const noCopy = chosen.has('copy');
  if (noCopy && spec.startsWith('/')) throw invalid(`invalid mode: ${mode}`);
  const idmap = chosen.has('idmap');
  if (idmap && !spec.startsWith('/')) throw invalid(`invalid mode: ${mode}`);
  return { readOnly: chosen.get('access') === 'ro', noCopy, propagation: chosen.get('propagation') ?? '', idmap };
}
