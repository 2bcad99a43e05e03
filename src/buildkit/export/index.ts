import { EngineError } from '#errdefs';
import type { RunningBuild, Solved } from '../control/running-build.ts';
import type { SolveRequest } from '../proto/control_pb.ts';
import type { BuildKitHost } from '../types.ts';
import { exportImage } from './image.ts';

export interface Export {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What a request wants made of the result; clients from before BuildKit 0.13 name one only. */
export function exportsOf({ exporters, exporter, exporterAttributes }: SolveRequest): readonly Export[] {
  if (exporters.length > 0) return exporters;
  return exporter === '' ? [] : [{ type: exporter, attributes: exporterAttributes }];
}

/** Before anything is built. @throws `not-found`, `invalid-argument` for what nobody could make of the result */
export function requireExports(request: SolveRequest): void {
  for (const { type } of exportsOf(request)) {
    if (type !== 'moby') throw new EngineError('not-found', `exporter ${JSON.stringify(type)} could not be found`);
  }
}

/** Makes of the result what was asked for; answers what the client is told of it. */
export async function exportResult(
  build: RunningBuild,
  host: BuildKitHost,
  { imageID }: Solved,
): Promise<Record<string, string>> {
  const answer: Record<string, string> = {};
  if (imageID === undefined) return answer;
  for (const { attributes } of exportsOf(build.request)) {
    Object.assign(answer, await exportImage(build, host, imageID, attributes));
  }
  return answer;
}
