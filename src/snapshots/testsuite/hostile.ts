import { file, folder, hardlink, type Item, symlink } from './layers.ts';

/** Layers that no driver may apply, whatever they try to reach outside of the root. */
export const hostileLayers: readonly { readonly name: string; readonly items: readonly Item[] }[] = [
  { name: 'a path that climbs out', items: [file('../escaped', 'x')] },
  { name: 'a path that climbs out from inside', items: [file('a/../../escaped', 'x')] },
  { name: 'a hardlink to outside', items: [hardlink('a', '../../../../etc/passwd')] },
  { name: 'a hardlink to what is not there', items: [hardlink('a', 'etc/passwd')] },
  { name: 'a hardlink to a folder', items: [folder('d'), hardlink('a', 'd')] },
  { name: 'a whiteout of the parent', items: [folder('d'), file('d/.wh...', '')] },
  { name: 'a whiteout of nothing', items: [file('.wh.', '')] },
  { name: 'an absolute path that climbs out', items: [file('/../escaped', 'x')] },
  { name: 'a symlink that climbs out', items: [symlink('up', '../../../../etc'), file('up/escaped', 'x')] },
  { name: 'a file in a file', items: [file('a', 'x'), file('a/b', 'x')] },
  { name: 'symlinks in a ring', items: [symlink('a', 'b'), symlink('b', 'a'), file('a/x', 'x')] },
  { name: 'a name longer than a filesystem takes', items: [file('n'.repeat(256), 'x')] },
  { name: 'an empty symlink', items: [symlink('a', '')] },
];

/** Layers that try to leave by symlinks and are put inside the root instead. */
export const escapes: readonly Item[] = [
  symlink('absolute', '/etc'),
  file('absolute/escaped', 'x'),
  hardlink('inside', 'absolute/escaped'),
];
