import { EngineError } from '#errdefs';
import type { Descriptor } from '#oci';
import { formatReference, parseReference } from '#reference';
import { ExportAttributes } from './attributes.ts';
import { exportVertex } from './export-vertex.ts';
import { encoded } from './layout.ts';
import type { Exporter } from './types.ts';

/** `type=image`: the image is in the store already; it gets its names there, and goes to registries under them where that is wanted. */
export const exportImage: Exporter = (attributes, number) => {
  const read = new ExportAttributes('image', attributes);
  // With its domain, but no tag that nobody named: as clients are used to read it.
  const names = read.references().map(formatReference);
  const isPushed = read.flag('push') ?? false;
  const compression = read.compression();
  if (compression === 'none' && isPushed) {
    throw new EngineError('not-implemented', 'exporter image: layers are pushed as gzip or zstd, not uncompressed');
  }
  if (read.forcesCompression()) throw refused('force-compression');
  // Layers are mounted as they are stored: there is nothing to unpack.
  read.flag('unpack');
  read.flag('rewrite-timestamp');
  if (read.flag('store') === false) throw refused('store=false');
  if (read.flag('push-by-digest')) throw refused('push-by-digest');
  if (read.flag('name-canonical')) throw refused('name-canonical');
  read.end();
  if (isPushed && names.length === 0)
    throw new EngineError('invalid-argument', 'tag is needed when pushing to registry');
  return async (parts) => {
    const { build, host, images, isIndex } = parts;
    const { status, signal } = build;
    const [first] = images;
    const vertex = exportVertex(build, number, 'exporting to image');
    return await status.during(vertex, async () => {
      const part = <T>(name: string, work: () => Promise<T>) => status.duringPart(vertex.digest, name, work);
      await part('exporting layers', async () => {});
      for (const { id } of images) await part(`writing image ${id}`, async () => {});
      const index = isIndex ? await host.index(images.map(({ id }) => id)) : undefined;
      if (index) await part(`exporting manifest list ${index.digest}`, async () => {});
      for (const name of names) {
        await part(`naming to ${name}`, () => (index ? host.tagIndex(index, name) : host.tag(first!.id, name)));
      }
      let pushed: Descriptor | undefined;
      for (const name of isPushed ? names : []) {
        const onProgress = status.progressOf(vertex.digest);
        const auth = await build.credentials(parseReference(name).domain, { signal });
        const how = compression && compression !== 'none' ? { compression } : {};
        const push = () => host.push(name, { ...how, onProgress, signal, ...(auth ? { auth } : {}) });
        pushed = await part(`pushing ${name}`, push);
      }
      const descriptor = pushed ?? index;
      return {
        ...(index ? {} : { 'containerimage.config.digest': first!.id }),
        'containerimage.digest': descriptor?.digest ?? first!.id,
        ...(descriptor ? { 'containerimage.descriptor': encoded(descriptor) } : {}),
        ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
      };
    });
  };
};

function refused(what: string): EngineError {
  return new EngineError('not-implemented', `exporter image: ${what} is not supported`);
}
