import type { BlamedFile, BlamedLayer, BlameKind, ImageBlame } from '#api-types';
import { safeName, safeText } from './safe-name.ts';
import { ellipsis, humanSize } from './table.ts';

const wasteKinds: readonly Exclude<BlameKind, 'kept' | 'archive'>[] = [
  'overwritten',
  'deleted',
  'copied',
  'duplicate',
  'repeated',
];
const textWidth = 100;

/** The layers of an image, newest first as in `history`: what made each, its largest files, and what of it is waste. */
export function blameText(blame: ImageBlame, { whole }: { readonly whole: boolean }): string {
  const layers = blame.layers.map((layer, at) => layerText(layer, at, whole)).reverse();
  return [headText(blame), ...layers].join('\n');
}

function headText({ sizeBytes, sums }: ImageBlame): string {
  const waste = wasteKinds.reduce((sum, kind) => sum + sums[kind], 0);
  const share = sizeBytes === 0 ? 0 : (100 * waste) / sizeBytes;
  const parts = wasteKinds.filter((kind) => sums[kind] > 0).map((kind) => `${kind} ${humanSize(sums[kind])}`);
  const detail = parts.length > 0 ? `: ${parts.join(', ')}` : '';
  return `${humanSize(sizeBytes)} (${sizeBytes} bytes), waste ${humanSize(waste)} (${share.toFixed(1)} %)${detail}\n`;
}

function layerText(layer: BlamedLayer, at: number, whole: boolean): string {
  const { sizeBytes, line, text, image, files, largest, waste } = layer;
  const place = line === undefined ? '' : `line ${line}${image ? ` of ${safeName(image)}` : ''}: `;
  const flat = text.replaceAll(/\s+/g, ' ').trim();
  const shown = safeText(whole ? flat : ellipsis(flat, textWidth)) || '-';
  const count = `${files} file${files === 1 ? '' : 's'}`;
  const shownWaste = new Set(waste.map(keyOf));
  const named = [...largest.filter((file) => !shownWaste.has(keyOf(file))), ...waste];
  const rows = named.sort((a, b) => b.sizeBytes - a.sizeBytes).map(fileRow);
  return [`layer ${at}  ${humanSize(sizeBytes)} in ${count}  ${place}${shown}\n`, ...rows, sumRow(layer)].join('');
}

const keyOf = ({ path, pathBytes, kind }: BlamedFile) => `${kind} ${pathBytes ?? path}`;

function fileRow(file: BlamedFile): string {
  const note = file.kind === 'kept' ? '' : `  ${noteOf(file)}`;
  return `  ${humanSize(file.sizeBytes).padStart(7)}  ${safeName(file.path, file.pathBytes)}${note}\n`;
}

function noteOf({ kind, by, of, aspects }: BlamedFile): string {
  const place = of && `layer ${of.layer}${kind === 'duplicate' ? ` ${safeName(of.path)}` : ''}`;
  if (kind === 'copied') return `copied from ${place}: ${aspects?.length ? aspects.join(', ') : 'nothing'} changed`;
  if (kind === 'duplicate') return `duplicate of ${place}`;
  return by === undefined ? kind : `${kind} by layer ${by}`;
}

/** What the layer's bytes come to. */
function sumRow({ sums }: BlamedLayer): string {
  const kinds: readonly BlameKind[] = ['kept', ...wasteKinds, 'archive'];
  const parts = kinds.filter((kind) => sums[kind] > 0).map((kind) => `${kind} ${humanSize(sums[kind])}`);
  return `  = ${parts.join(' + ')}\n`;
}
