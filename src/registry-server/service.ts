import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Accounts, openAccounts } from './access/open-access.ts';
import { RateLimiter } from './access/rate-limiter.ts';
import type { RegistryConfig } from './config/config.ts';
import { type OpenRegistry, openRegistry } from './open-registry.ts';
import { AuditLog } from './operations/audit-log.ts';
import { Metrics } from './operations/metrics.ts';
import { Webhooks } from './operations/webhooks.ts';
import type { Limits, Retention } from './registry.ts';

export interface ServiceOptions {
  /** A folder of the server's own; one server at a time. */
  readonly root: string;
  readonly config?: RegistryConfig;
  /** Over what the configuration says. */
  readonly retention?: Partial<Retention>;
  readonly limits?: Partial<Limits>;
  /** Sees each request first and answers true when it has dealt with it: what a program that embeds the server adds. */
  readonly before?: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
}

/** A registry and what stands between it and its clients. */
export interface Service extends AsyncDisposable {
  readonly registry: OpenRegistry;
  readonly accounts: Accounts;
  readonly limiter: RateLimiter | undefined;
  readonly audit: AuditLog | undefined;
  readonly webhooks: Webhooks | undefined;
  readonly metrics: Metrics;
  readonly before: ServiceOptions['before'];
  /** `https://hub.example.org`: how the client that sent this reaches us. */
  readonly originOf: (request: IncomingMessage) => string;
}

export async function openService(options: ServiceOptions): Promise<Service> {
  const { root, config = {} } = options;
  await using opened = new AsyncDisposableStack();
  const registry = opened.use(
    await openRegistry(root, {
      retention: { ...config.retention, ...options.retention },
      limits: { ...config.limits, ...options.limits },
      upstreams: config.upstreams,
      scrubEveryMs: config.scrubEveryMs,
    }),
  );
  const originOf = originFinder(config);
  const accounts = opened.use(await openAccounts(config.access, { meta: registry.meta, originOf }));
  const audit = config.auditLog === undefined ? undefined : opened.use(new AuditLog(config.auditLog));
  await audit?.open();
  const hooks = config.webhooks;
  const source = config.publicURL ?? 'urn:wherry:registry';
  const webhooks = hooks && opened.use(new Webhooks(hooks, { deliveries: registry.meta, source }));
  const limiter = config.rateLimit && new RateLimiter(config.rateLimit);
  const held = opened.move();
  const parts = {
    registry,
    accounts,
    limiter,
    audit,
    webhooks,
    metrics: new Metrics(),
    before: options.before,
    originOf,
  };
  return { ...parts, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** What was configured, or the host the client asked for: it is shown on pages and told to clients that need a token. */
function originFinder({ publicURL, tls }: RegistryConfig): (request: IncomingMessage) => string {
  const fixed = publicURL?.replace(/\/+$/, '');
  const scheme = tls ? 'https' : 'http';
  return ({ headers: { host = '' } }) =>
    fixed ?? `${scheme}://${/^[\w.:[\]-]+$/.test(host) ? host : 'registry.invalid'}`;
}
