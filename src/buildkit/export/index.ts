import { EngineError } from '#errdefs';
import type { SolveRequest } from '../proto/control_pb.ts';
import { exportFolder } from './folder.ts';
import { exportImage } from './image.ts';
import { exportLayout } from './layout.ts';
import { exportTarball } from './tarball.ts';
import type { ExportAnswer, Exporter, ExportParts, ExportTask } from './types.ts';

/** By the names that clients know them by. What a client's driver calls `image` is `moby` on the wire. */
const exporters: Readonly<Record<string, Exporter>> = {
  moby: exportImage,
  image: exportImage,
  local: exportFolder,
  tar: exportTarball,
  oci: (attributes, number) => exportLayout('oci', attributes, number),
  docker: (attributes, number) => exportLayout('docker', attributes, number),
};

/** What a request wants made of its result, checked before anything is built. @throws `not-found`, `invalid-argument`, `not-implemented` */
export function plannedExports(request: SolveRequest): PlannedExports {
  const wishes = wishesOf(request);
  const tasks = wishes.map(({ type, attributes }, number) => {
    const exporter = Object.hasOwn(exporters, type) ? exporters[type] : undefined;
    if (!exporter) throw new EngineError('not-found', `exporter ${JSON.stringify(type)} could not be found`);
    return exporter(attributes, number);
  });
  return { tasks, wantsImage: wishes.some(({ type }) => exporters[type] === exportImage) };
}

export interface PlannedExports {
  readonly tasks: readonly ExportTask[];
  /** In the store, be it without a name. */
  readonly wantsImage: boolean;
}

/** Clients from before BuildKit 0.13 name one only. */
function wishesOf({ exporters, exporter, exporterAttributes }: SolveRequest) {
  if (exporters.length > 0) return exporters;
  return exporter === '' ? [] : [{ type: exporter, attributes: exporterAttributes }];
}

/** One after another; answers what the client is told of the result. */
export async function runExports({ tasks, wantsImage }: PlannedExports, parts: ExportParts): Promise<ExportAnswer> {
  const answer: Record<string, string> = {};
  if (parts.images.length === 0) return answer;
  for (const { id } of parts.images) await parts.host.wanted(id, wantsImage);
  for (const task of tasks) Object.assign(answer, await task(parts));
  return answer;
}
