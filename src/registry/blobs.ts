import type { Digest } from '#oci';
import type { Reference } from '#reference';
import type { ByteSource } from '#streams';
import { RegistryError } from './errors.ts';
import type { Host } from './hosts.ts';
import { pullScope, pushScope } from './scopes.ts';
import type { Session } from './session.ts';
import type { HttpAnswer } from './transport.ts';
import type { BlobAnswer, CallOptions } from './types.ts';

/** distribution-spec v1.1 §pulling-blobs, with a range when `offset` or `end` is given. */
export async function getBlob(
  session: Session,
  host: Host,
  reference: Reference,
  digest: Digest,
  options: CallOptions & { offset?: number; end?: number | undefined },
): Promise<BlobAnswer> {
  const { offset = 0, end, ...call } = options;
  const answer = await session.call(host, {
    ...call,
    method: 'GET',
    target: `/v2/${reference.path}/blobs/${digest}`,
    scopes: [pullScope(reference)],
    headers: offset > 0 || end !== undefined ? { range: `bytes=${offset}-${end === undefined ? '' : end - 1}` } : {},
    expect: [200, 206],
  });
  const source = breakable(answer.body, digest);
  if (answer.status === 200) return { source, offset: 0, ...sizeOf(answer.header('content-length')) };
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.header('content-range') ?? '');
  if (!range || Number(range[1]) !== offset) {
    await answer.discard();
    throw new RegistryError('unavailable', `fetch blob ${digest}: the registry sent another range than asked for`);
  }
  return { source, offset, ...sizeOf(range[2]) };
}

function sizeOf(text: string | undefined): { sizeBytes?: number } {
  return text !== undefined && /^\d{1,15}$/.test(text) ? { sizeBytes: Number(text) } : {};
}

/** A body that breaks off is for the caller to resume. */
async function* breakable(body: ByteSource, digest: Digest): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (cause) {
    if (!(cause instanceof RegistryError)) throw cause;
    throw new RegistryError('unavailable', `fetch blob ${digest}: ${cause.message}`, { retryable: true, cause });
  }
}

/** What the answer to a HEAD, which has no words, may hold against a push: the upload that follows is told why. */
const refusals = [401, 403];

/** HEAD, or the first byte of a GET where HEAD is not known. Who is refused while he pushes has not found it. */
export async function hasBlob(
  session: Session,
  host: Host,
  reference: Reference,
  digest: Digest,
  options: CallOptions & { access?: 'pull' | 'push' },
): Promise<boolean> {
  const { access = 'pull', ...rest } = options;
  const call = {
    ...rest,
    target: `/v2/${reference.path}/blobs/${digest}`,
    scopes: [access === 'pull' ? pullScope(reference) : pushScope(reference)],
  };
  const absent = access === 'push' ? [404, ...refusals] : [404];
  const answer = await session.call(host, { ...call, method: 'HEAD', expect: [200, ...absent, 405, 501] });
  await answer.discard();
  if (answer.status === 200 || absent.includes(answer.status)) return answer.status === 200;
  return await isReadable(
    await session.call(host, { ...call, method: 'GET', headers: { range: 'bytes=0-0' }, expect: [200, 206, 404, 416] }),
  );
}

async function isReadable(answer: HttpAnswer): Promise<boolean> {
  await answer.discard();
  return answer.status !== 404;
}
