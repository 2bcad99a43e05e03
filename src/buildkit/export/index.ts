import { EngineError } from '#errdefs';
import { formatReference, parseReference, withDefaultTag } from '#reference';
import type { Solved } from '../control/running-build.ts';
import type { SolveRequest } from '../proto/control_pb.ts';

export interface Export {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What a request wants made of the result; clients from before BuildKit 0.13 name one only. */
export function exportsOf({ exporters, exporter, exporterAttributes }: SolveRequest): readonly Export[] {
  if (exporters.length > 0) return exporters;
  return exporter === '' ? [] : [{ type: exporter, attributes: exporterAttributes }];
}

/** Names that the result gets in the store. @throws `not-implemented` for an exporter that is not there */
export function tagsOf(request: SolveRequest): readonly string[] {
  return exportsOf(request).flatMap(({ type, attributes }) => {
    if (type !== 'moby') throw new EngineError('not-implemented', `exporter ${JSON.stringify(type)} is not supported`);
    return (attributes['name'] ?? '').split(',').filter(Boolean);
  });
}

/** What the client is told of an image that is in the store with its names. */
export async function exportResult(request: SolveRequest, { imageID }: Solved): Promise<Record<string, string>> {
  if (imageID === undefined || exportsOf(request).length === 0) return {};
  const names = tagsOf(request)
    .map((name) => formatReference(withDefaultTag(parseReference(name))))
    .join(',');
  return {
    'containerimage.config.digest': imageID,
    'containerimage.digest': imageID,
    ...(names === '' ? {} : { 'image.name': names }),
  };
}
