import { log } from '#log';
import { digestOf } from '#oci';
import { answerToken, tokenPath } from './access/token-service.ts';
import { ApiError } from './api-error.ts';
import { type Exchange, sendText } from './exchange.ts';
import { ping, search } from './hub/search.ts';
import { manage } from './management.ts';
import type { Registry } from './registry.ts';
import { route } from './routes.ts';
import type { Service } from './service.ts';
import { site } from './web/site.ts';

const metricsType = 'text/plain; version=0.0.4; charset=utf-8';
const managementPrefix = '/wherry/registry/';

/** Answers one request. @throws ApiError for the server to word. */
export async function dispatch(service: Service, exchange: Exchange): Promise<void> {
  const { registry, accounts } = service;
  const path = decodeURIComponent(exchange.url.pathname);
  if (path === '/v2' || path.startsWith('/v2/')) return await route(registry, exchange, path);
  if (path === tokenPath && accounts.tokens) {
    exchange.facts.action = 'token';
    return await answerToken(accounts.tokens, exchange);
  }
  if (path.startsWith(managementPrefix) && (await manage(registry, exchange, path.slice(managementPrefix.length)))) {
    return;
  }
  const { method } = exchange.request;
  if (method === 'GET' || method === 'HEAD') {
    if (path === '/healthz') return await health(registry, exchange);
    if (path === '/metrics') {
      exchange.access.requireLogin();
      return sendText(exchange, 200, service.metrics.text(registry), { 'Content-Type': metricsType });
    }
    if (path === '/v1/_ping') return ping(exchange);
    if (path === '/v1/search') return await search(registry, exchange);
    if (await site(registry, exchange, path)) return;
  }
  throw new ApiError('UNSUPPORTED', 'The operation is unsupported.', { status: 404 });
}

/** Whether both stores answer. */
async function health({ meta, blobs }: Registry, exchange: Exchange): Promise<void> {
  const headers = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' };
  try {
    await meta.hasRepository('health');
    await blobs.stat(digestOf(''));
    sendText(exchange, 200, 'ok\n', headers);
  } catch (error) {
    log.error('the registry is not healthy', { error });
    sendText(exchange, 503, 'not ok\n', headers);
  }
}
