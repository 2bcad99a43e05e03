import { contextListingVersion } from './limits.ts';
import { type ListedEntry, type ListedFile, type ListingHeader, letters } from './types.ts';

/** Entries in the order of their paths, folders before what is in them, a file before further names of it. */
export function encodeListing({ context, takenMs }: ListingHeader, entries: readonly ListedEntry[]): Buffer {
  const header = JSON.stringify({ version: contextListingVersion, context, takenMs, entries: entries.length });
  return Buffer.from(`${header}\n${entries.map((entry) => `${encodeEntry(entry)}\n`).join('')}`);
}

/** The line of an entry. */
export function encodeEntry(entry: ListedEntry): string {
  const { type, path, mode, mtimeSec } = entry;
  const start = `["${letters[type]}",${quoted(path)},${mode},${mtimeSec}`;
  switch (type) {
    case 'file':
      return `${start},${entry.sizeBytes},${entry.stamp === undefined ? 'null' : `"${entry.stamp}"`}${extras(entry)}]`;
    case 'symlink':
    case 'hardlink':
      return `${start},${quoted(entry.linkPath)}]`;
    case 'char':
    case 'block':
      return `${start},${entry.devMajor},${entry.devMinor}]`;
    default:
      return `${start}]`;
  }
}

function extras({ content, capability }: ListedFile): string {
  if (!content && !capability) return '';
  const base64 = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('base64');
  return `,${JSON.stringify({ content: base64(content), capability: base64(capability) })}`;
}

const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** As JSON.stringify, which takes longer for the names that nearly all files have. */
function quoted(text: string): string {
  return plain.test(text) ? `"${text}"` : JSON.stringify(text);
}
