/** What a client gets by `FileSend.DiffCopy`: files of a folder, or one file as bytes. */
import type { ConnectRouter, HandlerContext } from '@connectrpc/connect';
import { FileSend } from '../../src/buildkit/proto/filesync_pb.ts';
import { type Packet, PacketSchema, type Stat } from '../../src/buildkit/proto/fsutil_pb.ts';
import { packetType } from '../../src/buildkit/session/packets.ts';

export interface SentFile {
  readonly stat: Stat;
  readonly content: string;
}

/** The protocol sends packets where its description says bytes: the same call, its messages read as what they are. */
const packetSend = {
  ...FileSend,
  methods: FileSend.methods.map((method) => ({ ...method, input: PacketSchema, output: PacketSchema })),
} as unknown as typeof FileSend;

const folderBit = 0x80000000;

/** A client's folder, into which the daemon writes. */
export class SentFolder {
  readonly files = new Map<string, SentFile>();
  readonly exporters: (string | null)[] = [];

  readonly route = (router: ConnectRouter): void => {
    router.service(packetSend, { diffCopy: (packets, context) => this.#receive(packets as never, context) as never });
  };

  async *#receive(packets: AsyncIterable<Packet>, { requestHeader }: HandlerContext): AsyncGenerator<unknown> {
    this.exporters.push(requestHeader.get('buildkit-attachable-exporter-id'));
    const stats: Stat[] = [];
    const contents = new Map<number, Buffer[]>();
    const wanted = () => stats.flatMap(({ mode, linkName }, id) => (mode < folderBit && linkName === '' ? [id] : []));
    let open = 0;
    for await (const packet of packets) {
      if (packet.type === packetType.stat && packet.stat) stats.push(packet.stat);
      else if (packet.type === packetType.stat) {
        open = wanted().length;
        for (const id of wanted()) yield { type: packetType.request, id };
        if (open === 0) yield { type: packetType.end };
      } else if (packet.type === packetType.data) {
        const parts = contents.get(packet.id) ?? [];
        contents.set(packet.id, [...parts, Buffer.from(packet.data)]);
        if (packet.data.byteLength === 0 && --open === 0) yield { type: packetType.end };
      } else if (packet.type === packetType.end) break;
    }
    for (const [id, stat] of stats.entries()) {
      this.files.set(stat.path, { stat, content: Buffer.concat(contents.get(id) ?? []).toString() });
    }
  }
}

/** A client's file, which the daemon writes. */
export class SentBytes {
  readonly metadata: Record<string, string> = {};
  bytes: Buffer = Buffer.alloc(0);

  readonly route = (router: ConnectRouter): void => {
    router.service(FileSend, { diffCopy: (messages, context) => this.#receive(messages, context) });
  };

  async *#receive(
    messages: AsyncIterable<{ data: Uint8Array }>,
    { requestHeader }: HandlerContext,
  ): AsyncGenerator<never> {
    for (const [name, value] of requestHeader) {
      if (name.startsWith('exporter-md-')) this.metadata[name.slice('exporter-md-'.length)] = value;
    }
    const parts: Uint8Array[] = [];
    for await (const { data } of messages) parts.push(data);
    this.bytes = Buffer.concat(parts);
    yield* [];
  }
}
