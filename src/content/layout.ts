import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type Digest, type DigestAlgorithm, digestAlgorithm, digestHex, isDigest } from '#oci';

/** The algorithms a blob may be named by. */
export const algorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512'];

const stagePrefix = 'stage-';

/** Where things are below the store's root. */
export class Layout {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  get ingestFolder(): string {
    return join(this.root, 'ingest');
  }

  get removedFolder(): string {
    return join(this.root, 'removed');
  }

  algorithmFolder(algorithm: DigestAlgorithm): string {
    return join(this.root, 'blobs', algorithm);
  }

  recipeFolder(algorithm: DigestAlgorithm): string {
    return join(this.root, 'recipes', algorithm);
  }

  blob(digest: Digest): string {
    return join(this.algorithmFolder(digestAlgorithm(digest)), digestHex(digest));
  }

  /** Keys are any text (a URL, say); their file name is a hash. */
  ingestOf(key: string): string {
    return join(this.ingestFolder, createHash('sha256').update(key).digest('hex'));
  }

  stage(random: string): string {
    return join(this.ingestFolder, stagePrefix + random);
  }
}

/** The digest a file name stands for, or undefined when it is not one. */
export function digestOfName(algorithm: DigestAlgorithm, name: string): Digest | undefined {
  const digest = `${algorithm}:${name}`;
  return isDigest(digest) ? digest : undefined;
}

export function isIngestName(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

export function isStageName(name: string): boolean {
  return name.startsWith(stagePrefix) && /^[0-9a-f]+$/.test(name.slice(stagePrefix.length));
}
