import type { SyncedFolder as BuilderFolder } from '#builder';
import type { Loading } from '../status/loading.ts';
import type { ClientSession } from './client-session.ts';
import { type FolderSelection, SyncedFolder } from './synced-folder.ts';

/** A folder of the client as the builder takes it: listed when it is needed. `loading` shows what comes. */
export function clientFolder(
  session: ClientSession,
  selection: Omit<FolderSelection, 'followPaths'>,
  loading: Loading,
): BuilderFolder {
  return {
    async list(paths, options) {
      const narrowed = paths ? { ...selection, followPaths: paths } : selection;
      const folder = await SyncedFolder.open(session, narrowed, options);
      const listed = loading.counted(folder.listed(), folder.listingBytes);
      return { ...listed, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
    },
  };
}
