import type { Digest } from '#oci';
import type { Reference } from '#reference';
import { RegistryError } from './errors.ts';
import type { Host } from './hosts.ts';
import { pushScope } from './scopes.ts';
import type { Call, Session } from './session.ts';
import type { CallOptions, RetryOptions } from './types.ts';

/** Where blobs go, and how. */
export interface UploadTarget {
  readonly session: Session;
  readonly host: Host;
  readonly reference: Reference;
  readonly retry: RetryOptions | undefined;
}

export async function begin(target: UploadTarget, call: CallOptions): Promise<URL> {
  return await sendStep(target, call, {
    method: 'POST',
    target: `/v2/${target.reference.path}/blobs/uploads/`,
    headers: { 'content-length': '0' },
    expect: [202],
  });
}

export function uploadScopes({ reference }: UploadTarget) {
  return [pushScope(reference)];
}

/** One step of an upload; answers where the next one goes. */
export async function sendStep(
  target: UploadTarget,
  call: CallOptions,
  step: Pick<Call, 'method' | 'target' | 'headers' | 'body' | 'expect'>,
): Promise<URL> {
  const answer = await target.session.call(target.host, { ...call, ...step, scopes: uploadScopes(target) });
  await answer.discard();
  return locationOf(answer.header('location'), answer.url);
}

export function locationOf(location: string | undefined, base: URL): URL {
  const url = location === undefined ? base : URL.parse(location, base);
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new RegistryError('unknown', 'push blob: the registry sent no usable upload location');
  }
  return url;
}

export function withDigest(location: URL, digest: Digest): URL {
  const url = new URL(location);
  url.searchParams.set('digest', digest);
  return url;
}
