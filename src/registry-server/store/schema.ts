/**
 * One entry per schema version, run in order. Entries are never changed once released.
 *
 * What is deleted gets a `deleted_ms`, is invisible from then on, and goes for good in a collection later. `suspects` names the links a
 * collection has to look at, so that it never reads them all.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE repositories (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL, pushed_ms INTEGER NOT NULL,
    description TEXT NOT NULL DEFAULT '', readme TEXT NOT NULL DEFAULT '', described INTEGER NOT NULL DEFAULT 0,
    labels TEXT NOT NULL DEFAULT '', is_official INTEGER NOT NULL DEFAULT 0,
    stars INTEGER NOT NULL DEFAULT 0, pulls INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE stars (repository TEXT NOT NULL, user TEXT NOT NULL, PRIMARY KEY (repository, user)) WITHOUT ROWID;

  CREATE TABLE links (
    repository TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, claim_until_ms INTEGER NOT NULL, deleted_ms INTEGER,
    PRIMARY KEY (repository, digest)
  ) WITHOUT ROWID;
  CREATE INDEX links_by_digest ON links (digest);
  CREATE INDEX links_deleted ON links (deleted_ms) WHERE deleted_ms IS NOT NULL;

  CREATE TABLE bodies (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL);
  CREATE TABLE manifests (
    repository TEXT NOT NULL, digest TEXT NOT NULL REFERENCES bodies (digest), media_type TEXT NOT NULL, size INTEGER NOT NULL,
    pushed_ms INTEGER NOT NULL, subject TEXT, referrer TEXT, deleted_ms INTEGER,
    PRIMARY KEY (repository, digest)
  ) WITHOUT ROWID;
  CREATE INDEX manifests_by_digest ON manifests (digest);
  CREATE INDEX manifests_by_subject ON manifests (repository, subject) WHERE subject IS NOT NULL;
  CREATE INDEX manifests_deleted ON manifests (deleted_ms) WHERE deleted_ms IS NOT NULL;
  CREATE TABLE refs (
    repository TEXT NOT NULL, manifest TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (repository, manifest, digest)
  ) WITHOUT ROWID;
  CREATE INDEX refs_by_digest ON refs (repository, digest);

  CREATE TABLE tags (
    repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, updated_ms INTEGER NOT NULL, checked_ms INTEGER NOT NULL,
    deleted_ms INTEGER, PRIMARY KEY (repository, tag)
  ) WITHOUT ROWID;
  CREATE INDEX tags_by_digest ON tags (repository, digest);
  CREATE INDEX tags_deleted ON tags (deleted_ms) WHERE deleted_ms IS NOT NULL;

  CREATE TABLE suspects (
    repository TEXT NOT NULL, digest TEXT NOT NULL, check_ms INTEGER NOT NULL, PRIMARY KEY (repository, digest)
  ) WITHOUT ROWID;
  CREATE INDEX suspects_by_time ON suspects (check_ms);
  `,
  // What is searched: any part of a word, in any of the three. A push that changes none of them does not touch the index.
  `
  CREATE VIRTUAL TABLE search USING fts5 (
    name, description, labels, content = 'repositories', content_rowid = 'id', tokenize = 'trigram'
  );
  INSERT INTO search (rowid, name, description, labels) SELECT id, name, description, labels FROM repositories;
  CREATE TRIGGER search_insert AFTER INSERT ON repositories BEGIN
    INSERT INTO search (rowid, name, description, labels) VALUES (new.id, new.name, new.description, new.labels);
  END;
  CREATE TRIGGER search_update AFTER UPDATE OF description, labels ON repositories BEGIN
    INSERT INTO search (search, rowid, name, description, labels)
      VALUES ('delete', old.id, old.name, old.description, old.labels);
    INSERT INTO search (rowid, name, description, labels) VALUES (new.id, new.name, new.description, new.labels);
  END;
  CREATE INDEX repositories_by_rank ON repositories (is_official DESC, stars DESC, pulls DESC, name);
  `,
  `
  CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, url TEXT NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL, tries INTEGER NOT NULL
  );
  CREATE INDEX deliveries_by_time ON deliveries (due_ms);
  `,
  // When it was last pulled; zero before the first time.
  `
  ALTER TABLE manifests ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0;
  `,
];
