import { dirname, resolve } from 'node:path';
import { EngineError, messageOf } from '#errdefs';
import { readBounded } from '#files';
import { actions } from '../access/access.ts';
import type { Rule } from '../access/policy.ts';
import { eventKinds } from '../exchange.ts';
import type { Webhook } from '../operations/webhooks.ts';
import type { Limits, Retention } from '../registry.ts';
import type { PullThroughOptions } from '../upstream/pull-through.ts';
import { checkRule, type UpstreamRule } from '../upstream/rules.ts';
import { Fields } from './fields.ts';

const maxConfigBytes = 1 << 20;

export interface TlsConfig {
  /** Paths of PEM files; read again when they change. */
  readonly cert: string;
  readonly key: string;
}

export interface AccessConfig {
  /** Path of `user:bcrypt` lines; without it nobody has a name. */
  readonly htpasswd?: string;
  /** Without rules who has a name may do everything. */
  readonly rules: readonly Rule[];
  /** False: passwords with each request instead of tokens. */
  readonly useTokens: boolean;
  readonly service: string;
  readonly tokenSeconds: number;
}

export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** What a registry may be told beyond where its folder is and where it listens. */
export interface RegistryConfig {
  /** How clients reach it (`https://hub.example.org`), where that is not the address they ask for. */
  readonly publicURL?: string;
  readonly tls?: TlsConfig;
  readonly access?: AccessConfig;
  readonly rateLimit?: RateLimit;
  readonly limits?: Partial<Limits>;
  readonly retention?: Partial<Retention>;
  /** Repositories that are copies of others elsewhere. */
  readonly upstreams?: PullThroughOptions;
  /** Who is told what happens. */
  readonly webhooks?: readonly Webhook[];
  /** How often all blobs are rehashed; zero is never. */
  readonly scrubEveryMs?: number;
  /** Path of a file that gets a line of JSON for each change, pull, refusal. */
  readonly auditLog?: string;
}

/** Reads a file of JSON. Paths in it are relative to its folder. @throws `invalid-argument` on what it does not know. */
export async function readConfig(path: string): Promise<RegistryConfig> {
  const bytes = await readBounded(path, maxConfigBytes);
  if (!bytes) throw new EngineError('not-found', `read registry configuration: there is no ${path}`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new EngineError('invalid-argument', `read ${path}: ${messageOf(error)}`);
  }
  return decodeConfig(value, { what: path, folder: dirname(resolve(path)) });
}

export function decodeConfig(value: unknown, { what, folder }: { what: string; folder: string }): RegistryConfig {
  const path = (text: string | undefined) => (text === undefined ? undefined : resolve(folder, text));
  return Fields.read(value, what, (fields) =>
    present<RegistryConfig>({
      publicURL: fields.text('publicURL'),
      tls: fields.object('tls', (tls) => ({
        cert: tls.need('cert', path(tls.text('cert'))),
        key: tls.need('key', path(tls.text('key'))),
      })),
      access: fields.object('access', (access) => decodeAccess(access, path)),
      rateLimit: fields.object('rateLimit', (rate) => {
        const perSecond = rate.need('requestsPerSecond', rate.number('requestsPerSecond'));
        if (perSecond === 0) rate.refuse('requestsPerSecond is zero');
        return { perSecond, burst: Math.max(1, rate.number('burst') ?? 2 * perSecond) };
      }),
      limits: fields.object('limits', (limits) =>
        present<Partial<Limits>>({
          maxBlobBytes: limits.number('maxBlobBytes'),
          maxManifestBytes: limits.number('maxManifestBytes'),
        }),
      ),
      retention: fields.object('retention', (retention) =>
        present<Partial<Retention>>({
          undoMs: toMs(retention.number('undoSeconds')),
          unclaimedMs: toMs(retention.number('unclaimedSeconds')),
          askedMs: toMs(retention.number('askedSeconds')),
          quietMs: toMs(retention.number('quietSeconds')),
          inUseMs: toMs(retention.number('inUseSeconds')),
        }),
      ),
      upstreams: decodeUpstreams(fields, path),
      webhooks: decodeWebhooks(fields),
      scrubEveryMs: toMs(fields.number('scrubEverySeconds')),
      auditLog: path(fields.text('auditLog')),
    }),
  );
}

function decodeAccess(access: Fields, path: (text: string | undefined) => string | undefined): AccessConfig {
  const htpasswd = path(access.text('htpasswd'));
  const rules = access.objects('rules', decodeRule);
  if (htpasswd === undefined && rules.some(({ users }) => !users.includes('anonymous'))) {
    access.refuse('rules name users, but there is no htpasswd');
  }
  const everything: Rule = { repositories: ['*'], users: ['*'], actions };
  return {
    ...(htpasswd === undefined ? {} : { htpasswd }),
    rules: rules.length > 0 ? rules : [everything],
    useTokens: access.flag('tokens') ?? true,
    service: access.text('service') ?? 'wherry-registry',
    tokenSeconds: access.number('tokenSeconds') ?? 300,
  };
}

function decodeRule(rule: Fields): Rule {
  const named = rule.need('actions', rule.texts('actions'));
  const unknown = named.find((name) => !(actions as readonly string[]).includes(name));
  if (unknown !== undefined) rule.refuse(`unknown action ${JSON.stringify(unknown)}`);
  return {
    repositories: rule.need('repositories', rule.texts('repositories')),
    users: rule.need('users', rule.texts('users')),
    actions: actions.filter((action) => named.includes(action)),
  };
}

function decodeUpstreams(
  fields: Fields,
  path: (text: string | undefined) => string | undefined,
): PullThroughOptions | undefined {
  const hosts: string[] = [];
  const rules = fields.objects('upstreams', (entry): UpstreamRule => {
    const username = entry.text('username');
    const password = entry.text('password');
    if ((username === undefined) !== (password === undefined)) entry.refuse('want username and password, or neither');
    const rule = {
      repositories: entry.need('repositories', entry.text('repositories')),
      upstream: entry.need('upstream', entry.text('upstream')),
      revalidateMs: toMs(entry.number('revalidateSeconds') ?? 300)!,
      keepMs: toMs(entry.number('keepSeconds')),
      keepBytes: entry.number('keepBytes'),
      ...(username !== undefined && password !== undefined ? { auth: { username, password } } : {}),
    };
    checkRule(rule);
    if (entry.flag('insecure')) hosts.push(rule.upstream.split('/')[0]!);
    return rule;
  });
  const certsDir = path(fields.text('certsDir'));
  return rules.length === 0 ? undefined : { rules, insecure: hosts, certsDir };
}

function decodeWebhooks(fields: Fields): readonly Webhook[] | undefined {
  const hooks = fields.objects('webhooks', (hook): Webhook => {
    const url = hook.need('url', hook.text('url'));
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) hook.refuse('url: want http://… or https://…');
    const named = hook.texts('events') ?? eventKinds;
    const unknown = named.find((name) => !(eventKinds as readonly string[]).includes(name));
    if (unknown !== undefined) hook.refuse(`unknown event ${JSON.stringify(unknown)}`);
    return {
      url,
      kinds: eventKinds.filter((kind) => named.includes(kind)),
      repositories: hook.texts('repositories') ?? [],
      secret: hook.text('secret'),
    };
  });
  return hooks.length === 0 ? undefined : hooks;
}

function toMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

/** Without the fields that are not there. */
function present<T>(fields: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}
