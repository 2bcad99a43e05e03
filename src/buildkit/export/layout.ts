import { EngineError } from '#errdefs';
import { withDefaultTag } from '#reference';
import { ExportAttributes } from './attributes.ts';
import { exportVertex } from './export-vertex.ts';
import { sendBytes } from './file-send.ts';
import type { ExportTask } from './types.ts';

/** `type=oci`, `type=docker`: the image as a tar at the client, an OCI layout, of which the second also is what `docker load` reads. */
export function exportLayout(
  format: 'oci' | 'docker',
  attributes: Readonly<Record<string, string>>,
  number: number,
): ExportTask {
  const read = new ExportAttributes(format, attributes);
  const references = read.references().map(withDefaultTag);
  const compression = read.compression() ?? { format: 'gzip' };
  // Here all of them are.
  read.forcesCompression();
  const ociTypes = read.flag('oci-mediatypes') ?? format === 'oci';
  if (read.flag('tar') === false) {
    throw new EngineError(
      'not-implemented',
      `exporter ${format}: a folder in place of a tar (tar=false) is not supported`,
    );
  }
  read.text('dest');
  // Times in images follow what they are built of, whatever is asked for.
  read.flag('rewrite-timestamp');
  read.end();
  return async ({ build, host, images }) => {
    if (format === 'docker' && images.length > 1) {
      throw new EngineError('invalid-argument', 'docker exporter does not currently support exporting manifest lists');
    }
    const { status, signal } = build;
    const vertex = exportVertex(build, number, `exporting to ${format} image format`);
    return await status.during(vertex, async () => {
      const part = <T>(id: string, work: () => Promise<T>) => status.duringPart(vertex.digest, id, work);
      const wish = { format, references, ociTypes, signal };
      await using layout = await part('exporting layers', () =>
        host.layout(
          images.map(({ id }) => id),
          { ...wish, compression: compression === 'none' ? undefined : compression },
        ),
      );
      for (const { digest } of layout.manifests) await part(`exporting manifest ${digest}`, async () => {});
      for (const { id } of images) await part(`exporting config ${id}`, async () => {});
      const { target, manifests } = layout;
      if (manifests.length > 1) await part(`exporting manifest list ${target.digest}`, async () => {});
      const answer = {
        'containerimage.digest': target.digest,
        'containerimage.descriptor': encoded({ mediaType: target.mediaType, digest: target.digest, size: target.size }),
        ...(images.length === 1 ? { 'containerimage.config.digest': images[0]!.id } : {}),
      };
      const count = status.counted(vertex.digest, 'sending tarball');
      const onBytes = (bytes: number) => count.add(bytes);
      const session = await build.session();
      await sendBytes(session, layout.tar(), { exporter: number, metadata: answer, onBytes, signal });
      count.end();
      return answer;
    });
  };
}

/** As clients read values that are no text. */
export function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64');
}
