/** The least of a firewalld that our side can be tried against: a bus that answers for it, and rules such as its. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

const table = 'inet firewalld';
const members = ['Hello', 'getZones', 'getZoneOfInterface', 'addInterface', 'removeInterface'] as const;

/** It has just (re)loaded: no link is in a zone. */
export function writeRules(): void {
  const rules = `
    add table ${table}
    delete table ${table}
    table ${table} {
      chain zones { }
      chain forward {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        jump zones
        reject with icmpx admin-prohibited
      }
    }`;
  execFileSync('nft', ['-f', '-'], { input: rules });
}

export class FakeFirewalld implements AsyncDisposable {
  /** The zone of each link. */
  readonly zoneOf = new Map<string, string>();
  readonly #zones: readonly string[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(zones: readonly string[]) {
    this.#zones = zones;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(path: string, zones: readonly string[]): Promise<FakeFirewalld> {
    const fake = new FakeFirewalld(zones);
    rmSync(path, { force: true });
    fake.#server.listen(path);
    await once(fake.#server, 'listening');
    return fake;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    let pending: Buffer = Buffer.alloc(0);
    let isIntroduced = false;
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (let end = pending.indexOf('\r\n'); !isIntroduced && end >= 0; end = pending.indexOf('\r\n')) {
        const line = pending.subarray(0, end).toString();
        pending = pending.subarray(end + 2);
        if (line.startsWith('\0AUTH EXTERNAL ')) socket.write('OK 0123456789abcdef0123456789abcdef\r\n');
        isIntroduced = line === 'BEGIN';
      }
      while (isIntroduced && pending.length >= 16) {
        const bodyAt = 16 + Math.ceil(pending.readUInt32LE(12) / 8) * 8;
        const end = bodyAt + pending.readUInt32LE(4);
        if (pending.length < end) return;
        const header = pending.subarray(0, bodyAt).toString('latin1');
        const member = members.find((one) => header.includes(`\0${one}\0`)) ?? 'Hello';
        socket.write(answer(pending.readUInt32LE(8), this.#do(member, strings(pending.subarray(bodyAt, end)))));
        pending = pending.subarray(end);
      }
    });
  }

  #do(member: (typeof members)[number], args: readonly string[]): string | readonly string[] {
    const [first = '', second = ''] = args;
    if (member === 'getZones') return this.#zones;
    if (member === 'getZoneOfInterface') return this.zoneOf.get(first) ?? '';
    if (member === 'removeInterface') this.zoneOf.delete(second);
    if (member === 'addInterface') {
      this.zoneOf.set(second, first);
      for (const side of ['iifname', 'oifname'])
        execFileSync('nft', ['add', 'rule', ...table.split(' '), 'zones', side, second, 'accept']);
    }
    return first;
  }
}

function strings(body: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at + 4 <= body.length; ) {
    const size = body.readUInt32LE(at);
    found.push(body.toString('utf8', at + 4, at + 4 + size));
    at += Math.ceil((4 + size + 1) / 4) * 4;
  }
  return found;
}

function answer(serial: number, value: string | readonly string[]): Buffer {
  const list = typeof value === 'string' ? [value] : value;
  const packed = list.map((text) => {
    const bytes = Buffer.alloc(Math.ceil((5 + Buffer.byteLength(text)) / 4) * 4);
    bytes.writeUInt32LE(Buffer.byteLength(text));
    bytes.write(text, 4);
    return bytes;
  });
  const signature = typeof value === 'string' ? 's' : 'as';
  const items = Buffer.concat(packed);
  const length = Buffer.alloc(typeof value === 'string' ? 0 : 4);
  if (length.length > 0) length.writeUInt32LE(items.length);
  const body = Buffer.concat([length, items]);
  // The serial that is answered (field 5), and the signature (field 8).
  const fields = Buffer.alloc(14 + signature.length);
  fields.set([5, 1, 0x75, 0]);
  fields.writeUInt32LE(serial, 4);
  fields.set([8, 1, 0x67, 0, signature.length], 8);
  fields.write(signature, 13);
  const head = Buffer.alloc(32);
  head.set([0x6c, 2, 1, 1]);
  head.writeUInt32LE(body.length, 4);
  head.writeUInt32LE(serial, 8);
  head.writeUInt32LE(fields.length, 12);
  head.set(fields, 16);
  return Buffer.concat([head, body]);
}
