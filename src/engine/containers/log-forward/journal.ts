import { EngineError } from '#errdefs';
import type { LogMessage } from '#runtime';
import { type JournalFields, journalEntry } from './journal-entry.ts';
import type { LogSink } from './sink.ts';
import { dialUnixDatagram, type LogWire } from './wires.ts';

const journalSocket = '/run/systemd/journal/socket';

/** @throws `failed-precondition` in dockerd's words where no journal listens. */
export async function openJournal(fields: JournalFields): Promise<LogSink> {
  try {
    return new JournalSink(await dialUnixDatagram(journalSocket), fields);
  } catch (cause) {
    throw new EngineError('failed-precondition', 'journald is not enabled on this host', { cause });
  }
}

class JournalSink implements LogSink {
  readonly batch = 1;
  readonly #wire: LogWire;
  readonly #fields: JournalFields;

  constructor(wire: LogWire, fields: JournalFields) {
    this.#wire = wire;
    this.#fields = fields;
  }

  send([message]: readonly LogMessage[]): Promise<void> | undefined {
    return message && this.#wire.send(journalEntry(this.#fields, message));
  }

  close(): void {
    this.#wire.close();
  }
}
