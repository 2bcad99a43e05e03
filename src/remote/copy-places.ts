import { hostPlatform } from '#oci';
import { parseReference } from '#reference';
import { archiveSink } from './archive-sink.ts';
import { archiveSource } from './archive-source.ts';
import { type Copied, type CopyOptions, copyImage } from './copy.ts';
import { requirePlatform } from './copy-platform.ts';
import { folderSink, folderSource } from './folder-place.ts';
import { type CopySink, type CopySource, type Place, parsePlace } from './places.ts';
import { registrySink, registrySource } from './registry-place.ts';
import type { RemoteCall } from './types.ts';

/** A place of a copy, and what its registry is asked with when it is one. */
export interface CopyEnd {
  readonly place: string;
  readonly call: RemoteCall;
}

/**
 * Copies from one place to another: registries, image layouts, archives. A `docker-archive` has one image: of an index, without a platform, the host's.
 * @throws as `copyImage`; `already-exists` rather than replacing an archive.
 */
export async function copyPlaces(from: CopyEnd, to: CopyEnd, options: CopyOptions = {}): Promise<Copied> {
  const target = parsePlace(to.place);
  await using source = await openSource(parsePlace(from.place), from.call, options);
  if (options.platforms?.length) await requirePlatform(source, options.platforms);
  await using sink = await openSink(target, to.call);
  const platforms = options.platforms?.length
    ? options.platforms
    : target.kind === 'docker-archive'
      ? [hostPlatform()]
      : undefined;
  return await copyImage(source, sink, { ...options, platforms });
}

async function openSource(
  place: Place,
  call: RemoteCall,
  { maxInflatedBytes }: Pick<CopyOptions, 'maxInflatedBytes'>,
): Promise<CopySource> {
  if (place.kind === 'registry') return await registrySource(call, parseReference(place.name));
  if (place.kind === 'oci') return await folderSource(place.path, place.name);
  return await archiveSource(place.path, place.name, maxInflatedBytes);
}

async function openSink(place: Place, call: RemoteCall): Promise<CopySink> {
  if (place.kind === 'registry') return registrySink(call, parseReference(place.name));
  if (place.kind === 'oci') return await folderSink(place.path, place.name);
  return await archiveSink(place.path, place.name, place.kind);
}
