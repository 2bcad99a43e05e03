import type { ErrorKind } from '#errdefs';
import type { LayerFile } from './layer-reader.ts';

export type BaseFile = Omit<LayerFile, 'path'> & { readonly path: string | undefined };

export type DeltaJob =
  | { readonly kind: 'diff'; readonly bases: readonly LayerFile[]; readonly layers: readonly LayerFile[] }
  | { readonly kind: 'patch'; readonly bases: readonly BaseFile[] };

/** To a thread that makes pieces: the next one. To one that applies them: a piece. */
export type DeltaRequest = 'next' | Uint8Array;

export type DeltaReply =
  | { readonly piece: { readonly layer: number; readonly bytes: Uint8Array } | undefined }
  | { readonly run: { readonly offset: number; readonly parts: readonly Uint8Array[] } }
  | { readonly failed: ErrorKind; readonly message: string };
