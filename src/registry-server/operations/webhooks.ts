import { createHmac, randomUUID } from 'node:crypto';
import { messageOf } from '#errdefs';
import { log } from '#log';
import { patternOf } from '../access/policy.ts';
import type { RegistryEvent } from '../exchange.ts';
import type { Deliveries, Delivery } from '../store/meta-store.ts';

const lookMs = 500;
const answerMs = 10_000;
const firstDelayMs = 5_000;
const maxDelayMs = 60 * 60_000;
/** After so long nobody wants to hear of it. */
const lifeMs = 24 * 60 * 60_000;
const atOnce = 16;

export interface Webhook {
  readonly url: string;
  /** Names of repositories; `*` is any text. All of them when there are none. */
  readonly repositories: readonly string[];
  readonly kinds: readonly RegistryEvent['kind'][];
  /** Signs each message. */
  readonly secret?: string | undefined;
}

/** Tells others what happens, as CloudEvents 1.0 (structured mode), again and again until they say that they heard. */
export class Webhooks implements AsyncDisposable {
  readonly #hooks: readonly Webhook[];
  readonly #deliveries: Deliveries;
  readonly #source: string;
  readonly #firstDelayMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #abort = new AbortController();
  #sending: Promise<void> | undefined;

  constructor(hooks: readonly Webhook[], parts: { deliveries: Deliveries; source: string; firstDelayMs?: number }) {
    this.#hooks = hooks;
    this.#deliveries = parts.deliveries;
    this.#source = parts.source;
    this.#firstDelayMs = parts.firstDelayMs ?? firstDelayMs;
    this.#timer = setInterval(() => this.#tick(), lookMs).unref();
  }

  /** Noted down for delivery; it outlives a restart. */
  async add(event: RegistryEvent, user: string | undefined): Promise<void> {
    const wanting = this.#hooks.filter(
      ({ kinds, repositories }) =>
        kinds.includes(event.kind) &&
        (repositories.length === 0 || repositories.some((pattern) => patternOf(pattern).test(event.repository))),
    );
    if (wanting.length === 0) return;
    const body = JSON.stringify(cloudEvent(event, user, this.#source));
    await this.#deliveries.addDeliveries(wanting.map(({ url }) => ({ url, body })));
    this.#tick();
  }

  #tick(): void {
    this.#sending ??= this.#sendDue()
      .catch((error: unknown) => log.error('sending webhooks failed', { error: messageOf(error) }))
      .finally(() => {
        this.#sending = undefined;
      });
  }

  async #sendDue(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      const due = await this.#deliveries.dueDeliveries(Date.now(), atOnce);
      if (due.length === 0) return;
      await Promise.all(due.map((delivery) => this.#send(delivery)));
    }
  }

  async #send({ id, url, body, createdMs, tries }: Delivery): Promise<void> {
    const hook = this.#hooks.find((candidate) => candidate.url === url);
    const failure = hook ? await this.#post(hook, body) : undefined;
    if (failure === undefined) return await this.#deliveries.endDelivery(id);
    if (this.#abort.signal.aborted) return;
    const nowMs = Date.now();
    if (nowMs - createdMs > lifeMs) {
      log.error('gave up on a webhook', { url, error: failure });
      return await this.#deliveries.endDelivery(id);
    }
    log.warn('a webhook was not taken', { url, tries: tries + 1, error: failure });
    await this.#deliveries.postponeDelivery(id, nowMs + Math.min(maxDelayMs, this.#firstDelayMs * 2 ** tries));
  }

  /** What went wrong, or nothing. */
  async #post({ url, secret }: Webhook, body: string): Promise<string | undefined> {
    const signature = secret && createHmac('sha256', secret).update(body).digest('hex');
    try {
      const answer = await fetch(url, {
        method: 'POST',
        body,
        redirect: 'error',
        headers: {
          'content-type': 'application/cloudevents+json; charset=utf-8',
          'user-agent': 'wherry-registry',
          ...(signature ? { 'x-wherry-signature': `sha256=${signature}` } : {}),
        },
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(answerMs)]),
      });
      await answer.body?.cancel();
      return answer.ok ? undefined : `HTTP status ${answer.status}`;
    } catch (error) {
      return messageOf(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#abort.abort();
    await this.#sending;
  }
}

function cloudEvent(
  { kind, repository, digest, mediaType, tags }: RegistryEvent,
  user: string | undefined,
  source: string,
) {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source,
    type: `io.wherry.registry.${kind}`,
    subject: digest === undefined ? repository : `${repository}@${digest}`,
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    data: { repository, digest, mediaType, tags, user: user ?? null },
  };
}
