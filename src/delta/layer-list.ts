import { EngineError } from '#errdefs';
import { type Digest, isDigest } from '#oci';
import type { DeltaLayer } from './header.ts';

const firstLine = 'wherry-digests 1';

/** The layers somebody has, as text to carry elsewhere: a first line with the version, then a digest and its bytes a line, sorted. */
export function formatLayerList(layers: readonly DeltaLayer[]): string {
  const lines = layers.map(({ digest, sizeBytes }) => `${digest} ${sizeBytes}`);
  return [firstLine, ...[...new Set(lines)].sort(), ''].join('\n');
}

/** @throws `invalid-argument` for what is no such list. */
export function parseLayerList(text: string): readonly DeltaLayer[] {
  const [first, ...lines] = text.split(/\r?\n/);
  if (first !== firstLine)
    throw new EngineError(
      'invalid-argument',
      `read list of digests: its first line is not ${JSON.stringify(firstLine)}`,
    );
  return lines.filter((line) => line !== '').map(parseLine);
}

function parseLine(line: string, index: number): DeltaLayer {
  const match = /^(\S{1,200}) (\d{1,15})$/.exec(line);
  if (!match || !isDigest(match[1]!))
    throw new EngineError('invalid-argument', `read list of digests: line ${index + 2} is not a digest and a size`);
  return { digest: match[1] as Digest, sizeBytes: Number(match[2]) };
}
