import type { DiskUsage, EventMessage, Networks, RepairItem, System, Trash, Volumes } from '#api-types';
import { readLines } from '#http';
import { authHeader, filtersQuery, type Transport } from './transport.ts';

export function networks(transport: Transport): Networks {
  return {
    list: (options = {}) => transport.json('GET', '/networks', { query: { filters: filtersQuery(options.filters) } }),
    inspect: (id, options = {}) =>
      transport.json('GET', `/networks/${encodeURIComponent(id)}`, {
        query: { verbose: options.verbose, scope: options.scope },
        ...(options.status ? { version: '1.52' } : {}),
      }),
    create: (config) => transport.json('POST', '/networks/create', { json: config }),
    remove: (id) => transport.call('DELETE', `/networks/${encodeURIComponent(id)}`),
    connect: (id, config) => transport.call('POST', `/networks/${encodeURIComponent(id)}/connect`, { json: config }),
    disconnect: (id, config) =>
      transport.call('POST', `/networks/${encodeURIComponent(id)}/disconnect`, { json: config }),
    prune: (options = {}) =>
      transport.json('POST', '/networks/prune', { query: { filters: filtersQuery(options.filters) } }),
  };
}

export function volumes(transport: Transport): Volumes {
  return {
    list: (options = {}) => transport.json('GET', '/volumes', { query: { filters: filtersQuery(options.filters) } }),
    create: (config) => transport.json('POST', '/volumes/create', { json: config }),
    inspect: (name) => transport.json('GET', `/volumes/${encodeURIComponent(name)}`),
    remove: (name, options = {}) =>
      transport.call('DELETE', `/volumes/${encodeURIComponent(name)}`, { query: { force: options.force } }),
    prune: (options = {}) =>
      transport.json('POST', '/volumes/prune', { query: { filters: filtersQuery(options.filters) } }),
  };
}

export function system(transport: Transport): System {
  return {
    ping: () => transport.call('GET', '/_ping'),
    info: () => transport.json('GET', '/info'),
    version: () => transport.json('GET', '/version'),
    fileUsage: ({ groups, signal } = {}) => transport.json('GET', '/wherry/v1/files', { query: { groups }, signal }),
    df: (options = {}) => transport.json<DiskUsage>('GET', '/system/df', { query: { type: options.types } }),
    account: () => transport.json('GET', '/wherry/v1/disk'),
    auth: (config) => transport.json('POST', '/auth', { json: config, headers: authHeader(config) }),
    events: (options = {}) =>
      transport.lines<EventMessage>('GET', '/events', {
        query: { since: options.since, until: options.until, filters: filtersQuery(options.filters) },
        signal: options.signal,
      }),
    async *repair(options = {}) {
      const response = await transport.send('POST', '/wherry/v1/repair', { signal: options.signal });
      for await (const line of readLines(response.body)) yield JSON.parse(line) as RepairItem;
    },
    async *verify(options = {}) {
      const response = await transport.send('POST', '/wherry/v1/verify', { signal: options.signal });
      for await (const line of readLines(response.body)) yield (JSON.parse(line) as { fault: string }).fault;
    },
  };
}

export function trash(transport: Transport): Trash {
  return {
    list: () => transport.json('GET', '/wherry/v1/undo'),
    undo: (options = {}) => transport.json('POST', '/wherry/v1/undo', { query: { ...options } }),
    empty: () => transport.json('DELETE', '/wherry/v1/trash'),
  };
}
