import { namedVertex } from '#builder';
import type { Digest } from '#oci';
import { formatReference, parseReference } from '#reference';
import type { RunningBuild } from '../control/running-build.ts';
import type { BuildKitHost } from '../types.ts';

/** The image is in the store already: it gets its names there. */
export async function exportImage(
  { status, ref }: RunningBuild,
  host: BuildKitHost,
  imageID: Digest,
  attributes: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const names = (attributes['name'] ?? '').split(',').filter(Boolean).map(fullName);
  const vertex = { ...namedVertex(`exporting to image ${ref}`), name: 'exporting to image' };
  await status.during(vertex, async () => {
    const part = (id: string, work: () => Promise<void>) => status.duringPart(vertex.digest, id, work);
    await part('exporting layers', async () => {});
    await part(`writing image ${imageID}`, async () => {});
    for (const name of names) await part(`naming to ${name}`, () => host.tag(imageID, name));
  });
  return {
    'containerimage.config.digest': imageID,
    'containerimage.digest': imageID,
    ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
  };
}

/** With its domain, but no tag that nobody named: as clients are used to read it. */
function fullName(name: string): string {
  return formatReference(parseReference(name));
}
