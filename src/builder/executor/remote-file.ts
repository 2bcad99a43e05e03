import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteString } from '#archive';
import { EngineError } from '#errdefs';
import { type Digest, digestAlgorithm } from '#oci';
import { download, type OnProgress, reportedBody } from '#transfer';
import type { ScratchRoom } from '../types.ts';
import { startFileHash } from './file-hash.ts';
import type { Selected } from './selection.ts';
import { emptyTree, plainFolder, type SourceTree, type TreeNode, toBytes } from './source-tree.ts';

export interface RemoteFileOptions {
  readonly checksum?: Digest;
  /** A name is needed: the destination is a folder. */
  readonly named: boolean;
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  readonly room: ScratchRoom | undefined;
}

/** A name that is never seen, for a file whose URL has none. */
const namelessFile = 'download';

/**
 * The file behind a URL, as a source of ADD: root's, 0600, with the time that the server tells, else the epoch.
 * @throws EngineError in dockerd's words; `data-loss` where the checksum is another
 */
export async function fetchFile(url: string, number: number, options: RemoteFileOptions): Promise<Selected> {
  const { name, modifiedSec, sizeBytes, body } = await download(url, options);
  if (name === undefined && options.named) {
    throw new EngineError('invalid-argument', `cannot determine filename for source ${url}`);
  }
  const path = join(options.folder, `download-${number}`);
  const shown = toBytes(name ?? namelessFile);
  const stored = await store(body, path, sizeBytes, options);
  const node = { ...plainFile, sizeBytes: stored.sizeBytes, mtime: { sec: modifiedSec ?? 0, nsec: 0 } };
  const hash = await hashOf(shown, node, path);
  return { tree: fileTree(shown, node, path, hash), path: shown, resolved: shown, node, shownHash: hash };
}

async function store(
  body: AsyncIterable<Uint8Array>,
  path: string,
  total: number,
  { checksum, onProgress, room }: RemoteFileOptions,
): Promise<{ sizeBytes: number }> {
  const hash = createHash(checksum ? digestAlgorithm(checksum) : 'sha256');
  await using file = await open(path, 'wx', 0o600);
  let sizeBytes = 0;
  for await (const chunk of reportedBody(room?.ahead(body) ?? body, { status: 'Downloading', total, onProgress })) {
    hash.update(chunk);
    const { bytesWritten } = await file.write(chunk);
    if (bytesWritten !== chunk.length) throw new EngineError('unavailable', 'download: no space left on device');
    sizeBytes += chunk.length;
  }
  onProgress({ stream: '\n' });
  const found = `${checksum ? digestAlgorithm(checksum) : 'sha256'}:${hash.digest('hex')}`;
  if (checksum !== undefined && found !== checksum) {
    throw new EngineError('data-loss', `digest mismatch ${found}: ${checksum}`);
  }
  return { sizeBytes };
}

async function hashOf(name: ByteString, node: TreeNode, path: string): Promise<string> {
  const hash = startFileHash({ ...node, type: 'file', name, xattrs: new Map() });
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function fileTree(name: ByteString, node: TreeNode, path: string, hash: string): SourceTree {
  return {
    ...emptyTree,
    lstat: async (at) => (at === '' ? plainFolder : at === name ? node : undefined),
    list: async (at) => (at === '' ? [name] : []),
    read: () => createReadStream(path),
    hash: async () => hash,
    contentHash: async () => hash,
  };
}

const plainFile: TreeNode = { ...plainFolder, type: 'file', mode: 0o600 };
