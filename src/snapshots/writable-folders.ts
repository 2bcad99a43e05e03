import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesFromUtf8 } from '#archive';
import { writeAttributes } from './attributes.ts';
import type { Attributes } from './tree.ts';
import type { Upper } from './upper.ts';

/** What overlayfs writes into: the changes, and a folder of its own on the same file system. */
export interface WritableFolders {
  readonly upper: string;
  readonly work: string;
}

/** There until disposed. */
export type Writable = WritableFolders & AsyncDisposable;

export function writableIn(folder: string): WritableFolders {
  return { upper: `${folder}/upper`, work: `${folder}/work` };
}

/** The merged root is the upper folder: it starts as the chain's root is. */
export async function makeWritable(folder: string, root: Attributes): Promise<void> {
  const { upper, work } = writableIn(folder);
  await Promise.all([mkdir(upper, { mode: 0o755 }), mkdir(work, { mode: 0o700 })]);
  writeAttributes(bytesFromUtf8(upper), root);
}

export function upperOf({ upper }: WritableFolders, form: Upper['form']): Upper {
  return { root: bytesFromUtf8(upper), form };
}

/** overlayfs refuses a second volatile mount, for after a power cut; while the machine is up nothing was lost. */
export async function forgetVolatile({ work }: WritableFolders): Promise<void> {
  await rm(join(work, 'work', 'incompat', 'volatile'), { recursive: true, force: true });
}
