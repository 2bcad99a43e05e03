import { EngineError } from '#errdefs';
import type { PeerStream } from '#grpc';
import type { ClientSession } from '../session/client-session.ts';
import { decodePacket, encodePacket, packetType } from '../session/packets.ts';
import { openFileSend } from './file-send.ts';
import { type ListedFile, listTrees, type NamedTree } from './tree-list.ts';

const chunkBytes = 32 << 10;

/** An image has fewer; a client that asks for more than there is means harm. */
const maxWaiting = 10_000_000;

export interface SentFiles {
  readonly exporter: number;
  readonly trees: readonly NamedTree[];
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Writes trees into the client's folder by `FileSend.DiffCopy`: it is told of all files, asks for the contents of those that it wants, and says when it has
 * them all.
 */
export async function sendFiles(
  session: ClientSession,
  { exporter, trees, onBytes, signal }: SentFiles,
): Promise<void> {
  using stream = openFileSend(session, { exporter, signal });
  const files: ListedFile[] = [];
  const listing = list(stream, trees, files, onBytes);
  listing.catch(() => {});
  for await (const message of stream.messages()) {
    const packet = decodePacket(message);
    if (packet.type === packetType.request) {
      const file = files[packet.id];
      if (!file || packet.id > maxWaiting) throw new EngineError('invalid-argument', `no such file: ${packet.id}`);
      await send(stream, packet.id, file, onBytes);
    } else if (packet.type === packetType.end) {
      await listing;
      await stream.send(encodePacket({ type: packetType.end }));
      stream.end();
    } else throw new EngineError('invalid-argument', `a packet of type ${packet.type} from a receiver of files`);
  }
  await listing;
}

async function list(
  stream: PeerStream,
  trees: readonly NamedTree[],
  files: ListedFile[],
  onBytes: (bytes: number) => void,
): Promise<void> {
  for await (const file of listTrees(trees)) {
    files.push(file);
    const packet = encodePacket({ type: packetType.stat, stat: file.stat });
    onBytes(packet.byteLength);
    await stream.send(packet);
  }
  await stream.send(encodePacket({ type: packetType.stat }));
}

async function send(
  stream: PeerStream,
  id: number,
  { tree, path, sizeBytes }: ListedFile,
  onBytes: (bytes: number) => void,
): Promise<void> {
  if (sizeBytes > 0) {
    for await (const chunk of tree.read(path)) {
      for (let at = 0; at < chunk.byteLength; at += chunkBytes) {
        const data = chunk.subarray(at, at + chunkBytes);
        await stream.send(encodePacket({ type: packetType.data, id, data }));
      }
      onBytes(chunk.byteLength);
    }
  }
  await stream.send(encodePacket({ type: packetType.data, id }));
}
