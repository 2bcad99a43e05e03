import type { Connection, SqlValue } from '#sqlite';
import type { MetaWriter, Statement } from '../meta-writer.ts';

/** What the tables are read and written through. */
export interface Tables {
  readonly reader: Connection;
  readonly writer: MetaWriter;
  readonly now: () => number;
}

export function statement(sql: string, ...values: SqlValue[]): Statement {
  return { sql, values };
}

/** The transaction fails unless so many rows change. */
export function wanting(want: number, sql: string, ...values: SqlValue[]): Statement {
  return { sql, values, want };
}

/** SQLite's "no limit". */
export const unlimited = -1;

/** A repository is there from the first thing pushed to it. */
export function touchRepository(name: string, nowMs: number): Statement {
  return statement(
    `INSERT INTO repositories (name, created_ms, pushed_ms, is_official) VALUES (?1, ?2, ?2, ?1 LIKE 'library/%')
     ON CONFLICT (name) DO UPDATE SET pushed_ms = excluded.pushed_ms`,
    name,
    nowMs,
  );
}
