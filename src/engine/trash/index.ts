/** What was removed and can be brought back for a while. */
export { Ballast } from './ballast.ts';
export { derivedFrom } from './derived.ts';
export { TrashKeeper } from './keeper.ts';
export { type TrashOptions, TrashPolicy } from './policy.ts';
export { aheadBytes, withRoomAhead } from './room-ahead.ts';
export { asideVolumes, emptyTrash, listUndo, undo } from './undo.ts';
