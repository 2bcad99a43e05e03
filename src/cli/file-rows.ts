import type { ImageFile } from '#api-types';
import { safeName } from './safe-name.ts';

const letters: Readonly<Record<ImageFile['type'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  char: 'c',
  block: 'b',
  fifo: 'p',
  socket: 's',
};

/** `drwxr-sr-t`, as ls(1) writes it. */
export function modeText({ type, mode }: Pick<ImageFile, 'type' | 'mode'>): string {
  const bits = Number.parseInt(mode, 8);
  const specials = ['s', 's', 't'].map((letter, at) => ((bits >> (11 - at)) & 1 ? letter : undefined));
  const triples = [6, 3, 0].map((shift, at) => {
    const triple = (bits >> shift) & 7;
    const execute = triple & 1 ? 'x' : '-';
    const special = specials[at];
    const last = special === undefined ? execute : triple & 1 ? special : special.toUpperCase();
    return `${triple & 4 ? 'r' : '-'}${triple & 2 ? 'w' : '-'}${last}`;
  });
  return letters[type] + triples.join('');
}

/** The last name of a path, or all of it. */
export function nameOf(file: ImageFile, whole: boolean): string {
  const bytes = file.pathBytes === undefined ? undefined : Buffer.from(file.pathBytes, 'base64');
  if (whole || file.path === '/') return safeName(file.path, file.pathBytes);
  const name = file.path.slice(file.path.lastIndexOf('/') + 1);
  return safeName(name, bytes?.subarray(bytes.lastIndexOf(0x2f) + 1).toString('base64'));
}

/** `2026-11-21 19:30`, in UTC: an image has no time zone. */
const timeText = (modified: string) => modified.slice(0, 16).replace('T', ' ');

/** Long rows, columns aligned: mode, links, owner, group, size or device, time, name, and where a symlink leads. */
export function longRows(files: readonly ImageFile[], whole: boolean): string {
  const rows = files.map((file) => [
    modeText(file) + (file.xattrs ? '+' : ''),
    String(file.links ?? 1),
    String(file.uid),
    String(file.gid),
    file.device?.replace(':', ', ') ?? String(file.sizeBytes),
  ]);
  const widths = rows.reduce<number[]>((most, row) => row.map((cell, at) => Math.max(most[at] ?? 0, cell.length)), []);
  return rows
    .map((row, at) => {
      const file = files[at]!;
      const [mode = '', ...numbers] = row;
      const cells = [mode.padEnd(widths[0]!), ...numbers.map((cell, column) => cell.padStart(widths[column + 1]!))];
      const target = file.target === undefined ? '' : ` -> ${safeName(file.target, file.targetBytes)}`;
      return `${cells.join(' ')} ${timeText(file.modified)} ${nameOf(file, whole)}${target}\n`;
    })
    .join('');
}
