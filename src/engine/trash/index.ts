/** What was removed and can be brought back for a while. */
export { TrashKeeper } from './keeper.ts';
export { type TrashOptions, TrashPolicy } from './policy.ts';
export { asideVolumes, emptyTrash, listUndo, undo } from './undo.ts';
