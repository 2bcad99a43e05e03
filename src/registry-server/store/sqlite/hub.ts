import { integer, type Row, type SqlValue, text } from '#sqlite';
import type { Hub, RepositoryEntry, SearchOptions } from '../meta-store.ts';
import { statement, type Tables } from './tables.ts';

/** The index knows three letters and more. */
const indexedLetters = 3;
const maxWords = 8;
const columns = 'name, description, is_official, stars, pulls, pushed_ms';
const hasManifest = 'EXISTS (SELECT 1 FROM manifests WHERE repository = repositories.name AND deleted_ms IS NULL)';

export function hubOf({ reader, writer }: Tables): Hub {
  const changeRow = async (sql: string, ...values: SqlValue[]) =>
    (await writer.run([statement(sql, ...values)]))[0] === 1;
  return {
    async search(options) {
      const { where, values } = conditions(options.words);
      const order = ranking(options.words);
      const sql = `SELECT ${columns} FROM repositories WHERE ${hasManifest}${where} ORDER BY ${order.sql}`;
      if (options.isVisible) return visible(reader.all(sql, ...values, ...order.values), options);
      const total = reader.get(`SELECT count(*) AS total FROM repositories WHERE ${hasManifest}${where}`, ...values);
      const page = [options.limit, options.offset];
      const rows = reader.all(`${sql} LIMIT ? OFFSET ?`, ...values, ...order.values, ...page);
      return { total: integer(total!, 'total'), entries: rows.map(decodeEntry) };
    },
    async entry(name) {
      const row = reader.get(`SELECT ${columns}, readme, created_ms FROM repositories WHERE name = ?`, name);
      return row && { ...decodeEntry(row), readme: text(row, 'readme'), createdMs: integer(row, 'created_ms') };
    },
    describe: (name, { description, readme }) =>
      changeRow(
        `UPDATE repositories SET described = 1, description = coalesce(?, description), readme = coalesce(?, readme)
         WHERE name = ?`,
        description ?? null,
        readme ?? null,
        name,
      ),
    async describeByImage(name, { description, readme, labels }) {
      await changeRow(
        `UPDATE repositories SET labels = ?1, description = iif(described, description, coalesce(?2, description)),
           readme = iif(described, readme, coalesce(?3, readme))
         WHERE name = ?4 AND (labels <> ?1 OR NOT described AND (description <> ?2 OR readme <> ?3))`,
        labels,
        description ?? null,
        readme ?? null,
        name,
      );
    },
    async star(name, user, isStarred) {
      const changes = await writer.run([
        isStarred
          ? statement(
              'INSERT OR IGNORE INTO stars (repository, user) SELECT name, ? FROM repositories WHERE name = ?',
              user,
              name,
            )
          : statement('DELETE FROM stars WHERE user = ? AND repository = ?', user, name),
        statement(
          'UPDATE repositories SET stars = (SELECT count(*) FROM stars WHERE repository = name) WHERE name = ?',
          name,
        ),
      ]);
      return changes[1] === 1;
    },
    isStarred: async (name, user) =>
      reader.get('SELECT 1 FROM stars WHERE repository = ? AND user = ?', name, user) !== undefined,
    async addPulls(counts) {
      const add = 'UPDATE repositories SET pulls = pulls + ? WHERE name = ?';
      await writer.run(
        [...counts].map(([name, count]) => statement(add, count, name)),
        { durable: false },
      );
    },
  };

  function visible(rows: readonly Row[], { isVisible, offset, limit }: SearchOptions) {
    const entries = rows.filter((row) => isVisible!(text(row, 'name')));
    return { total: entries.length, entries: entries.slice(offset, offset + limit).map(decodeEntry) };
  }

  /** Long words by the index, short ones by looking at every repository. */
  function conditions(words: readonly string[]): { where: string; values: SqlValue[] } {
    const used = words.slice(0, maxWords);
    const long = used.filter((word) => [...word].length >= indexedLetters);
    const short = used.filter((word) => [...word].length < indexedLetters);
    const indexed = long.length === 0 ? '' : ' AND id IN (SELECT rowid FROM search WHERE search MATCH ?)';
    const looked = ` AND (name LIKE ? ESCAPE '\\' OR description LIKE ? ESCAPE '\\' OR labels LIKE ? ESCAPE '\\')`;
    return {
      where: indexed + short.map(() => looked).join(''),
      values: [
        ...(long.length === 0 ? [] : [long.map((word) => `"${word.replaceAll('"', '""')}"`).join(' AND ')]),
        ...short.flatMap((word) => Array<string>(3).fill(`%${word.replace(/[\\%_]/g, '\\$&')}%`)),
      ],
    };
  }

  /** Without words the order is an index's. */
  function ranking(words: readonly string[]): { sql: string; values: SqlValue[] } {
    const byFame = 'is_official DESC, stars DESC, pulls DESC, name';
    if (words.length !== 1) return { sql: byFame, values: [] };
    const [word] = words as [string];
    return { sql: `name IN (?, ?) DESC, ${byFame}`, values: [word, `library/${word}`] };
  }
}

function decodeEntry(row: Row): RepositoryEntry {
  return {
    name: text(row, 'name'),
    description: text(row, 'description'),
    isOfficial: integer(row, 'is_official') === 1,
    stars: integer(row, 'stars'),
    pulls: integer(row, 'pulls'),
    pushedMs: integer(row, 'pushed_ms'),
  };
}
