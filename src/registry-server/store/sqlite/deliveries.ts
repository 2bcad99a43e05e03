import { integer, text } from '#sqlite';
import type { Deliveries } from '../meta-store.ts';
import { statement, type Tables } from './tables.ts';

export function deliveriesOf({ reader, writer, now }: Tables): Deliveries {
  return {
    async addDeliveries(deliveries) {
      const add = 'INSERT INTO deliveries (url, body, created_ms, due_ms, tries) VALUES (?1, ?2, ?3, ?3, 0)';
      await writer.run(deliveries.map(({ url, body }) => statement(add, url, body, now())));
    },
    async dueDeliveries(nowMs, limit) {
      const rows = reader.all('SELECT * FROM deliveries WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?', nowMs, limit);
      return rows.map((row) => ({
        id: integer(row, 'id'),
        url: text(row, 'url'),
        body: text(row, 'body'),
        createdMs: integer(row, 'created_ms'),
        tries: integer(row, 'tries'),
      }));
    },
    async postponeDelivery(id, untilMs) {
      await writer.run([statement('UPDATE deliveries SET due_ms = ?, tries = tries + 1 WHERE id = ?', untilMs, id)]);
    },
    async endDelivery(id) {
      await writer.run([statement('DELETE FROM deliveries WHERE id = ?', id)], { durable: false });
    },
  };
}
