/** Brings the database to the newest schema, and is gone before the last step is committed. */
import { Connection, migrate } from '#sqlite';
import { migrations } from '../migrations.ts';

const [path] = process.argv.slice(2) as [string];
const database = new Connection(path);
database.exec('PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA cache_size = 10; PRAGMA cache_spill = ON;');
const last = migrations.at(-1)!;
migrate(database, [
  ...migrations.slice(0, -1),
  () => {
    if (typeof last === 'string') database.exec(last);
    else last(database);
    process.kill(process.pid, 'SIGKILL');
  },
]);
