import type { ImageManifestSummary, ImageSummary } from '#api-types';
import { formatTable, humanSize, shortID } from './table.ts';

/** Every image with the platforms its index names, those that are not here as well: they take no space, and a pull with `--platform` brings them. */
export function imageTree(images: readonly ImageSummary[], { whole }: { whole: boolean }): string {
  const id = (text: string) => (whole ? text : shortID(text));
  const rows = images.flatMap((image) => [
    [namesOf(image), id(image.Id), humanSize(image.Size), image.Containers > 0 ? 'in use' : ''],
    ...platformRows(
      (image.Manifests ?? []).filter(({ Kind }) => Kind === 'image'),
      id,
    ),
  ]);
  return formatTable(['IMAGE', 'ID', 'SIZE', ''], rows)
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function namesOf({ RepoTags, RepoDigests }: ImageSummary): string {
  const names = RepoTags?.length ? RepoTags : (RepoDigests ?? []);
  return names.length > 0 ? names.join(', ') : '<untagged>';
}

function platformRows(manifests: readonly ImageManifestSummary[], id: (text: string) => string): string[][] {
  return manifests.map((manifest, at) => [
    `${at === manifests.length - 1 ? '└─' : '├─'} ${platformText(manifest)}`,
    id(manifest.ID),
    manifest.Available ? humanSize(manifest.Size.Total) : 'not here',
    manifest.ImageData?.Containers?.length ? 'in use' : '',
  ]);
}

function platformText({ ImageData }: ImageManifestSummary): string {
  const platform = ImageData?.Platform;
  if (!platform?.os) return 'unknown platform';
  const { os, architecture, variant } = platform;
  const version = platform['os.version'] ? `(${platform['os.version']})` : '';
  return [`${os}${version}`, architecture, ...(variant ? [variant] : [])].join('/');
}
