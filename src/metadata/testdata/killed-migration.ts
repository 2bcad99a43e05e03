/** Brings the database to a version of the schema, and is gone before the step that follows is committed. */
import { Connection, migrate } from '#sqlite';
import { migrations } from '../migrations.ts';

const [path, version] = process.argv.slice(2) as [string, string];
const database = new Connection(path);
database.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA cache_size = 10; PRAGMA cache_spill = ON;');
const last = migrations[Number(version)]!;
migrate(database, [
  ...migrations.slice(0, Number(version)),
  () => {
    if (typeof last === 'string') database.exec(last);
    else last(database);
    process.kill(process.pid, 'SIGKILL');
  },
]);
