import { EngineError } from '#errdefs';
import type { Digest } from '#oci';
import type { Connection } from '#sqlite';

export const leaseWrites = {
  'leases.create'(database: Connection, lease: { id: string; session: string; expiresMs: number | undefined }): void {
    database.run('INSERT INTO leases VALUES (?, ?, ?)', lease.id, lease.session, lease.expiresMs ?? null);
  },

  'leases.add'(
    database: Connection,
    add: { id: string; digests: readonly Digest[]; expiresMs: number | undefined },
  ): void {
    if (!database.get('SELECT 1 FROM leases WHERE id = ?', add.id))
      throw new EngineError('failed-precondition', `lease ${add.id}: it has ended`);
    database.run('UPDATE leases SET expires_ms = ? WHERE id = ?', add.expiresMs ?? null, add.id);
    for (const digest of add.digests)
      database.run('INSERT INTO lease_digests VALUES (?, ?) ON CONFLICT DO NOTHING', add.id, digest);
  },

  'leases.remove'(database: Connection, id: string): void {
    database.run('DELETE FROM leases WHERE id = ?', id);
  },

  /** Nobody holds it from now on; it ends by its time. */
  'leases.leave'(database: Connection, lease: { id: string; expiresMs: number }): void {
    database.run("UPDATE leases SET session = '', expires_ms = ? WHERE id = ?", lease.expiresMs, lease.id);
  },

  /** Ends leases that were left, by this process or an earlier one: all, or those that name the digest. */
  'leases.dropLeft'(database: Connection, left: { session: string; digest: Digest | undefined }): void {
    database.run(
      'DELETE FROM leases WHERE session <> ?1 AND (?2 IS NULL OR id IN (SELECT lease_id FROM lease_digests WHERE digest = ?2))',
      left.session,
      left.digest ?? null,
    );
  },

  /** Ends what nobody holds: leases past their time, and those of earlier processes that promised no time. */
  'leases.expire'(database: Connection, now: { session: string; nowMs: number }): void {
    database.run(
      'DELETE FROM leases WHERE session <> ? AND (expires_ms IS NULL OR expires_ms <= ?)',
      now.session,
      now.nowMs,
    );
  },
};
