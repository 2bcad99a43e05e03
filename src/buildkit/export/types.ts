import type { BuiltImage, RunningBuild } from '../control/running-build.ts';
import type { BuildKitHost } from '../types.ts';

export interface ExportParts {
  readonly build: RunningBuild;
  readonly host: BuildKitHost;
  /** One per platform, at least one. */
  readonly images: readonly BuiltImage[];
  /** They are platforms of one image. */
  readonly isIndex?: boolean;
}

/** By BuildKit's keys: `containerimage.digest` and so on. */
export type ExportAnswer = Readonly<Record<string, string>>;

export type ExportTask = (parts: ExportParts) => Promise<ExportAnswer>;

/** Reads what a client wrote behind `type=`. `number`: which of the request's exporters it is. @throws for what is not honoured, by its name */
export type Exporter = (attributes: Readonly<Record<string, string>>, number: number) => ExportTask;
