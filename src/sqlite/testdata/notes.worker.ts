import { EngineError, type ErrorKind } from '#errdefs';
import { serveWrites } from '../index.ts';

serveWrites({
  migrations: ['CREATE TABLE notes (text TEXT PRIMARY KEY)', 'CREATE INDEX notes_by_length ON notes (length(text))'],
  run(database, request) {
    const { text, fail } = request as { text: string; fail?: ErrorKind };
    const changed = database.run('INSERT INTO notes VALUES (?)', text);
    if (fail) throw new EngineError(fail, 'as asked');
    return changed;
  },
});
