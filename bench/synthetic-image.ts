/** An image like an application with its `node_modules`: many small files of text in several layers, the same bytes for the same options. */
import { endOfArchive, packHeader, packPadding } from '#archive';
import { type CachedArchive, cachedArchive } from './docker-archive.ts';
import { Random } from './random.ts';

const formatVersion = 1;
const layerCount = 4;
const filesPerPackage = 32;
const textBytes = 4 << 20;
const flushBytes = 1 << 20;

export interface SyntheticImageOptions {
  readonly files: number;
  readonly megabytes: number;
  /** Where it is kept. */
  readonly cache: string;
  /** A tar that is the lowest layer. */
  readonly baseTar: Buffer;
}

export interface SyntheticImage extends CachedArchive {
  readonly name: string;
}

/** Made once and kept in the cache folder. */
export async function syntheticImage(options: SyntheticImageOptions): Promise<SyntheticImage> {
  const { files, megabytes, cache, baseTar } = options;
  const name = `wherry-bench-${files}-${megabytes}:latest`;
  const archive = await cachedArchive(cache, `${files}-files-${megabytes}-mb-v${formatVersion}`, async (archive) => {
    const content = new FileContent(options);
    const layers = [await archive.addLayer('base', [baseTar])];
    for (let index = 0; index < layerCount; index++) {
      layers.push(await archive.addLayer(`layer-${index}`, content.layer(index)));
    }
    return [{ name, layers }];
  });
  return { name, ...archive };
}

/** Packages of files: sizes spread as in real ones (many small, few large), text that compresses about as theirs does. */
class FileContent {
  readonly #random = new Random(20_240_101);
  readonly #text: Buffer;
  readonly #files: number;
  readonly #meanBytes: number;

  constructor({ files, megabytes }: SyntheticImageOptions) {
    this.#files = files;
    this.#meanBytes = (megabytes * 1e6) / files;
    this.#text = sourceText(this.#random);
  }

  *layer(index: number): Generator<Uint8Array> {
    const folder = `srv/part-${index}/node_modules`;
    const count = Math.floor(this.#files / layerCount) + (index < this.#files % layerCount ? 1 : 0);
    yield* inChunks(this.#entries(folder, count));
  }

  *#entries(folder: string, count: number): Generator<Uint8Array> {
    const parts = folder.split('/');
    for (let depth = 1; depth <= parts.length; depth++) yield directory(parts.slice(0, depth).join('/'));
    let home = folder;
    for (let file = 0; file < count; file++) {
      if (file % filesPerPackage === 0) {
        home = `${folder}/package-${file / filesPerPackage}`;
        yield directory(home);
        yield directory(`${home}/lib`);
      }
      const path = file % filesPerPackage === 0 ? `${home}/package.json` : `${home}/lib/module-${file}.js`;
      const bytes = this.#content(path);
      yield packHeader({ type: 'file', path, mode: 0o644, sizeBytes: bytes.length });
      yield bytes;
      yield packPadding(bytes.length);
    }
    yield endOfArchive;
  }

  #content(path: string): Buffer {
    const wanted = Math.round(-Math.log(1 - this.#random.next()) * this.#meanBytes);
    const lengthBytes = Math.min(wanted, textBytes - 1);
    const from = this.#random.below(textBytes - lengthBytes);
    // Its name makes each file unlike every other.
    return Buffer.concat([Buffer.from(`// ${path}\n`), this.#text.subarray(from, from + lengthBytes)]);
  }
}

function directory(path: string): Uint8Array {
  return packHeader({ type: 'directory', path, mode: 0o755 });
}

function sourceText(random: Random): Buffer {
  const letters = 'etaoinsrhldcumfpgwybvkxjqz';
  const word = () => Array.from({ length: 2 + random.below(9) }, () => letters[random.below(letters.length)]).join('');
  const words = [
    'const',
    'return',
    'function',
    'export',
    '=>',
    '{',
    '}',
    '();',
    '\n  ',
    ...Array.from({ length: 3000 }, word),
  ];
  const out = Buffer.alloc(textBytes, ' ');
  for (let at = 0; at < textBytes; ) {
    // Low places in the list come more often, as words of a language do.
    const place = Math.floor(random.next() ** 3 * words.length);
    at += out.write(`${words[place]} `, at);
  }
  return out;
}

/** Large writes instead of many small ones. */
function* inChunks(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let sizeBytes = 0;
  for (const piece of pieces) {
    pending.push(piece);
    sizeBytes += piece.byteLength;
    if (sizeBytes < flushBytes) continue;
    yield Buffer.concat(pending);
    pending = [];
    sizeBytes = 0;
  }
  yield Buffer.concat(pending);
}
