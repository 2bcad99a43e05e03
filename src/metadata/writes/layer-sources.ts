import { EngineError } from '#errdefs';
import type { DiffID } from '#oci';
import type { Connection } from '#sqlite';

export const layerSourceWrites = {
  /** In place of those it had. Those it reads from must not give bytes away themselves any more: they have been looked at. */
  'layerSources.put'(database: Connection, { diffID, sources }: { diffID: DiffID; sources: readonly DiffID[] }): void {
    database.run('DELETE FROM layer_sources WHERE diff_id = ?', diffID);
    for (const source of sources) {
      const added = database.run(
        'INSERT INTO layer_sources SELECT blobs.digest, lightened.diff_id FROM blobs, lightened WHERE digest = ? AND lightened.diff_id = ?',
        diffID,
        source,
      );
      if (added === 0) throw new EngineError('failed-precondition', `share layer ${diffID}: it or ${source} is gone`);
    }
  },

  'layerSources.done'(database: Connection, diffID: DiffID): void {
    database.run('INSERT OR IGNORE INTO lightened SELECT digest FROM blobs WHERE digest = ?', diffID);
  },

  'layerSources.release'(
    database: Connection,
    { diffID, sources }: { diffID: DiffID; sources: readonly DiffID[] },
  ): void {
    for (const source of sources)
      database.run('DELETE FROM layer_sources WHERE diff_id = ? AND source = ?', diffID, source);
  },
};
