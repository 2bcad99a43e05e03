import { type Connection, serveWrites } from '#sqlite';
import { migrations } from './migrations.ts';
import { type WriteRequest, writes } from './writes/index.ts';

serveWrites({
  migrations,
  run(database, request) {
    const { name, input } = request as WriteRequest;
    const write = writes[name] as (database: Connection, input: unknown) => unknown;
    return write(database, input);
  },
});
