import type { ImageInspect, ImageSummary } from '#api-types';
import type { Call } from '../call.ts';

/** Before 1.51 `Containers` was not computed, before 1.44 there was `VirtualSize`, before 1.43 nothing was named `<none>`. */
export function imageSummariesFor(call: Call, images: readonly ImageSummary[]): readonly object[] {
  // Asked once: there may be ten thousand images.
  const [before143, before144, before147, before148, before151] = ['1.43', '1.44', '1.47', '1.48', '1.51'].map(
    (version) => call.before(version),
  );
  return images.map((image) => {
    const { Descriptor, Manifests, ...rest } = image;
    const summary: DraftSummary = rest;
    if (before151) summary.Containers = -1;
    if (!before148 && Descriptor !== undefined) summary.Descriptor = Descriptor;
    if (!before147 && Manifests !== undefined) summary.Manifests = Manifests;
    if (before143) nameNothing(summary);
    if (before144) summary.VirtualSize = image.Size;
    return summary;
  });
}

type DraftSummary = { -readonly [Key in keyof ImageSummary]: ImageSummary[Key] } & { VirtualSize?: number };

function nameNothing(summary: DraftSummary): void {
  const [tags, digests] = [summary.RepoTags ?? [], summary.RepoDigests ?? []];
  const untagged = tags.length === 0 && digests.length === 0;
  summary.RepoTags = untagged ? ['<none>:<none>'] : orNull(tags);
  summary.RepoDigests = untagged ? ['<none>@<none>'] : orNull(digests);
}

export function orNull(names: readonly string[]): readonly string[] | null {
  return names.length === 0 ? null : names;
}

const emptyContainerConfig = {
  Hostname: '',
  Domainname: '',
  User: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: '',
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
} as const;

/**
 * Before 1.50 an image's config had a container's fields, before 1.45 there was the config of its build container, before 1.44 `VirtualSize`. From 1.52 on
 * what is empty is left out, from 1.53 on it is told where an image is from.
 */
export function imageInspectFor(call: Call, image: ImageInspect): object {
  const { Hostname, Domainname, AttachStdin, AttachStdout, AttachStderr, Tty, OpenStdin, StdinOnce, Image } =
    emptyContainerConfig;
  const legacy = { Hostname, Domainname, AttachStdin, AttachStdout, AttachStderr, Tty, OpenStdin, StdinOnce, Image };
  const { Descriptor, Manifests, Identity, ...rest } = image;
  return {
    ...(call.before('1.52') ? rest : withoutEmpty(rest)),
    ...(call.before('1.48') || Descriptor === undefined ? {} : { Descriptor }),
    ...(call.before('1.48') || Manifests === undefined ? {} : { Manifests }),
    ...(call.before('1.53') || Identity === undefined ? {} : { Identity }),
    ...(call.before('1.50') && image.Config !== null ? { Config: { ...legacy, ...image.Config } } : {}),
    ...(call.before('1.45') ? { ContainerConfig: emptyContainerConfig } : {}),
    ...(call.before('1.44') ? { VirtualSize: image.Size, Created: image.Created ?? '0001-01-01T00:00:00Z' } : {}),
  };
}

const omittedWhenEmpty = ['Parent', 'Comment', 'DockerVersion', 'Author'] as const;

function withoutEmpty(image: Omit<ImageInspect, 'Descriptor' | 'Manifests' | 'Identity'>): object {
  const empty: readonly string[] = omittedWhenEmpty.filter((field) => image[field] === '');
  const shown = Object.entries(image).filter(([field]) => !empty.includes(field));
  const config =
    image.Config && Object.fromEntries(Object.entries(image.Config).filter(([, value]) => !isEmpty(value)));
  return { ...Object.fromEntries(shown), Config: config };
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === '' || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
