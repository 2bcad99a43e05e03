import type { EventMessage } from '#api-types';
import { acceptedType } from '#http';
import type { Call } from '../call.ts';
import { htmlSafeJson } from '../progress.ts';

/** What a client may ask for by `Accept`; the first is the default from 1.52 on. */
const types = ['application/jsonl', 'application/x-ndjson', 'application/json-seq'] as const;

/** RFC 7464, section 2.2. */
const recordSeparator = '\u001e';

/** How events are written to one client: the stream's type, and each event's line. Up to 1.51 they repeated themselves in three fields. */
export class EventFormat {
  readonly type: string;
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
    this.type = acceptedType(call.header('Accept'), types) ?? (call.before('1.52') ? 'application/json' : types[0]);
  }

  line(event: EventMessage): string {
    const { status, id, from, Type, Action, Actor, scope, time, timeNano } = event;
    const repeated = this.#call.before('1.52') ? { status, id, from } : {};
    const start = this.type === 'application/json-seq' ? recordSeparator : '';
    return `${start}${htmlSafeJson({ ...repeated, Type, Action, Actor, scope, time, timeNano })}\n`;
  }
}
