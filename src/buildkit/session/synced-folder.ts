import type { ListedEntries } from '#builder';
import { fileEnd, type ListedEntry, maxListingBytes } from '#context-listing';
import { EngineError } from '#errdefs';
import type { PeerStream } from '#grpc';
import { FileSync } from '../proto/filesync_pb.ts';
import type { ClientSession } from './client-session.ts';
import { FileRequests, type WantedFile } from './file-requests.ts';
import { encodePacket, Packets, packetType } from './packets.ts';
import { entryOf } from './stat-entry.ts';

export interface FolderSelection {
  /** As the client calls it. */
  readonly name: string;
  readonly excludes?: readonly string[];
  /** Only these, with what they link to. */
  readonly followPaths?: readonly string[];
}

interface Listed {
  readonly entries: ListedEntry[];
  readonly numbers: number[];
  readonly bytes: number;
}

/**
 * A folder of the client by `FileSync.DiffCopy`: what is in it is known when it is open, contents come when they are asked for. Dispose ends the exchange.
 */
export class SyncedFolder implements AsyncDisposable {
  readonly entries: readonly ListedEntry[];
  /** About what came for them. */
  readonly listingBytes: number;
  readonly #context: string;
  readonly #takenMs: number;
  /** Number in the client's order of each entry. */
  readonly #numbers: readonly number[];
  readonly #stream: PeerStream;
  readonly #packets: Packets;

  private constructor(parts: {
    context: string;
    takenMs: number;
    listed: Listed;
    stream: PeerStream;
    packets: Packets;
  }) {
    this.entries = parts.listed.entries;
    this.listingBytes = parts.listed.bytes;
    this.#numbers = parts.listed.numbers;
    this.#context = parts.context;
    this.#takenMs = parts.takenMs;
    this.#stream = parts.stream;
    this.#packets = parts.packets;
  }

  /** @throws `not-found` when the client has no such folder; `invalid-argument` for a listing that breaks a rule */
  static async open(
    session: ClientSession,
    selection: FolderSelection,
    { signal }: { signal: AbortSignal },
  ): Promise<SyncedFolder> {
    if (!session.serves(FileSync, 'DiffCopy')) throw new EngineError('unknown', 'no local sources enabled');
    const takenMs = Date.now();
    const stream = session.peer.open('/moby.filesync.v1.FileSync/DiffCopy', headersOf(selection), signal);
    try {
      const packets = new Packets(stream);
      const listed = await readListing(packets, { stamped: session.sharedKey !== '' });
      const context = JSON.stringify(['buildkit', session.sharedKey, selection.name, selection.followPaths ?? []]);
      return new SyncedFolder({ context, takenMs, listed, stream, packets });
    } catch (error) {
      stream[Symbol.dispose]();
      throw error;
    }
  }

  /** The folder as a build takes it. */
  listed(): ListedEntries {
    const header = { context: this.#context, takenMs: this.#takenMs };
    return { ...header, entries: this.entries, send: (wanted) => this.#contents(wanted) };
  }

  /** One of its files, whole. */
  async read(path: string, limitBytes: number): Promise<Uint8Array | undefined> {
    const at = this.entries.findIndex((entry) => entry.path === path && entry.type === 'file');
    const entry = this.entries[at];
    if (entry?.type !== 'file') return undefined;
    if (entry.sizeBytes > limitBytes) {
      throw new EngineError('invalid-argument', `${path} has ${entry.sizeBytes} bytes, ${limitBytes} are read at most`);
    }
    const bytes = Buffer.concat(await Array.fromAsync(this.#contents([at]), (piece) => Buffer.from(piece)));
    return bytes.subarray(-entry.sizeBytes - fileEnd(true).length, -fileEnd(true).length);
  }

  #contents(wanted: readonly number[]): AsyncGenerator<Uint8Array> {
    const files = wanted.map((at): WantedFile => {
      const entry = this.entries[at];
      if (entry?.type !== 'file') throw new EngineError('internal', `build context: entry ${at} is no file`);
      return { entry: at, number: this.#numbers[at]!, path: entry.path, sizeBytes: entry.sizeBytes };
    });
    return new FileRequests(files, this.#stream, this.#packets).stream();
  }

  /** The client is told that nothing more is wanted; whether it hears it does not matter. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream.send(encodePacket({ type: packetType.end }));
    this.#stream.end();
    await this.#packets.next().catch(() => {});
    this.#stream[Symbol.dispose]();
  }
}

async function readListing(packets: Packets, options: { stamped: boolean }): Promise<Listed> {
  const entries: ListedEntry[] = [];
  const numbers: number[] = [];
  let leftBytes = maxListingBytes;
  for (let number = 0; ; number++) {
    const packet = packets.here() ?? (await packets.next());
    if (!packet) throw new EngineError('invalid-argument', 'build context: its listing ends early');
    if (packet.type !== packetType.stat) throw new EngineError('invalid-argument', 'build context: no listing');
    if (!packet.stat) return { entries, numbers, bytes: maxListingBytes - leftBytes };
    const { path, linkName } = packet.stat;
    leftBytes -= path.length + linkName.length + 64;
    if (leftBytes < 0) throw new EngineError('invalid-argument', 'build context: more names than a build takes');
    const entry = entryOf(packet.stat, options);
    if (!entry) continue;
    entries.push(entry);
    numbers.push(number);
  }
}

function headersOf({ name, excludes, followPaths }: FolderSelection): Record<string, readonly string[]> {
  return {
    ...list('dir-name', [name]),
    ...(excludes?.length ? list('exclude-patterns', excludes) : {}),
    ...(followPaths?.length ? list('followpaths', followPaths) : {}),
  };
}

/** Headers are ASCII and lose blanks at their ends: a list that would suffer is encoded, and says so. */
function list(name: string, values: readonly string[]): Record<string, readonly string[]> {
  if (values.every((value) => /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value))) return { [name]: values };
  return { [name]: values.map(encodeURIComponent), [`${name}-encoded`]: ['1'] };
}

/** Some small files of a folder by their names, those that are there. */
export async function readFiles(
  session: ClientSession,
  selection: FolderSelection & { readonly followPaths: readonly string[] },
  { limitBytes, signal }: { limitBytes: number; signal: AbortSignal },
): Promise<ReadonlyMap<string, Uint8Array>> {
  await using folder = await SyncedFolder.open(session, selection, { signal });
  const files = new Map<string, Uint8Array>();
  for (const name of selection.followPaths) {
    const bytes = await folder.read(Buffer.from(name).toString('latin1'), limitBytes);
    if (bytes) files.set(name, bytes);
  }
  return files;
}
