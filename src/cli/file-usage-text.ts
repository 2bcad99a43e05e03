import type { DuplicateFiles, FileUsage } from '#api-types';
import { safeName } from './safe-name.ts';
import { humanSize, shortID } from './table.ts';

/** What is there several times, and the contents that take most by it. */
export function fileUsageText(usage: FileUsage): string {
  return [usageText(usage), ...usage.groups.map(groupText)].join('\n');
}

function usageText({ layers, files, sizeBytes, duplicateBytes, sharableBytes, sharedBytes }: FileUsage): string {
  const share = sizeBytes === 0 ? 0 : (100 * duplicateBytes) / sizeBytes;
  const found = `${files} files in ${layers} layers: ${humanSize(sizeBytes)}, of which ${humanSize(duplicateBytes)} (${share.toFixed(1)} %) are copies\n`;
  const blocks = `${humanSize(sharableBytes)} of them begin alike in a block of the disk, so that a file system could share it\n`;
  const shared = sharedBytes === null ? '' : `${humanSize(sharedBytes)} are shared\n`;
  return found + blocks + shared;
}

function groupText({ sizeBytes, copies, wastedBytes, files }: DuplicateFiles): string {
  const rows = files.map(({ path, pathBytes, layer, images }) => {
    const shown = images.map((name) => safeName(name.startsWith('sha256:') ? shortID(name) : name));
    return `    ${safeName(path, pathBytes)}  in ${shortID(layer)}${shown.length > 0 ? ` of ${shown.join(', ')}` : ''}\n`;
  });
  const more = copies > files.length ? [`    and ${copies - files.length} more\n`] : [];
  return [`${humanSize(wastedBytes)}  ${copies} copies of ${humanSize(sizeBytes)}\n`, ...rows, ...more].join('');
}
