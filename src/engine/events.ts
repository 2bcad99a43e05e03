import { channel } from 'node:diagnostics_channel';
import type { EventMessage, Filters } from '#api-types';
import { EngineError } from '#errdefs';
import { formatFilterError, matchesKeyValue } from './filters.ts';
import { nowNs, parseTimeNs } from './time.ts';
import { eventChannelName } from './trace.ts';

/** How many past events `since` can reach back to, as in dockerd. */
const keptEvents = 256;
/** What may wait for one reader. dockerd drops events for a slow one without a word; here its stream breaks off, so that it knows. */
const maxPending = 16_384;
const typesWithStatus = new Set(['container', 'image']);

export interface NewEvent {
  readonly type: 'container' | 'image' | 'network' | 'volume' | 'daemon' | 'builder';
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}

const logged = channel(eventChannelName);

type Listener = (event: EventMessage) => void;

/** What happened, in order: kept for replay, handed to listeners at once. */
export class EventLog {
  readonly #kept: EventMessage[] = [];
  readonly #listeners = new Set<Listener>();
  #lastNs = 0n;

  get listenerCount(): number {
    return this.#listeners.size;
  }

  emit(event: NewEvent): void {
    const now = nowNs();
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    const message = toMessage(event, this.#lastNs);
    this.#kept.push(message);
    if (this.#kept.length > keptEvents) this.#kept.shift();
    for (const listener of this.#listeners) listener(message);
    if (logged.hasSubscribers) logged.publish(message);
  }

  /** Past events first when `since` is given, then live ones until `until`, an abort, or the consumer leaves. */
  follow(
    options: { since?: string; until?: string; filters?: Filters; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<EventMessage> {
    // At once: who is answered with a stream cannot be told any more that what was asked for makes no sense.
    const filters = options.filters ?? {};
    checkFilters(filters);
    return this.#follow({ ...options, filters });
  }

  async *#follow(options: {
    since?: string;
    until?: string;
    filters: Filters;
    signal?: AbortSignal | undefined;
  }): AsyncGenerator<EventMessage> {
    const { filters } = options;
    const sinceNs = options.since ? Number(parseTimeNs(options.since)) : undefined;
    const untilNs = options.until ? Number(parseTimeNs(options.until)) : undefined;
    const pending = sinceNs === undefined ? [] : this.#kept.filter((event) => event.timeNano >= sinceNs);
    yield* deliver(this.#subscribe(pending, untilNs, options.signal), filters, untilNs);
  }

  async *#subscribe(
    pending: EventMessage[],
    untilNs: number | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<EventMessage> {
    let wake = () => {};
    let ended = false;
    let isTooSlow = false;
    const finish = () => {
      ended = true;
      wake();
    };
    const listener: Listener = (event) => {
      pending.push(event);
      if (pending.length > maxPending) {
        isTooSlow = true;
        pending.length = 0;
        this.#listeners.delete(listener);
      }
      wake();
    };
    const leftMs = untilNs === undefined ? undefined : (untilNs - Number(nowNs())) / 1_000_000;
    const timer = leftMs === undefined ? undefined : setTimeout(finish, Math.min(Math.max(leftMs, 0), 2 ** 31 - 1));
    signal?.addEventListener('abort', finish, { once: true });
    this.#listeners.add(listener);
    try {
      while (true) {
        if (isTooSlow) throw new EngineError('unavailable', `events: more than ${maxPending} wait for their reader`);
        const event = pending.shift();
        if (event) yield event;
        else if (ended || signal?.aborted) return;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      this.#listeners.delete(listener);
    }
  }
}

async function* deliver(
  events: AsyncIterable<EventMessage>,
  filters: Filters,
  untilNs: number | undefined,
): AsyncGenerator<EventMessage> {
  for await (const event of events) {
    if (untilNs !== undefined && event.timeNano > untilNs) continue;
    if (matches(event, filters)) yield event;
  }
}

function toMessage(event: NewEvent, timeNs: bigint): EventMessage {
  const message = {
    Type: event.type,
    Action: event.action,
    Actor: { ID: event.id, Attributes: sorted(event.attributes) },
    scope: 'local' as const,
    time: Number(timeNs / 1_000_000_000n),
    timeNano: Number(timeNs),
  };
  if (!typesWithStatus.has(event.type)) return message;
  const from = event.type === 'container' && event.attributes['image'] ? { from: event.attributes['image'] } : {};
  return { status: event.action, id: event.id, ...from, ...message };
}

/** Go writes a map's keys in order. */
function sorted(attributes: NewEvent['attributes']): NewEvent['attributes'] {
  return Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const objectFilters = [
  'config',
  'container',
  'daemon',
  'image',
  'network',
  'node',
  'plugin',
  'secret',
  'service',
  'volume',
];
const knownFilters = new Set([...objectFilters, 'event', 'label', 'scope', 'type']);

function checkFilters(filters: Filters): void {
  for (const key of Object.keys(filters)) if (!knownFilters.has(key)) throw formatFilterError(key);
}

function matches(event: EventMessage, filters: Filters): boolean {
  return Object.entries(filters).every(([key, values]) => values.length === 0 || matchesOne(event, key, values));
}

function matchesOne(event: EventMessage, key: string, values: readonly string[]): boolean {
  const attributes = event.Actor.Attributes;
  switch (key) {
    case 'event':
      return values.some((value) => event.Action === value || event.Action.startsWith(`${value}:`));
    case 'type':
      return values.includes(event.Type);
    case 'scope':
      return values.includes(event.scope);
    case 'label':
      return values.every((value) => matchesKeyValue(attributes, value));
    case 'image':
      return values.some((value) => matchesImage(event, value));
    default: {
      // As dockerd: the beginning of an ID or a name, whatever the event is of.
      const names = [event.Actor.ID, attributes['name'] ?? ''];
      return values.some((value) => names.some((name) => name.startsWith(value)));
    }
  }
}

function matchesImage(event: EventMessage, value: string): boolean {
  const named = (event.Type === 'image' ? event.Actor.Attributes['name'] : event.Actor.Attributes['image']) ?? '';
  return [event.Actor.ID, named, named.replace(/:[^:/]*$/, '')].includes(value);
}
