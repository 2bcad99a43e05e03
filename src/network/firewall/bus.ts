import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { EngineError } from '#errdefs';
import { type Call, decodeAnswer, encodeCall, messageBytes } from './bus-message.ts';

/** Who is asked reads rules anew while it is asked: that takes seconds. */
const answerMs = 20_000;

/** A connection to the system's D-Bus: calls, one after another. */
export class Bus implements Disposable {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #pending: Buffer = Buffer.alloc(0);
  #serial = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** @throws a system error when there is no bus, `unavailable` when it does not talk to us. */
  static async open(path: string = systemBus()): Promise<Bus> {
    const socket = createConnection(path);
    await once(socket, 'connect');
    socket.setTimeout(answerMs, () => socket.destroy(new EngineError('unavailable', 'D-Bus does not answer')));
    const bus = new Bus(socket);
    try {
      await bus.#introduce();
      return bus;
    } catch (error) {
      bus[Symbol.dispose]();
      throw error;
    }
  }

  /** Answers the strings of the answer. @throws EngineError with the name of the error that was answered. */
  async call(call: Call): Promise<readonly string[]> {
    const serial = ++this.#serial;
    this.#socket.write(encodeCall(serial, call));
    for (;;) {
      const answer = decodeAnswer(await this.#message());
      if (answer?.serial !== serial) continue;
      if (answer.error === undefined) return answer.strings;
      throw new EngineError('unknown', `${call.member}: ${[answer.error, ...answer.strings].join(': ')}`);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.on('error', () => {});
    this.#socket.destroy();
  }

  async #introduce(): Promise<void> {
    const user = Buffer.from(String(process.geteuid?.() ?? 0)).toString('hex');
    this.#socket.write(`\0AUTH EXTERNAL ${user}\r\n`);
    const line = await this.#take(() => {
      const end = this.#pending.indexOf('\r\n');
      return end < 0 ? undefined : end + 2;
    });
    if (!line.toString().startsWith('OK ')) throw new EngineError('unavailable', 'D-Bus refuses us');
    this.#socket.write('BEGIN\r\n');
    const bus = 'org.freedesktop.DBus';
    await this.call({
      destination: bus,
      path: '/org/freedesktop/DBus',
      interface: bus,
      member: 'Hello',
      arguments: [],
    });
  }

  #message(): Promise<Buffer> {
    return this.#take(() => messageBytes(this.#pending));
  }

  /** Reads until as many bytes are there as `wanted` says once it can tell. */
  async #take(wanted: () => number | undefined): Promise<Buffer> {
    for (;;) {
      const sizeBytes = wanted();
      if (sizeBytes !== undefined && this.#pending.length >= sizeBytes) {
        const taken = this.#pending.subarray(0, sizeBytes);
        this.#pending = this.#pending.subarray(sizeBytes);
        return taken;
      }
      const { done, value } = await this.#chunks.next();
      if (done) throw new EngineError('unavailable', 'D-Bus closed the connection');
      this.#pending = Buffer.concat([this.#pending, value]);
    }
  }
}

/** As D-Bus's own programs find it. */
function systemBus(): string {
  const [, path] = /^unix:path=([^,;]+)/.exec(process.env['DBUS_SYSTEM_BUS_ADDRESS'] ?? '') ?? [];
  return path ?? '/run/dbus/system_bus_socket';
}
