/** A client's folder as `FileSync.DiffCopy` serves it: files in memory, and a count of what was asked for. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { FileSync } from '../../src/buildkit/proto/filesync_pb.ts';
import type { Packet, PacketSchema } from '../../src/buildkit/proto/fsutil_pb.ts';
import { packetType } from '../../src/buildkit/session/packets.ts';

type SentPacket = MessageInitShape<typeof PacketSchema>;
const folderBit = 0x80000000;

export interface SyncedFile {
  readonly content: Buffer;
  readonly mode?: number;
  readonly modTime?: bigint;
}

export class SyncedFiles {
  readonly files: Map<string, SyncedFile>;
  /** Names whose contents were sent, in order. */
  readonly sent: string[] = [];
  /** The headers of each exchange. */
  readonly asked: Headers[] = [];

  constructor(files: Readonly<Record<string, string | Buffer>>, modTime = 1_700_000_000_000_000_000n) {
    this.files = new Map(
      Object.entries(files).map(([path, content]) => [path, { content: Buffer.from(content), modTime }]),
    );
  }

  readonly route = (router: ConnectRouter): void => {
    router.service(FileSync, { diffCopy: (packets, context) => this.exchange(packets, context) });
  };

  async *exchange(packets: AsyncIterable<Packet>, { requestHeader }: HandlerContext): AsyncGenerator<SentPacket> {
    this.asked.push(requestHeader);
    const follow = requestHeader.get('followpaths')?.split(', ');
    const names = this.#names(follow);
    for (const name of names) yield { type: packetType.stat, stat: this.#stat(name) };
    yield { type: packetType.stat };
    for await (const packet of packets) {
      if (packet.type === packetType.end) {
        yield { type: packetType.end };
        return;
      }
      const name = names[packet.id]!;
      this.sent.push(name);
      const { content } = this.files.get(name)!;
      if (content.byteLength > 0) yield { type: packetType.data, id: packet.id, data: content };
      yield { type: packetType.data, id: packet.id };
    }
  }

  /** As a walk has them: folders before what is in them. */
  #names(follow: readonly string[] | undefined): string[] {
    const names = new Set<string>();
    for (const path of [...this.files.keys()].sort()) {
      if (follow && !follow.some((one) => path === one || path.startsWith(`${one}/`))) continue;
      const parts = path.split('/');
      for (let end = 1; end <= parts.length; end++) names.add(parts.slice(0, end).join('/'));
    }
    return [...names];
  }

  #stat(path: string) {
    const file = this.files.get(path);
    if (!file) return { path, mode: folderBit + 0o755 };
    return { path, mode: file.mode ?? 0o644, size: BigInt(file.content.byteLength), modTime: file.modTime ?? 0n };
  }
}

/** Several folders by the names that the daemon asks for them. */
export function syncedFolders(folders: Readonly<Record<string, SyncedFiles>>) {
  return (router: ConnectRouter): void => {
    router.service(FileSync, {
      diffCopy(packets, context) {
        const name = context.requestHeader.get('dir-name') ?? '';
        const folder = folders[name];
        if (!folder) throw new ConnectError(`no access allowed to dir ${JSON.stringify(name)}`, Code.NotFound);
        return folder.exchange(packets, context);
      },
    });
  };
}
