import { type PackMember, packTar } from '#archive';
import { type DeltaHeader, formatDeltaHeader, layerPieces } from '#delta';
import { digestOf } from '#oci';
import { type BaseLayer, type DeltaBase, resolveBase } from './delta-base.ts';
import { deltaHeaderName, pieceName } from './delta-names.ts';
import { document, entriesOf, type SaveOptions } from './save.ts';
import type { SaveBlob } from './save-image.ts';
import { resolveSaveNames } from './save-names.ts';
import { planSave, type SavePlan, savedDigests } from './save-plan.ts';
import type { TransferStores } from './types.ts';

/** So many base layers are looked into, of so many bytes for each new one, though never less than the first of these nor more than the last. */
const maxBases = 256;
const basesPerNewByte = 16;
const minBaseBytes = 256 << 20;
const maxBaseBytes = 16 * 2 ** 30;

type Stores = Pick<TransferStores, 'content' | 'metadata' | 'platform'>;

/**
 * `save` of what the other side lacks: resolve → lease → plan → write. The archive's layers are the new ones, as pieces that copy from those the other side
 * has; `load` there puts them together again. The same images and base give the same bytes.
 *
 * Everything that can be refused is refused before the first chunk.
 * @throws `not-found` for an unknown name, `invalid-argument` for a list that is none, `data-loss` when a layer's bytes are gone.
 */
export async function* saveDelta(
  stores: Stores,
  names: readonly string[],
  since: DeltaBase,
  options: SaveOptions = {},
): AsyncGenerator<Uint8Array> {
  const selected = resolveSaveNames(stores.metadata.images, names);
  await using lease = await stores.metadata.lease();
  await lease.add(...savedDigests(stores, selected));
  const base = await resolveBase(stores, since, selected);
  // Before it is looked for: what is found stays.
  await lease.add(...base.map(({ digest }) => digest));
  const held = await resolveBase(stores, since, selected);
  const plan = await planSave(stores, selected, options.platforms);
  const header = headerOf(plan, held, since);
  for await (const chunk of packTar(deltaEntries(stores, plan, header, options.signal))) {
    options.signal?.throwIfAborted();
    yield chunk;
  }
}

const isLayer = (blob: SaveBlob) => blob.bytes === undefined;

function headerOf(plan: SavePlan, base: readonly BaseLayer[], since: DeltaBase): DeltaHeader {
  const there = new Set(base.map(({ digest }) => digest));
  const layers = plan.blobs.filter(isLayer).map(({ digest, sizeBytes }) => ({ digest, sizeBytes }));
  const fresh = layers.filter(({ digest }) => !there.has(digest));
  const requires = layers.filter(({ digest }) => there.has(digest));
  const shared = new Set(requires.map(({ digest }) => digest));
  // A layer that both have whole seldom has more to give than one that was replaced.
  const candidates = base.filter(({ isHere }) => isHere);
  const ordered = [...candidates].sort((a, b) => Number(shared.has(a.digest)) - Number(shared.has(b.digest)));
  return { since: since.images ?? [], requires, bases: worthLooking(ordered, fresh), layers: fresh };
}

function worthLooking(candidates: readonly BaseLayer[], fresh: DeltaHeader['layers']): DeltaHeader['bases'] {
  const newBytes = fresh.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let left = newBytes === 0 ? 0 : Math.min(maxBaseBytes, Math.max(minBaseBytes, newBytes * basesPerNewByte));
  const taken: { digest: BaseLayer['digest']; sizeBytes: number }[] = [];
  for (const { digest, sizeBytes } of candidates) {
    if (taken.length === maxBases || left <= 0) break;
    taken.push({ digest, sizeBytes });
    left -= sizeBytes;
  }
  return taken;
}

async function* deltaEntries(
  { content }: Stores,
  plan: SavePlan,
  header: DeltaHeader,
  signal: AbortSignal | undefined,
): AsyncGenerator<PackMember> {
  yield document(deltaHeaderName, Buffer.from(formatDeltaHeader(header)));
  const file = ({ digest, sizeBytes }: DeltaHeader['layers'][number]) => ({
    digest,
    sizeBytes,
    path: content.path(digest),
  });
  const numbers = new Map<number, number>();
  for await (const { layer, bytes } of layerPieces(header.bases.map(file), header.layers.map(file), { signal })) {
    const number = numbers.get(layer) ?? 0;
    numbers.set(layer, number + 1);
    yield document(pieceName(header.layers[layer]!.digest, number, digestOf(bytes)), bytes);
  }
  yield* entriesOf({ ...plan, blobs: plan.blobs.filter((blob) => !isLayer(blob)) }, { content });
}
