/** Programs for the namespace helper, as `native/helpers/netns.c` reads them. */
import type { Address } from './address.ts';
import type { Datagram } from './netlink/index.ts';
import type { UserNamespace } from './types.ts';

const protocols = { route: 0, netfilter: 12 } as const;

/** What an instruction is for; words of its own where something is not there. */
type InstructionName = string | { readonly what: string; readonly ENOENT: string };

/** Instructions in order; each method answers the program itself. */
export class Program {
  readonly #parts: Buffer[] = [];
  readonly #names: InstructionName[] = [];

  /** A new namespace held at `path`, loopback up; the program goes on inside it. */
  create(path: string): this {
    return this.#add(`create network namespace ${path}`, letter('C'), string(path));
  }

  /** The same, owned by a user namespace that is held at `user`. */
  createOwned(path: string, user: string, owner: UserNamespace): this {
    const what = `create network namespace ${path} for other users`;
    if ('path' in owner) return this.#add(what, letter('J'), string(path), string(user), string(owner.path));
    return this.#add(what, letter('U'), ...[path, user, owner.uidMap, owner.gidMap].map(string));
  }

  /** Goes on inside the namespace held at `path`. */
  enter(path: string): this {
    return this.#add(`enter network namespace ${path}`, letter('E'), string(path));
  }

  /** Lets go of the namespace held at `path`; absent is fine. */
  remove(path: string): this {
    return this.#add(`remove network namespace ${path}`, letter('R'), string(path));
  }

  /** Writes a file, a sysctl say; an absent file is fine. */
  write(path: string, content: string): this {
    return this.#add(`write ${path}`, letter('W'), string(path), string(content));
  }

  /** Writes a sysctl's file, which has to be there. `why` begins what is said when it is not, or refuses the value. */
  set(why: string, path: string, value: string): this {
    return this.#add(
      { what: `${why}: unable to write to '${path}': write ${path}`, ENOENT: `${why}: ${path} is not a sysctl file` },
      letter('K'),
      string(path),
      string(value),
    );
  }

  /** A socket of the namespace on an IPv4 address, held by the helper until it is taken over; adds its {@link HeldSocket} to the output. */
  listen(kind: 'udp' | 'tcp', address: Address, port: number): this {
    const operands = Buffer.alloc(7);
    operands.writeUInt8(kind === 'tcp' ? 1 : 0, 0);
    operands.writeUInt32LE(Number(address.value), 1);
    operands.writeUInt16LE(port, 5);
    return this.#add(`listen on ${kind} port ${port}`, letter('L'), operands);
  }

  /** Closes a descriptor of the helper's own. */
  close(descriptor: number): this {
    return this.#add('close socket', letter('X'), size(descriptor));
  }

  send(what: string, datagram: Datagram, options: { lenient?: boolean } = {}): this {
    return this.#send(what, protocols.route, datagram, options.lenient ?? false);
  }

  sendFilter(what: string, datagram: Datagram, options: { lenient?: boolean } = {}): this {
    return this.#send(what, protocols.netfilter, datagram, options.lenient ?? false);
  }

  /** What is said when instruction `index` fails. */
  failureText(index: number, code: string, reason: string): string {
    const name = this.#names[index] ?? 'network helper';
    if (typeof name === 'string') return `${name}: ${reason}`;
    return code === 'ENOENT' ? name.ENOENT : `${name.what}: ${reason}`;
  }

  encode(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #send(what: string, protocol: number, datagram: Datagram, lenient: boolean): this {
    const head = Buffer.alloc(10);
    head.writeUInt16LE(protocol, 0);
    head.writeUInt16LE(lenient ? 1 : 0, 2);
    head.writeUInt32LE(datagram.acks, 4);
    head.writeUInt16LE(datagram.patches.length, 8);
    const patches = datagram.patches.flatMap(({ offset, kind, value }) => [
      size(offset),
      letter(kind === 'namespace' ? 'F' : 'I'),
      string(value),
    ]);
    return this.#add(what, letter('S'), head, ...patches, size(datagram.bytes.length), datagram.bytes);
  }

  #add(name: InstructionName, ...parts: Buffer[]): this {
    this.#names.push(name);
    this.#parts.push(...parts);
    return this;
  }
}

/** What `listen` answers: the helper's descriptor, and the port it got. */
export interface HeldSocket {
  readonly descriptor: number;
  readonly port: number;
}

export function decodeSockets(output: Buffer): HeldSocket[] {
  return Array.from({ length: Math.floor(output.length / 8) }, (_, at) => ({
    descriptor: output.readUInt32LE(at * 8),
    port: output.readUInt32LE(at * 8 + 4),
  }));
}

const letter = (value: string): Buffer => Buffer.from(value, 'latin1');

function size(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function string(value: string): Buffer {
  const content = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16LE(content.length);
  return Buffer.concat([length, content]);
}
