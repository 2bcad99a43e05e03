/**
 * Layers as what they differ in from others: cut by content, found again in base layers, written as pieces that copy and add. Knows files and formats, no
 * stores. Imports errdefs, streams, concurrency, oci, archive. The format is told in docs/load-save.md.
 */
export {
  type DeltaHeader,
  type DeltaLayer,
  formatDeltaHeader,
  maxDeltaHeaderBytes,
  parseDeltaHeader,
} from './header.ts';
export { formatLayerList, parseLayerList } from './layer-list.ts';
export { maxPieceBytes } from './piece.ts';
export { type LayerFile, type LayerPiece, layerPieces, Patcher } from './thread.ts';
