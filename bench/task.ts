import type { Contender } from './contender.ts';
import type { NamedArchive } from './store-images.ts';
import type { SyntheticImage } from './synthetic-image.ts';

export type Unit = 'ms' | 'MiB' | 'KiB' | '×';

/** What every task may use. */
export interface Bench {
  /** A tar to import as the image that containers run. */
  readonly baseTar: string;
  /** Made on first use, kept in the cache folder. */
  image(): Promise<SyntheticImage>;
  /** Of 61 layers. */
  deep(): Promise<NamedArchive>;
  /** As large as `--large` says, of random bytes and of zeros each. */
  large(): Promise<NamedArchive>;
  /** As many images as `--images` says. */
  many(): Promise<NamedArchive>;
}

/** A task ready to be sampled on one contender. Disposing removes all it made there. */
export interface Sampler extends AsyncDisposable {
  /** One value per metric; a metric that cannot be had here is left out. */
  sample(): Promise<Readonly<Record<string, number>>>;
}

export interface Task {
  readonly name: string;
  readonly about: string;
  /** In the order they are printed. */
  readonly metrics: Readonly<Record<string, Unit>>;
  /** How many, when nobody says. */
  readonly samples: number;
  /** Taken first and not counted. */
  readonly warmUps: number;
  open(contender: Contender, bench: Bench): Promise<Sampler>;
}

/** Every name given to an image, container or file on a contender starts so. */
export const prefix = 'wherry-bench';
export const baseImage = `${prefix}-base`;

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** A docker command that may take minutes. */
export async function patiently({ docker }: Pick<Contender, 'docker'>, ...args: string[]): Promise<void> {
  const ran = await docker.run(args, { timeoutMs: 15 * 60_000 });
  if (ran.status !== 0) throw new Error(`docker ${args.join(' ')}: status ${ran.status}\n${ran.stderr}`);
}

/** Makes the image that containers run; undone by the stack. */
export async function withBase(stack: AsyncDisposableStack, { docker }: Contender, bench: Bench): Promise<void> {
  await docker.ok('import', bench.baseTar, baseImage);
  stack.defer(async () => void (await docker.run(['rmi', '-f', baseImage])));
}

/** A sampler that owns what the stack holds. */
export function samplerOf(stack: AsyncDisposableStack, sample: Sampler['sample']): Sampler {
  const held = stack.move();
  return { sample, [Symbol.asyncDispose]: () => held.disposeAsync() };
}
