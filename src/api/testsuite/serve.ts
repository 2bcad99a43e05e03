import { connect } from 'node:net';
import { join } from 'node:path';
import { listen } from '#http';
import { temporaryFolder } from '#testing';
import { apiServer } from '../index.ts';
import { fakeEngine, type RecordedCall, type Script } from './fake-engine.ts';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Served extends AsyncDisposable {
  readonly path: string;
  readonly calls: RecordedCall[];
  /** Arguments of the latest call. */
  readonly lastArgs: readonly unknown[];
  /** Sends one request on a connection of its own and reads to the end. Chunked bodies come joined. */
  send(request: string, options?: { body?: string; headers?: Readonly<Record<string, string>> }): Promise<RawAnswer>;
  /** Sends bytes as they are, part by part, and reads to the end. */
  raw(parts: readonly string[]): Promise<string>;
}

/** The API over a scripted engine on a socket of its own. */
export async function serveScript(script: Script, told: { readonly version?: string } = {}): Promise<Served> {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'api.sock');
  const { engine, calls } = fakeEngine(script);
  const listener = await listen({ kind: 'unix', path }, apiServer({ engine, product: 'Wherry/9.9', ...told }));
  return {
    path,
    calls,
    get lastArgs() {
      return calls.at(-1)?.args ?? [];
    },
    async send(request, { body, headers = {} } = {}) {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const length = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
      const head = `${request} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n${lines.join('')}${length}\r\n`;
      return parse(await exchange(path, [head + (body ?? '')]));
    },
    raw: (parts) => exchange(path, parts),
    async [Symbol.asyncDispose]() {
      await listener.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const stepMs = 15;

function exchange(path: string, parts: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    // A server that refuses early closes on what we still send: what it said counts.
    socket.on('error', (error) => (got.length === 0 ? reject(error) : socket.destroy()));
    socket.on('end', () => socket.destroy());
    socket.on('close', () => resolve(Buffer.concat(got).toString('latin1')));
    const next = (at: number) => {
      if (at < parts.length) socket.write(parts[at]!, 'latin1', () => setTimeout(next, stepMs, at + 1));
    };
    next(0);
  });
}

function parse(text: string): RawAnswer {
  const at = text.indexOf('\r\n\r\n');
  const [status = '', ...lines] = text.slice(0, at).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
  );
  const body = text.slice(at + 4);
  const chunked = headers['Transfer-Encoding'] === 'chunked';
  return { status: Number(status.split(' ')[1]), headers, body: chunked ? joinChunks(body) : body };
}

function joinChunks(body: string): string {
  let joined = '';
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf('\r\n', at);
    const size = Number.parseInt(body.slice(at, end), 16);
    joined += body.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
  return joined;
}
