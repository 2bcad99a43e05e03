import { delay } from '#concurrency';
import { EngineError } from '#errdefs';
import { familiarName, type Reference } from '#reference';
import { RegistryError } from '#registry';
import type { RemoteCall } from './types.ts';

/** What people know a repository by, in a registry of Wherry's. */
export interface HubRepository {
  readonly name: string;
  readonly description: string;
  readonly readme: string;
  readonly isOfficial: boolean;
  readonly stars: number;
  readonly pulls: number;
  readonly created: string;
  readonly pushed: string;
  readonly isStarred: boolean;
}

/** What can be taken back, until when. */
export interface DeletedThing {
  readonly repository: string;
  readonly kind: 'tag' | 'manifest' | 'blob';
  readonly reference: string;
  readonly deleted: string;
  readonly restorableUntil: string;
}

/** What a look through all blobs found. */
export interface ScrubReport {
  readonly started: string;
  readonly finished: string;
  readonly blobs: number;
  readonly bytes: number;
  readonly damaged: readonly {
    readonly digest: string;
    readonly problem: string;
    readonly affected: readonly {
      readonly repository: string;
      readonly manifest: string;
      readonly tags: readonly string[];
    }[];
  }[];
  readonly orphans: { readonly blobs: number; readonly bytes: number };
}

type Repository = Pick<Reference, 'domain' | 'path'>;

export async function hubRepository(call: RemoteCall, { domain, path }: Repository): Promise<HubRepository> {
  return (await ask(call, domain, { method: 'GET', path: `repositories/${path}` })) as HubRepository;
}

/** What is left out stays as it is. @throws `not-found` for a repository that is not there. */
export async function describeRepository(
  call: RemoteCall,
  { domain, path }: Repository,
  words: { readonly description?: string; readonly readme?: string },
): Promise<void> {
  await ask(call, domain, { method: 'PUT', path: `repositories/${path}`, json: words });
}

export async function starRepository(
  call: RemoteCall,
  { domain, path }: Repository,
  isStarred: boolean,
): Promise<void> {
  await ask(call, domain, { method: isStarred ? 'PUT' : 'DELETE', path: `stars/${path}` });
}

/** Of one repository, or of all that the user may delete in. */
export async function deletedThings(
  call: RemoteCall,
  { domain, path }: { readonly domain: string; readonly path?: string | undefined },
): Promise<readonly DeletedThing[]> {
  const query = path === undefined ? {} : { repository: path };
  const answer = await ask(call, domain, { method: 'GET', path: 'deleted', query });
  return (answer as { readonly deleted: readonly DeletedThing[] }).deleted;
}

/** Takes a delete back. @throws `not-found` when it cannot be any more. */
export async function restoreThing(
  call: RemoteCall,
  reference: Reference,
  options: { isBlob?: boolean } = {},
): Promise<void> {
  const { domain, path, tag, digest } = reference;
  const kind = digest === undefined ? 'tag' : options.isBlob ? 'blob' : 'manifest';
  const what = { repository: path, kind, reference: digest ?? tag ?? 'latest' };
  try {
    await ask(call, domain, { method: 'POST', path: 'restore', json: what });
  } catch (error) {
    if (!(error instanceof RegistryError) || error.status !== 404) throw error;
    const fact = `restore ${familiarName(reference)}: there is no deleted ${kind} ${what.reference} to take back`;
    throw new EngineError('not-found', fact, { cause: error });
  }
}

const pollMs = 500;

/** Has every blob looked at, and waits for what is found. One that is under way already is waited for. */
export async function scrubRegistry(call: RemoteCall, domain: string): Promise<ScrubReport> {
  type Answer = { readonly isRunning: boolean; readonly last: ScrubReport | null };
  const before = (await ask(call, domain, { method: 'GET', path: 'scrub' })) as Answer;
  let answer = (await ask(call, domain, { method: 'POST', path: 'scrub' })) as Answer;
  while (answer.isRunning || answer.last === null || answer.last.started === before.last?.started) {
    await delay(pollMs, { signal: call.signal });
    answer = (await ask(call, domain, { method: 'GET', path: 'scrub' })) as Answer;
    if (!answer.isRunning && answer.last?.started === before.last?.started)
      throw new EngineError('unavailable', `scrub ${domain}: it broke off; the registry's log says why`);
  }
  return answer.last;
}

/** What a registry of Wherry's has not found. */
const ownCodes: ReadonlySet<string> = new Set(['NAME_UNKNOWN', 'MANIFEST_UNKNOWN']);

/** The answers are those of one server of ours: only that there is one is checked. */
async function ask(call: RemoteCall, domain: string, request: Parameters<RemoteCall['registry']['hub']>[1]) {
  try {
    const answer = await call.registry.hub(domain, request, call);
    const isObject = typeof answer === 'object' && answer !== null;
    if (request.method !== 'GET' || isObject) return answer;
  } catch (error) {
    const isOther =
      error instanceof RegistryError && error.status === 404 && !error.codes.some((code) => ownCodes.has(code));
    if (!isOther) throw error;
  }
  throw new EngineError('not-implemented', `${domain} is no registry of Wherry's: it knows nothing of this`);
}
