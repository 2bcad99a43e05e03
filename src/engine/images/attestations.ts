import type { AttestationOptions, AttestationStatement } from '#api-types';
import { EngineError, isKind } from '#errdefs';
import { attestedManifest, indexEntries, maxAttestationBytes, readDocument } from '#image';
import { choosePlatform, type Descriptor, formatPlatform, isIndex, parsePlatform } from '#oci';
import type { EngineContext } from '../context.ts';
import { targetOf } from './platforms.ts';
import { resolveImage } from './resolve.ts';

/** By BuildKit's storage format. */
const predicateType = 'in-toto.io/predicate-type';

/** `GET /images/{name}/attestations`: nothing of an image that came without an index. */
export async function imageAttestations(
  ctx: EngineContext,
  name: string,
  options: AttestationOptions = {},
): Promise<AttestationStatement[]> {
  const target = targetOf(resolveImage(ctx, name), name);
  if (!isIndex(target.mediaType)) return [];
  const entries = await indexEntries(ctx.content, target);
  const platform = options.platform ? parsePlatform(options.platform) : ctx.platform;
  const images = entries.filter(({ kind }) => kind === 'image').map(({ descriptor }) => descriptor);
  const image = choosePlatform(images, platform);
  if (!image) throw new EngineError('not-found', `image ${name} has no platform ${formatPlatform(platform)}`);
  const about = entries.filter(({ descriptor }) => attestedManifest(descriptor) === image.digest);
  const layers = about.flatMap(({ manifest }) => manifest?.layers ?? []);
  const statements = layers.flatMap((layer) => {
    const type = layer.annotations?.[predicateType];
    return type && (!options.types?.length || options.types.includes(type)) ? [{ layer, type }] : [];
  });
  return await Promise.all(
    statements.map(async ({ layer, type }) => ({
      Descriptor: layer,
      PredicateType: type,
      ...(options.statement ? { Statement: await readStatement(ctx, layer) } : {}),
    })),
  );
}

async function readStatement(ctx: EngineContext, { digest }: Descriptor): Promise<unknown> {
  try {
    return JSON.parse((await readDocument(ctx.content, digest, maxAttestationBytes, 'statement')).toString());
  } catch (cause) {
    const fact = isKind(cause, 'not-found') ? 'is not available locally' : 'is not JSON';
    throw new EngineError('unknown', `attestation statement ${digest} ${fact}`, { cause });
  }
}
