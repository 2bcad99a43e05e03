/** What moves the cursor, colours, reorders text or is no character at all: a name may not steer the terminal it is printed on. */
const steers = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;
/** The same, what stands for bytes that are no text, and what quoting needs. */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\ufffd"\\]/u;

/** A file's name for a line of text: as it is where it can do no harm, else quoted with escapes. `bytes`: base64, of a name that is not UTF-8. */
export function safeName(name: string, bytes?: string): string {
  if (!unsafe.test(name) && !/^\s|\s$/.test(name)) return name;
  return bytes === undefined ? quoted(name) : quotedBytes(Buffer.from(bytes, 'base64'));
}

/** Text that is no name, on one line: what steers is escaped, quotes stay. */
export function safeText(text: string): string {
  return [...text].map((character) => (steers.test(character) ? escaped(character) : character)).join('');
}

function quoted(name: string): string {
  const shown = [...name].map((character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    return unsafe.test(character) ? escaped(character) : character;
  });
  return `"${shown.join('')}"`;
}

function escaped(character: string): string {
  const short = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0)!;
  if (code > 0xffff) return `\\u{${code.toString(16)}}`;
  return code < 0x100 ? hex(code) : `\\u${code.toString(16).padStart(4, '0')}`;
}

const hex = (byte: number) => `\\x${byte.toString(16).padStart(2, '0')}`;

function quotedBytes(bytes: Buffer): string {
  const shown = [...bytes].map((byte) => {
    const character = String.fromCharCode(byte);
    if (byte >= 0x80) return hex(byte);
    return character === '"' || character === '\\'
      ? `\\${character}`
      : byte < 0x20 || byte === 0x7f
        ? escaped(character)
        : character;
  });
  return `"${shown.join('')}"`;
}
