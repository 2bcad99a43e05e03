import { join } from 'node:path';
import { EngineError } from '#errdefs';
import type { VolumeDocument, VolumeInfo } from './types.ts';

type Strings = Readonly<Record<string, string>> | null;

export function encodeVolume(volume: VolumeInfo): VolumeDocument {
  const { name, createdAt, labels, options, anonymous } = volume;
  return { id: name, name, body: { createdMs: createdAt.getTime(), labels, options, anonymous } };
}

/** @throws `data-loss` when the row is not one of ours. */
export function decodeVolume(root: string, { name, body }: VolumeDocument): VolumeInfo {
  const fields = body as Readonly<Record<string, unknown>> | null;
  const createdMs = fields?.['createdMs'];
  if (typeof createdMs !== 'number') throw new EngineError('data-loss', `read volume ${name}: its row is damaged`);
  return {
    name,
    driver: 'local',
    mountpoint: join(root, name, '_data'),
    createdAt: new Date(createdMs),
    labels: strings(name, fields?.['labels']),
    options: strings(name, fields?.['options']),
    anonymous: fields?.['anonymous'] === true,
  };
}

function strings(name: string, value: unknown): Strings {
  if (value === null || value === undefined) return null;
  if (typeof value === 'object' && Object.values(value).every((item) => typeof item === 'string')) {
    return value as Strings;
  }
  throw new EngineError('data-loss', `read volume ${name}: its row is damaged`);
}
