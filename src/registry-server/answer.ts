import type { IncomingMessage, ServerResponse } from 'node:http';
import { isKind } from '#errdefs';
import { log } from '#log';
import { type Access, openAccess } from './access/access.ts';
import { ApiError } from './api-error.ts';
import { dispatch } from './dispatch.ts';
import type { Facts } from './exchange.ts';
import { kindOfPath } from './operations/metrics.ts';
import type { Service } from './service.ts';

/** Answers one request, whatever becomes of it, and accounts for it. Never rejects. */
export async function answer(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const startedMs = performance.now();
  // The connection may be gone when the answer is.
  const address = request.socket.remoteAddress ?? '';
  const facts: Facts = {};
  let access: Access = openAccess;
  response.setHeader('Docker-Distribution-Api-Version', 'registry/2.0');
  try {
    if (await service.before?.(request, response)) return;
    const url = new URL(request.url ?? '/', service.originOf(request));
    access = await admit(service, request, address);
    await dispatch(service, { request, response, url, access, facts });
  } catch (error) {
    refuse(error, request, response);
  }
  await announce(service, facts, access);
  account(service, { request, response, access, facts, address, tookMs: performance.now() - startedMs });
}

/** Limits count by user, or by address for clients without a name; so do attempts with a wrong password. */
async function admit({ accounts, limiter }: Service, request: IncomingMessage, address: string): Promise<Access> {
  const take = (client: string) => {
    const waitSeconds = limiter?.take(client, Date.now()) ?? 0;
    if (waitSeconds === 0) return;
    throw new ApiError('TOOMANYREQUESTS', 'too many requests', { headers: { 'Retry-After': `${waitSeconds}` } });
  };
  try {
    const access = await accounts.admit(request);
    take(access.user === undefined ? `address ${address}` : `user ${access.user}`);
    return access;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'UNAUTHORIZED') take(`address ${address}`);
    throw error;
  }
}

function refuse(error: unknown, request: IncomingMessage, response: ServerResponse): void {
  if (response.headersSent || (request.destroyed && !request.complete)) {
    if (!(error instanceof ApiError) && !request.destroyed)
      log.error('registry answer broke off', { error, url: request.url });
    response.destroy();
    return;
  }
  const refusal = refusalOf(error, request);
  const body = refusal.body();
  // An unread body must not be taken for the next request.
  const close = request.complete ? {} : { Connection: 'close' };
  response.writeHead(refusal.status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    ...close,
    ...refusal.headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function refusalOf(error: unknown, request: IncomingMessage): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof URIError || (error instanceof TypeError && /URL/.test(error.message))) {
    return new ApiError('NAME_INVALID', 'invalid repository name');
  }
  if (isKind(error, 'out-of-range')) return new ApiError('SIZE_INVALID', 'the body is too large', { status: 413 });
  log.error('registry request failed', { error, method: request.method, url: request.url });
  if (isKind(error, 'unavailable')) return new ApiError('UNKNOWN', 'try again later', { status: 503 });
  return new ApiError('UNKNOWN', 'unknown error');
}

/** The answer has been given: what cannot be noted down is lost, and said to be. */
async function announce({ webhooks }: Service, { event }: Facts, access: Access): Promise<void> {
  if (!webhooks || !event) return;
  try {
    await webhooks.add(event, access.user);
  } catch (error) {
    log.error('noting a webhook down failed', { kind: event.kind, repository: event.repository, error });
  }
}

interface Answered {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly access: Access;
  readonly facts: Facts;
  readonly address: string;
  readonly tookMs: number;
}

function account(service: Service, { request, response, access, facts, address, tookMs }: Answered): void {
  const { method = '', url = '' } = request;
  const status = response.statusCode;
  const { action, repository, reference } = facts;
  const fields = { method, url, status, address, user: access.user, tookMs: Math.round(tookMs) };
  if (status >= 500) log.warn('registry answered', fields);
  else log.debug('registry answered', fields);
  service.metrics.observe({ method, kind: kindOfPath(url), status, tookMs });
  const isNoted = status === 401 || status === 403 || status === 429 || isWorthNoting(request, facts);
  if (!service.audit || !isNoted) return;
  service.audit.add({
    time: new Date().toISOString(),
    user: access.user ?? null,
    address,
    action: action ?? 'other',
    repository,
    reference,
    method,
    status,
    agent: request.headers['user-agent'],
  });
}

/** Changes, and pulls of manifests: not every blob of them, not every look whether something is there. */
function isWorthNoting({ method, url = '' }: IncomingMessage, { action }: Facts): boolean {
  if (action === undefined) return false;
  if (action !== 'pull') return method !== 'HEAD' && !(action === 'push' && url.includes('/blobs/uploads/'));
  return method === 'GET' && url.includes('/manifests/');
}
