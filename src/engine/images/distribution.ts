import type { AuthConfig, DistributionInspect, Filters, ImageSearchResult } from '#api-types';
import { EngineError } from '#errdefs';
import { isDockerMediaType, isIndex, type Platform, parseConfig, parseTarget } from '#oci';
import type { Reference } from '#reference';
import { RegistryError } from '#registry';
import { readAll } from '#streams';
import type { EngineContext } from '../context.ts';
import { booleanFilter, checkFilterKeys } from '../filters.ts';

const maxConfigBytes = 8 << 20;

interface Options {
  readonly auth?: AuthConfig;
  readonly signal?: AbortSignal | undefined;
}

/** `GET /distribution/{name}/json`: descriptor and platforms, asked of the registry without a pull. */
export async function distributionInspect(
  ctx: EngineContext,
  reference: Reference,
  options: Options = {},
): Promise<DistributionInspect> {
  const { descriptor, bytes } = await ctx.registry.manifest(reference, options).catch(asRegistrySaid);
  const target = parseTarget(bytes, descriptor.mediaType);
  if (isIndex(descriptor.mediaType) && target.kind === 'index') {
    return { Descriptor: descriptor, Platforms: target.index.manifests.map(({ platform }) => asListed(platform)) };
  }
  if (target.kind !== 'manifest')
    throw new EngineError('invalid-argument', `unsupported manifest type ${descriptor.mediaType}`);
  // dockerd asks for the config of schema 2 only.
  if (!isDockerMediaType(descriptor.mediaType)) return { Descriptor: descriptor, Platforms: null };
  const { source } = await ctx.registry.blob(reference, target.manifest.config.digest, options);
  const config = parseConfig(await readAll(source, maxConfigBytes, 'image config'));
  return { Descriptor: descriptor, Platforms: [asListed(config)] };
}

/** Fields in dockerd's order; a child that says nothing about itself, such as an index, is listed as well. */
function asListed(platform: Partial<Platform> | undefined): Platform {
  return {
    architecture: platform?.architecture ?? '',
    os: platform?.os ?? '',
    ...(platform?.['os.version'] ? { 'os.version': platform['os.version'] } : {}),
    ...(platform?.['os.features']?.length ? { 'os.features': platform['os.features'] } : {}),
    ...(platform?.variant ? { variant: platform.variant } : {}),
  };
}

/** The client words a refusal as `docker pull` does; here the registry's own words count. */
function asRegistrySaid(error: unknown): never {
  throw error instanceof RegistryError && error.cause instanceof RegistryError ? error.cause : error;
}

/** `GET /images/search`: the registry's own search, filtered as dockerd does. */
export async function searchImages(
  ctx: EngineContext,
  term: string,
  options: { limit?: number; filters?: Filters } & Options = {},
): Promise<readonly ImageSearchResult[]> {
  const filters = options.filters ?? {};
  checkFilterKeys(filters, ['is-automated', 'is-official', 'stars']);
  const official = booleanFilter(filters, 'is-official');
  const stars = Math.max(0, ...(filters['stars'] ?? []).map((value) => starCount(value)));
  const found = await ctx.registry.search(term, options);
  return found
    .filter((result) => (official === undefined || result.is_official === official) && result.star_count >= stars)
    .map(({ star_count, is_official, name, is_automated, description }) => ({
      star_count,
      is_official,
      name,
      is_automated,
      description,
    }));
}

function starCount(value: string): number {
  if (!/^\d+$/.test(value))
    throw new EngineError(
      'invalid-argument',
      `invalid filter 'stars=${value}': strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`,
    );
  return Number(value);
}
