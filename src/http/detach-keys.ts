import { EngineError } from '#errdefs';

/** Control-P, Control-Q. */
const defaultKeys = Uint8Array.of(16, 17);

/**
 * The bytes of `--detach-keys`: single characters and `ctrl-` with a letter or one of `@[\]^_`, joined by commas.
 * @throws `invalid-argument` in dockerd's words, which call them escape keys when an exec is made, and answer `internal` there.
 */
export function parseDetachKeys(text: string | undefined, what: 'detach' | 'escape' = 'detach'): Uint8Array {
  if (text === undefined || text === '') return defaultKeys;
  const bytes = text.split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    return control === undefined ? -1 : control.toUpperCase().charCodeAt(0) & 0x1f;
  });
  if (bytes.some((byte) => byte < 0 || byte > 127)) {
    throw new EngineError(
      what === 'escape' ? 'internal' : 'invalid-argument',
      `Invalid ${what} keys (${text}) provided`,
    );
  }
  return Uint8Array.from(bytes);
}

/**
 * A terminal's input up to the detach keys, which are kept out of it. Bytes that only began like the keys are passed on with what follows.
 * `detached` is called once when the whole sequence was seen, and the input ends there.
 */
export async function* untilDetached(
  input: AsyncIterable<Uint8Array>,
  keys: Uint8Array,
  detached: () => void,
): AsyncGenerator<Uint8Array> {
  let matched = 0;
  for await (const chunk of input) {
    const passed: number[] = [];
    for (const byte of chunk) {
      if (byte === keys[matched]) {
        matched++;
        if (matched < keys.length) continue;
        if (passed.length > 0) yield Uint8Array.from(passed);
        detached();
        return;
      }
      if (matched > 0) passed.push(...keys.subarray(0, matched));
      matched = byte === keys[0] ? 1 : 0;
      if (matched === 0) passed.push(byte);
    }
    if (passed.length > 0) yield Uint8Array.from(passed);
  }
}
