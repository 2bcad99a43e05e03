import { EngineError } from '#errdefs';
import type { Digest } from '#oci';
import type { Connection } from '#sqlite';
import type { LayerOrigin, LayerRecord } from '../types.ts';

export const layerWrites = {
  'layers.put'(
    database: Connection,
    { layer, origin, nowMs }: { layer: LayerRecord; origin: LayerOrigin | undefined; nowMs: number },
  ): void {
    requireKept(database, layer.diffID);
    putBlob(database, layer.diffID, layer.sizeBytes, nowMs);
    database.run(
      'INSERT INTO layers VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
      layer.diffID,
      layer.sizeBytes,
      layer.createdMs,
    );
    if (origin) addOrigin(database, origin, nowMs);
  },

  'layers.addOrigin'(database: Connection, { origin, nowMs }: { origin: LayerOrigin; nowMs: number }): void {
    addOrigin(database, origin, nowMs);
  },

  'blobs.put'(
    database: Connection,
    { digest, sizeBytes, nowMs }: { digest: Digest; sizeBytes: number; nowMs: number },
  ): void {
    putBlob(database, digest, sizeBytes, nowMs);
  },
};

function putBlob(database: Connection, digest: Digest, sizeBytes: number, nowMs: number): void {
  database.run(
    'INSERT INTO blobs VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET size = excluded.size',
    digest,
    sizeBytes,
    nowMs,
  );
}

function addOrigin(database: Connection, origin: LayerOrigin, nowMs: number): void {
  database.run(
    'INSERT INTO origins VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET descriptor = excluded.descriptor, seen_ms = excluded.seen_ms',
    origin.descriptor.digest,
    origin.repository,
    origin.diffID,
    JSON.stringify(origin.descriptor),
    nowMs,
  );
}

/** A row nobody holds would be the next collection's: refuse it while the mistake can still be seen. */
function requireKept(database: Connection, digest: Digest): void {
  const kept = database.get(
    `SELECT 1 WHERE EXISTS (SELECT 1 FROM lease_digests WHERE digest = ?1) OR EXISTS (SELECT 1 FROM image_blobs WHERE digest = ?1)
       OR EXISTS (SELECT 1 FROM chains WHERE diff_id = ?1 AND uses > 0)`,
    digest,
  );
  if (!kept) throw new EngineError('failed-precondition', `record layer ${digest}: no lease names it`);
}
