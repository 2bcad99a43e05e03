import { fileEnd, fileHead } from '#context-listing';
import { EngineError } from '#errdefs';
import type { PeerStream } from '#grpc';
import type { Packet } from '../proto/fsutil_pb.ts';
import { encodePacket, packetType } from './packets.ts';

export interface WantedFile {
  /** In the listing. */
  readonly entry: number;
  /** In the client's order, by which it is asked for. */
  readonly number: number;
  readonly path: string;
  readonly sizeBytes: number;
}

export type FilePart =
  | { readonly kind: 'start'; readonly file: WantedFile }
  | { readonly kind: 'data'; readonly data: Uint8Array }
  | { readonly kind: 'end' };

/** The client sends several files at once: what comes early is held, so no more than this is asked for ahead. */
const aheadBytes = 8 << 20;
const aheadFiles = 256;

interface Coming {
  readonly file: WantedFile;
  readonly held: Uint8Array[];
  leftBytes: number;
  ended: boolean;
}

/** Contents of files, in the order they are wanted. */
export class FileRequests {
  readonly #wanted: readonly WantedFile[];
  readonly #stream: PeerStream;
  readonly #packets: AsyncIterator<Packet>;
  readonly #coming = new Map<number, Coming>();
  #comingBytes = 0;
  #asked = 0;

  constructor(wanted: readonly WantedFile[], stream: PeerStream, packets: AsyncIterator<Packet>) {
    this.#wanted = wanted;
    this.#stream = stream;
    this.#packets = packets;
  }

  /** As the stream that a listed context sends. */
  async *stream(): AsyncGenerator<Uint8Array> {
    for await (const part of this.files()) {
      if (part.kind === 'start') yield fileHead(part.file.entry, part.file.sizeBytes);
      else if (part.kind === 'data') yield part.data;
      else yield fileEnd(true);
    }
  }

  /** @throws `failed-precondition` when a file has another size than it was listed with */
  async *files(): AsyncGenerator<FilePart> {
    for (const file of this.#wanted) {
      this.#ask();
      const coming = this.#coming.get(file.number)!;
      yield { kind: 'start', file };
      while (true) {
        for (const data of coming.held.splice(0)) yield { kind: 'data', data };
        if (coming.ended) break;
        const data = await this.#next(coming);
        if (data) yield { kind: 'data', data };
      }
      yield { kind: 'end' };
      this.#coming.delete(file.number);
      this.#comingBytes -= file.sizeBytes;
    }
  }

  #ask(): void {
    while (this.#asked < this.#wanted.length) {
      const file = this.#wanted[this.#asked]!;
      const isFull = this.#comingBytes + file.sizeBytes > aheadBytes || this.#coming.size >= aheadFiles;
      if (this.#coming.size > 0 && isFull) return;
      this.#asked++;
      this.#comingBytes += file.sizeBytes;
      this.#coming.set(file.number, { file, held: [], leftBytes: file.sizeBytes, ended: false });
      void this.#stream.send(encodePacket({ type: packetType.request, id: file.number }));
    }
  }

  /** Takes one packet; answers its bytes when they are of `current`, whose reader is waiting. */
  async #next(current: Coming): Promise<Uint8Array | undefined> {
    const { value: packet, done } = await this.#packets.next();
    if (done) throw new EngineError('invalid-argument', 'build context: the files that were asked for end early');
    const coming = packet.type === packetType.data ? this.#coming.get(packet.id) : undefined;
    if (!coming || coming.ended) throw new EngineError('invalid-argument', `invalid file request ${packet.id}`);
    if (packet.data.byteLength === 0) {
      if (coming.leftBytes > 0) throw changed(coming.file);
      coming.ended = true;
      return undefined;
    }
    coming.leftBytes -= packet.data.byteLength;
    if (coming.leftBytes < 0) throw changed(coming.file);
    if (coming === current) return packet.data;
    coming.held.push(Uint8Array.from(packet.data));
    return undefined;
  }
}

function changed({ path }: WantedFile): EngineError {
  const shown = Buffer.from(path, 'latin1').toString();
  return new EngineError(
    'failed-precondition',
    `build context: ${shown} changed while the image was built: build again`,
  );
}
