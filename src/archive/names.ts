import type { ByteString } from './types.ts';

/** Bytes as a byte string: one UTF-16 unit per byte. */
export function byteString(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function bytesOf(name: ByteString): Buffer {
  return Buffer.from(name, 'latin1');
}

/** Text as a byte string of its UTF-8 form. */
export function bytesFromUtf8(text: string): ByteString {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** A byte string as text; bytes that are not UTF-8 become U+FFFD, so the way back is not exact for those. */
export function utf8FromBytes(name: ByteString): string {
  return isAscii(name) ? name : bytesOf(name).toString('utf8');
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
