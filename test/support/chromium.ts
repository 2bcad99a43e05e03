/** Chromium without a window, spoken to over a pipe (the DevTools protocol): for tests of pages. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import { temporaryFolder } from '#testing';

const names = ['chromium', 'chromium-browser', 'google-chrome'];

/** Its command, or undefined where there is none. */
export function findChromium(): string | undefined {
  return names.find((name) => !spawnSync(name, ['--version'], { timeout: 30_000 }).error);
}

/** A node of the accessibility tree, as a screen reader is given it. */
export interface SpokenNode {
  readonly role: string;
  readonly name: string;
  readonly level?: number;
}

export interface Browser extends AsyncDisposable {
  /** Loads a page and waits for it. Answers every URL that was asked for meanwhile. */
  open(url: string): Promise<readonly string[]>;
  /** Presses a key on what has the focus; `Enter` may lead elsewhere, which is waited for with `open`. */
  press(key: 'Tab' | 'Shift+Tab' | 'Enter'): Promise<void>;
  type(text: string): Promise<void>;
  /** What an expression is, as JSON. */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits until an expression is true. */
  until(expression: string): Promise<void>;
  /** What is read aloud, in order. */
  spoken(): Promise<readonly SpokenNode[]>;
  viewport(width: number, height: number, scheme: 'light' | 'dark'): Promise<void>;
}

export async function startChromium(command: string): Promise<Browser> {
  const folder = await temporaryFolder();
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
  const child = spawn(command, [...flags, ...quiet, `--user-data-dir=${folder.path}`, '--remote-debugging-pipe'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const wire = new Wire(child);
  const { targetId } = await wire.call<{ targetId: string }>('Target.createTarget', { url: 'about:blank' });
  const attach = { targetId, flatten: true };
  const { sessionId } = await wire.call<{ sessionId: string }>('Target.attachToTarget', attach);
  const page = <T>(method: string, params: object = {}) => wire.call<T>(method, params, sessionId);
  for (const domain of ['Page', 'Network', 'Runtime', 'Accessibility']) await page(`${domain}.enable`);
  return browserOver(page, wire, async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    // Its helpers let go a little later.
    await rm(folder.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    await folder[Symbol.asyncDispose]();
  });
}

type Page = <T>(method: string, params?: object) => Promise<T>;

const keys = {
  Tab: { key: 'Tab', code: 'Tab', windowsVirtualKeyCode: 9 },
  'Shift+Tab': { key: 'Tab', code: 'Tab', windowsVirtualKeyCode: 9, modifiers: 8 },
  Enter: { key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13, text: '\r' },
} as const;

function browserOver(page: Page, wire: Wire, dispose: () => Promise<void>): Browser {
  const evaluate = async <T>(expression: string): Promise<T> => {
    const parameters = { expression, returnByValue: true };
    const answer = await page<{ result: { value: T }; exceptionDetails?: { text: string } }>(
      'Runtime.evaluate',
      parameters,
    );
    if (answer.exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(answer.exceptionDetails)}`);
    return answer.result.value;
  };
  const until = async (expression: string) => {
    for (let tries = 0; tries < 400; tries++) {
      if (await evaluate<boolean>(expression).catch(() => false)) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error(`never true: ${expression}`);
  };
  return {
    evaluate,
    until,
    async open(url) {
      wire.requested = [];
      await page('Page.navigate', { url });
      await until(`location.href === ${JSON.stringify(url)} && document.readyState === 'complete'`);
      return wire.requested;
    },
    async press(key) {
      await page('Input.dispatchKeyEvent', { type: 'keyDown', ...keys[key] });
      await page('Input.dispatchKeyEvent', { type: 'keyUp', ...keys[key] });
    },
    type: async (text) => void (await page('Input.insertText', { text })),
    async spoken() {
      const { nodes } = await page<{ nodes: readonly RawNode[] }>('Accessibility.getFullAXTree');
      return nodes.filter(({ ignored }) => !ignored).map(spokenNode);
    },
    async viewport(width, height, scheme) {
      await page('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
      await page('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
    },
    [Symbol.asyncDispose]: dispose,
  };
}

interface RawNode {
  readonly ignored: boolean;
  readonly role?: { readonly value: string };
  readonly name?: { readonly value: string };
  readonly properties?: readonly { readonly name: string; readonly value: { readonly value: unknown } }[];
}

function spokenNode({ role, name, properties }: RawNode): SpokenNode {
  const level = properties?.find((property) => property.name === 'level')?.value.value;
  return { role: role?.value ?? '', name: name?.value ?? '', ...(typeof level === 'number' ? { level } : {}) };
}

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly request?: { readonly url: string } };
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** Messages of JSON with a NUL behind each, on descriptors 3 and 4. */
class Wire {
  readonly #out: Writable;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  #pending = '';
  #lastID = 0;
  requested: string[] = [];

  constructor(child: ChildProcess) {
    this.#out = child.stdio[3] as Writable;
    const input = child.stdio[4] as Readable;
    input.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.#out.on('error', () => {});
    child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('chromium ended'));
    });
  }

  call<T>(method: string, params: object, sessionId?: string): Promise<T> {
    const id = ++this.#lastID;
    this.#out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (result: unknown) => void, reject });
    });
  }

  #take(text: string): void {
    const messages = (this.#pending + text).split('\0');
    this.#pending = messages.pop()!;
    for (const message of messages) this.#receive(JSON.parse(message) as Answer);
  }

  #receive({ id, method, params, result, error }: Answer): void {
    if (method === 'Network.requestWillBeSent') this.requested.push(params!.request!.url);
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id!);
    if (error) waiting.reject(new Error(error.message));
    else waiting.resolve(result);
  }
}
