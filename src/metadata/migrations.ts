import type { Migration } from '#sqlite';
import { layersToChains } from './layers-to-chains.ts';

/**
 * One entry per schema version, run in order, each with its version in one transaction. Entries are never changed once released.
 *
 * `image_blobs` and `chains` refer to `blobs` so that SQLite itself refuses an image without its bytes and a blob dropped under an image.
 */
export const migrations: readonly Migration[] = [
  `
  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, created_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE layers (
    diff_id TEXT PRIMARY KEY REFERENCES blobs (digest), size INTEGER NOT NULL, created_ms INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE chains (chain_id TEXT PRIMARY KEY, diff_id TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX chains_by_layer ON chains (diff_id);
  CREATE TABLE origins (
    compressed TEXT NOT NULL, repository TEXT NOT NULL, diff_id TEXT NOT NULL, descriptor TEXT NOT NULL,
    seen_ms INTEGER NOT NULL, PRIMARY KEY (compressed, repository, diff_id)
  ) WITHOUT ROWID;
  CREATE INDEX origins_by_layer ON origins (diff_id);

  CREATE TABLE images (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL, parent TEXT,
    stored_ms INTEGER NOT NULL, last_tagged_ms INTEGER
  );
  CREATE INDEX images_by_parent ON images (parent);
  CREATE TABLE image_targets (
    digest TEXT NOT NULL, image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE, set_number INTEGER NOT NULL,
    PRIMARY KEY (digest, image_id)
  ) WITHOUT ROWID;
  CREATE INDEX image_targets_by_image ON image_targets (image_id);
  CREATE TABLE image_blobs (
    image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    digest TEXT NOT NULL REFERENCES blobs (digest), PRIMARY KEY (image_id, digest)
  ) WITHOUT ROWID;
  CREATE INDEX image_blobs_by_digest ON image_blobs (digest);
  CREATE TABLE names (
    name TEXT PRIMARY KEY, image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
  ) WITHOUT ROWID;
  CREATE INDEX names_by_image ON names (image_id);
  CREATE TABLE repo_digests (
    name TEXT NOT NULL, image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE, PRIMARY KEY (name, image_id)
  ) WITHOUT ROWID;
  CREATE INDEX repo_digests_by_image ON repo_digests (image_id);

  CREATE TABLE leases (id TEXT PRIMARY KEY, session TEXT NOT NULL, expires_ms INTEGER) WITHOUT ROWID;
  CREATE TABLE lease_digests (
    lease_id TEXT NOT NULL REFERENCES leases (id) ON DELETE CASCADE, digest TEXT NOT NULL, PRIMARY KEY (lease_id, digest)
  ) WITHOUT ROWID;
  CREATE INDEX lease_digests_by_digest ON lease_digests (digest);

  CREATE TABLE containers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
    image_id TEXT GENERATED ALWAYS AS (body ->> '$.imageID') VIRTUAL
  );
  CREATE INDEX containers_by_image ON containers (image_id);
  CREATE TABLE container_layers (
    container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE, diff_id TEXT NOT NULL, PRIMARY KEY (container_id, diff_id)
  ) WITHOUT ROWID;
  CREATE INDEX container_layers_by_layer ON container_layers (diff_id);
  CREATE TABLE networks (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
  CREATE TABLE volumes (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL);

  CREATE TABLE build_cache (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, body TEXT NOT NULL, last_used_ms INTEGER NOT NULL,
    usage_count INTEGER NOT NULL
  );
  CREATE TABLE build_cache_layers (
    key TEXT NOT NULL REFERENCES build_cache (key) ON DELETE CASCADE, diff_id TEXT NOT NULL, PRIMARY KEY (key, diff_id)
  ) WITHOUT ROWID;
  CREATE INDEX build_cache_layers_by_layer ON build_cache_layers (diff_id);

  CREATE VIEW garbage AS SELECT digest, size FROM blobs WHERE
    NOT EXISTS (SELECT 1 FROM image_blobs WHERE image_blobs.digest = blobs.digest)
    AND NOT EXISTS (SELECT 1 FROM container_layers WHERE diff_id = blobs.digest)
    AND NOT EXISTS (SELECT 1 FROM build_cache_layers WHERE diff_id = blobs.digest)
    AND NOT EXISTS (SELECT 1 FROM lease_digests WHERE lease_digests.digest = blobs.digest);
  `,
  // Unknown for chains recorded before; the next image with such a chain fills it in.
  `
  ALTER TABLE chains ADD COLUMN parent_id TEXT;
  CREATE INDEX chains_by_parent ON chains (parent_id);
  `,
  // What was removed and can be brought back. It keeps its blobs from the collector, as an image does.
  `
  CREATE TABLE journal (
    number INTEGER PRIMARY KEY AUTOINCREMENT, action TEXT NOT NULL, subject TEXT NOT NULL, at_ms INTEGER NOT NULL, folder_bytes INTEGER
  );
  CREATE TABLE journal_changes (
    number INTEGER NOT NULL REFERENCES journal (number) ON DELETE CASCADE, step INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (number, step)
  ) WITHOUT ROWID;
  CREATE INDEX journal_changes_by_key ON journal_changes (kind, key);
  CREATE TABLE journal_blobs (
    number INTEGER NOT NULL REFERENCES journal (number) ON DELETE CASCADE, digest TEXT NOT NULL REFERENCES blobs (digest),
    PRIMARY KEY (number, digest)
  ) WITHOUT ROWID;
  CREATE INDEX journal_blobs_by_digest ON journal_blobs (digest);

  DROP VIEW garbage;
  CREATE VIEW unused AS SELECT digest, size FROM blobs WHERE
    NOT EXISTS (SELECT 1 FROM image_blobs WHERE image_blobs.digest = blobs.digest)
    AND NOT EXISTS (SELECT 1 FROM container_layers WHERE diff_id = blobs.digest)
    AND NOT EXISTS (SELECT 1 FROM build_cache_layers WHERE diff_id = blobs.digest)
    AND NOT EXISTS (SELECT 1 FROM lease_digests WHERE lease_digests.digest = blobs.digest);
  CREATE VIEW garbage AS SELECT digest, size FROM unused WHERE
    NOT EXISTS (SELECT 1 FROM journal_blobs WHERE journal_blobs.digest = unused.digest);
  `,
  // What a name points at, where that is not its image's own target: several names of one image may be of different indexes.
  `
  ALTER TABLE names ADD COLUMN target TEXT;
  `,
  // Uploads to registries that were begun, for another try to go on with.
  `
  CREATE TABLE uploads (key TEXT PRIMARY KEY, location TEXT NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;
  `,
  layersToChains,
  // Layers whose files were looked at for what others have too, and those whose files hold bytes of theirs: these stay as long.
  `
  CREATE TABLE lightened (diff_id TEXT PRIMARY KEY REFERENCES blobs (digest) ON DELETE CASCADE) WITHOUT ROWID;
  CREATE TABLE layer_sources (
    diff_id TEXT NOT NULL REFERENCES blobs (digest) ON DELETE CASCADE, source TEXT NOT NULL REFERENCES blobs (digest),
    PRIMARY KEY (diff_id, source)
  ) WITHOUT ROWID;
  CREATE INDEX layer_sources_by_source ON layer_sources (source);

  DROP VIEW garbage;
  DROP VIEW unused;
  CREATE VIEW unwanted AS SELECT digest, size FROM blobs WHERE
    NOT EXISTS (SELECT 1 FROM image_blobs WHERE image_blobs.digest = blobs.digest)
    AND NOT EXISTS (SELECT 1 FROM chains WHERE diff_id = blobs.digest AND uses > 0)
    AND NOT EXISTS (SELECT 1 FROM lease_digests WHERE lease_digests.digest = blobs.digest);
  CREATE VIEW unused AS SELECT digest, size FROM unwanted WHERE
    NOT EXISTS (SELECT 1 FROM layer_sources WHERE source = unwanted.digest);
  CREATE VIEW garbage AS SELECT digest, size FROM unused WHERE
    NOT EXISTS (SELECT 1 FROM journal_blobs WHERE journal_blobs.digest = unused.digest)
    AND NOT EXISTS (SELECT 1 FROM chains WHERE diff_id = unused.digest AND undo_uses > 0);
  CREATE VIEW only_sources AS SELECT DISTINCT source AS digest FROM layer_sources WHERE
    source IN (SELECT digest FROM unwanted WHERE unwanted.digest = source)
    AND NOT EXISTS (SELECT 1 FROM journal_blobs WHERE journal_blobs.digest = source)
    AND NOT EXISTS (SELECT 1 FROM chains WHERE chains.diff_id = source AND undo_uses > 0);
  `,
];
