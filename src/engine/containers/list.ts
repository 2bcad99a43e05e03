import type { ContainerSummary, EndpointSettings, Filters, Port, PortMap } from '#api-types';
import { EngineError, type ErrorKind } from '#errdefs';

import type { EngineContext } from '../context.ts';
import { booleanFilter, checkFilterKeys, matchesLabels, matchesPattern } from '../filters.ts';
import { findImage } from '../images/resolve.ts';
import type { Container } from './container.ts';
import { endpointSettings } from './inspect.ts';
import { linkNames } from './links/index.ts';
import { mountPoints } from './mount-points.ts';
import { publishingNetworks, shownPortMap } from './shown-ports.ts';
import { imageSizeBytes } from './sizes.ts';
import { statusText } from './status-text.ts';

const knownFilters = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'label!',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
];
const statuses = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];

const healths = ['none', 'starting', 'healthy', 'unhealthy'];

export interface ListOptions {
  readonly all?: boolean;
  readonly limit?: number;
  readonly size?: boolean;
  readonly filters?: Filters;
}

/** `GET /containers/json`: newest first; running ones only unless `all`, `limit` or a status filter says otherwise. */
export async function listContainers(ctx: EngineContext, options: ListOptions = {}): Promise<ContainerSummary[]> {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, knownFilters);
  const matches = matcher(ctx, filters);
  const everything = options.all || (options.limit ?? 0) > 0 || wantsStopped(filters);
  const newestFirst = [...ctx.containers.all()].sort((a, b) => (a.body.created < b.body.created ? 1 : -1));
  const chosen = newestFirst.filter((container) => (everything || container.isRunning) && matches(container));
  const limited = (options.limit ?? 0) > 0 ? chosen.slice(0, options.limit) : chosen;
  const facts = { names: linkNames(ctx), publishing: publishingNetworks(ctx), size: options.size ?? false };
  return await Promise.all(limited.map((container) => summarize(ctx, container, facts)));
}

function wantsStopped(filters: Filters): boolean {
  return ['status', 'before', 'since', 'exited'].some((key) => (filters[key]?.length ?? 0) > 0);
}

type Test = (container: Container) => boolean;

function matcher(ctx: EngineContext, filters: Filters): Test {
  const tests: Test[] = [];
  const values = (key: string) => filters[key] ?? [];
  const any = (key: string, test: (container: Container, value: string) => boolean) => {
    if (values(key).length > 0) tests.push((container) => values(key).some((value) => test(container, value)));
  };
  for (const status of values('status')) {
    checkWord('status', 'state', status, statuses);
  }
  for (const health of values('health')) checkWord('health', 'health', health, healths);
  for (const code of values('exited'))
    checkNumber('invalid-argument', `invalid filter 'exited=${code}': strconv.Atoi`, code);
  for (const key of ['publish', 'expose']) for (const port of values(key)) parsePortFilter(key, port);
  any('id', (container, value) => matchesPattern(value, container.id));
  any(
    'name',
    (container, value) => matchesPattern(value, container.name) || matchesPattern(value, `/${container.name}`),
  );
  any('status', (container, value) => container.body.state.status === value);
  any('exited', (container, value) => exitedWith(container, value));
  any('volume', (container, value) => usesVolume(container, value));
  any('network', (container, value) => onNetwork(container, value));
  any('publish', (container, value) => portMatches(container, value, true));
  any('expose', (container, value) => portMatches(container, value, false));
  any('health', (container, value) => (container.body.health?.status ?? 'none') === value);
  any('isolation', (container, value) => (container.body.hostConfig.Isolation || 'default') === value);
  if (booleanFilter(filters, 'is-task') === true) tests.push(() => false);
  const ancestors = values('ancestor').map((name) => findImage(ctx, name)?.id ?? name);
  if (ancestors.length > 0) tests.push((container) => descends(ctx, container, ancestors));
  for (const name of values('before')) {
    const other = ctx.containers.resolve(name).body.created;
    tests.push((container) => container.body.created < other);
  }
  for (const name of values('since')) {
    const other = ctx.containers.resolve(name).body.created;
    tests.push((container) => container.body.created > other);
  }
  tests.push((container) => matchesLabels(container.body.config.Labels, filters));
  return (container) => tests.every((test) => test(container));
}

function checkWord(key: string, subject: string, value: string, words: readonly string[]): void {
  if (words.includes(value)) return;
  throw new EngineError(
    'invalid-argument',
    `invalid filter '${key}=${value}': invalid value for ${subject} (${value}): must be one of ${words.join(', ')}`,
  );
}

function checkNumber(kind: ErrorKind, operation: string, text: string): void {
  if (/^[+-]?\d+$/.test(text)) return;
  throw new EngineError(kind, `${operation}: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function exitedWith(container: Container, value: string): boolean {
  const { finishedAt, exitCode } = container.body.state;
  return !container.isRunning && finishedAt > '0002' && exitCode === Number(value);
}

function usesVolume(container: Container, value: string): boolean {
  return container.body.mounts.some(
    (mount) =>
      mount.destination === value ||
      (mount.kind === 'volume' && mount.name === value) ||
      (mount.kind === 'bind' && mount.source === value),
  );
}

function onNetwork(container: Container, value: string): boolean {
  return Object.entries(endpointSettings(container)).some(
    ([name, settings]) => name === value || settings.NetworkID === value,
  );
}

/** `80`, `80/udp` or `8000-8010`. */
const maxPort = 65_535;

function parsePortFilter(key: string, value: string): { first: number; last: number; protocol: string } {
  const [range = '', protocol = 'tcp'] = value.split('/', 2);
  const [first = '', last = first] = range.split('-', 2);
  const where = `error while looking up for ${key} ${value}`;
  if (range === '') throw new EngineError('unknown', `${where}: Empty string specified for ports.`);
  for (const port of [first, last]) {
    checkNumber('unknown', `${where}: strconv.ParseUint`, port);
    if (Number(port) <= maxPort) continue;
    throw new EngineError('unknown', `${where}: strconv.ParseUint: parsing "${port}": value out of range`);
  }
  if (Number(last) < Number(first)) {
    throw new EngineError('unknown', `${where}: Invalid range specified for the Port: ${range}`);
  }
  return { first: Number(first), last: Number(last), protocol };
}

function portMatches(container: Container, value: string, published: boolean): boolean {
  const { first, last, protocol } = parsePortFilter(published ? 'publish' : 'expose', value);
  const inRange = (port: number) => port >= first && port <= last;
  return Object.entries(container.body.ports).some(([spec, bindings]) => {
    const [port, type] = spec.split('/');
    if (type !== protocol) return false;
    if (!published) return inRange(Number(port));
    return (bindings ?? []).some((binding) => inRange(Number(binding.HostPort)));
  });
}

/** The image itself, or one that grew from it: its layers are the first of the container's. */
function descends(ctx: EngineContext, container: Container, ancestors: readonly string[]): boolean {
  return ancestors.some((id) => {
    if (container.body.imageID === id) return true;
    const image = ctx.metadata.images.list().find((candidate) => candidate.id === id);
    return image?.diffIDs.every((layer, index) => container.body.chain[index] === layer) ?? false;
  });
}

/** Docker leaves a size of zero out. */
async function sizes(
  ctx: EngineContext,
  container: Container,
): Promise<Pick<ContainerSummary, 'SizeRw' | 'SizeRootFs'>> {
  const { sizeBytes } = await ctx.snapshots.usage(container.id);
  const SizeRootFs = imageSizeBytes(ctx, container);
  return { ...(sizeBytes > 0 ? { SizeRw: sizeBytes } : {}), ...(SizeRootFs > 0 ? { SizeRootFs } : {}) };
}

/** What is found out once for a whole list. */
interface ListFacts {
  readonly names: ReadonlyMap<string, readonly string[]>;
  readonly publishing: ReadonlySet<string>;
  readonly size: boolean;
}

async function summarize(
  ctx: EngineContext,
  container: Container,
  { names, publishing, size: withSize }: ListFacts,
): Promise<ContainerSummary> {
  const { body } = container;
  return {
    Id: container.id,
    Names: [`/${container.name}`, ...(names.get(container.id) ?? [])].sort(),
    Image: shownImage(ctx, container),
    ImageID: body.imageID,
    Command: [body.path, ...body.args.map(shownArgument)].join(' '),
    Created: Math.floor(Date.parse(body.created) / 1000),
    Ports: shownPorts(shownPortMap(container, () => publishing)),
    ...(withSize ? await sizes(ctx, container) : {}),
    Labels: body.config.Labels ?? {},
    State: body.state.status,
    Status: statusText(body.state, body.health?.status),
    HostConfig: {
      NetworkMode: body.hostConfig.NetworkMode ?? 'bridge',
      ...(body.hostConfig.Annotations ? { Annotations: body.hostConfig.Annotations } : {}),
    },
    Health: healthOf(container),
    NetworkSettings: { Networks: withoutNames(endpointSettings(container)) },
    Mounts: mountPoints(body.mounts),
  };
}

function healthOf({ body: { health } }: Container): ContainerSummary['Health'] {
  return { Status: health?.status ?? 'none', FailingStreak: health?.failingStreak ?? 0 };
}

/** Names for the name server are told by inspect alone. */
function withoutNames(networks: Record<string, EndpointSettings>): Record<string, EndpointSettings> {
  return Object.fromEntries(Object.entries(networks).map(([name, of]) => [name, { ...of, DNSNames: null }]));
}

const shownArgument = (argument: string) => (argument.includes(' ') ? `'${argument}'` : argument);

/** The name given at create while it still means the same image, else the image's ID. */
function shownImage(ctx: EngineContext, container: Container): string {
  const { image, imageID } = container.body;
  const current = findImage(ctx, image);
  return current === undefined || current.id !== imageID ? imageID : image;
}

function shownPorts(ports: PortMap): Port[] {
  return Object.entries(ports).flatMap(([spec, bindings]): Port[] => {
    const [port = '', type = 'tcp'] = spec.split('/');
    const base = { PrivatePort: Number(port), Type: type as Port['Type'] };
    if (!bindings || bindings.length === 0) return [base];
    return bindings.map((binding) => ({
      IP: binding.HostIp ?? '',
      PrivatePort: base.PrivatePort,
      ...(binding.HostPort ? { PublicPort: Number(binding.HostPort) } : {}),
      Type: base.Type,
    }));
  });
}
