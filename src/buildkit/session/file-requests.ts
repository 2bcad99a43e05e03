import { fileEnd, fileHead } from '#context-listing';
import { EngineError } from '#errdefs';
import type { PeerStream } from '#grpc';
import { HeldBytes } from './held-bytes.ts';
import { encodeRequest, type Packets, packetType, type ReadPacket } from './packets.ts';

export interface WantedFile {
  /** In the listing. */
  readonly entry: number;
  /** In the client's order, by which it is asked for. */
  readonly number: number;
  readonly path: string;
  readonly sizeBytes: number;
}

/** The client sends several files at once: what comes early is held, so no more than this is asked for ahead. */
const aheadBytes = 8 << 20;
const aheadFiles = 256;
/** Handed on at once: whoever takes it has more to do for a piece than for its bytes. */
const pieceBytes = 256 << 10;

interface Coming {
  readonly file: WantedFile;
  held: Buffer[];
  leftBytes: number;
  ended: boolean;
}

/** Contents of files, in the order they are wanted. */
export class FileRequests {
  readonly #wanted: readonly WantedFile[];
  readonly #stream: PeerStream;
  readonly #packets: Packets;
  readonly #coming = new Map<number, Coming>();
  readonly #held = new HeldBytes();
  #comingBytes = 0;
  #asked = 0;

  constructor(wanted: readonly WantedFile[], stream: PeerStream, packets: Packets) {
    this.#wanted = wanted;
    this.#stream = stream;
    this.#packets = packets;
  }

  /**
   * As the stream that a listed context sends. Each piece is the taker's until he asks for the next.
   * @throws `failed-precondition` when a file has another size than it was listed with
   */
  async *stream(): AsyncGenerator<Uint8Array> {
    const pieces = new Pieces();
    for (const file of this.#wanted) {
      this.#ask();
      const coming = this.#coming.get(file.number)!;
      pieces.put(fileHead(file.entry, file.sizeBytes));
      for (const data of coming.held) pieces.put(data);
      this.#held.release(coming.held);
      coming.held = [];
      while (!coming.ended) {
        const data = this.#accept(this.#packets.here() ?? (await this.#packets.next()), coming);
        if (data) pieces.put(data);
        yield* pieces.whole();
      }
      pieces.put(fileEnd(true));
      yield* pieces.whole();
      this.#coming.delete(file.number);
      this.#comingBytes -= file.sizeBytes;
    }
    yield pieces.rest();
  }

  /** Many at once, when half of what was asked for has come: one by one they would cost as much as small files do. */
  #ask(): void {
    const isLow = this.#comingBytes <= aheadBytes / 2 && this.#coming.size <= aheadFiles / 2;
    if (this.#coming.size > 0 && !isLow) return;
    const requests: Uint8Array[] = [];
    while (this.#asked < this.#wanted.length) {
      const file = this.#wanted[this.#asked]!;
      const isFull = this.#comingBytes + file.sizeBytes > aheadBytes || this.#coming.size >= aheadFiles;
      if (this.#coming.size > 0 && isFull) break;
      this.#asked++;
      this.#comingBytes += file.sizeBytes;
      this.#coming.set(file.number, { file, held: [], leftBytes: file.sizeBytes, ended: false });
      requests.push(encodeRequest(file.number));
    }
    if (requests.length > 0) void this.#stream.send(...requests);
  }

  /** Takes one packet; answers its bytes when they are of `current`, whose reader is waiting. */
  #accept(packet: ReadPacket | undefined, current: Coming): Uint8Array | undefined {
    if (!packet) throw new EngineError('invalid-argument', 'build context: the files that were asked for end early');
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
    coming.held.push(this.#held.keep(packet.data));
    return undefined;
  }
}

/** Small things gathered into large pieces, in memory that is used again: what is thrown away makes V8 collect garbage. */
class Pieces {
  readonly #whole: Buffer[] = [];
  readonly #spare: Buffer[] = [];
  #piece: Buffer = Buffer.allocUnsafe(pieceBytes);
  #fill = 0;

  put(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.byteLength; ) {
      const part = bytes.subarray(done, done + pieceBytes - this.#fill);
      this.#piece.set(part, this.#fill);
      this.#fill += part.byteLength;
      done += part.byteLength;
      if (this.#fill < pieceBytes) return;
      this.#whole.push(this.#piece);
      this.#piece = this.#spare.pop() ?? Buffer.allocUnsafe(pieceBytes);
      this.#fill = 0;
    }
  }

  *whole(): Generator<Buffer> {
    for (let piece = this.#whole.shift(); piece; piece = this.#whole.shift()) {
      yield piece;
      this.#spare.push(piece);
    }
  }

  /** What is left when nothing more comes. */
  rest(): Buffer {
    return this.#piece.subarray(0, this.#fill);
  }
}

function changed({ path }: WantedFile): EngineError {
  const shown = Buffer.from(path, 'latin1').toString();
  return new EngineError(
    'failed-precondition',
    `build context: ${shown} changed while the image was built: build again`,
  );
}
