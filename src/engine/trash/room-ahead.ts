/** What is left when the trash goes: more than what comes between two looks. */
export const aheadBytes = 16 << 20;
const stretchBytes = 1 << 20;

export interface RoomKeeper {
  /** Empties the trash when less than that is free. */
  keepFree(wantedBytes: number): Promise<void>;
}

/**
 * Bytes on their way to where a write that found no space could not be tried again: a stream comes once, and a container's file system is written while
 * the archive is parsed. So room is made before they come.
 */
export async function* withRoomAhead(trash: RoomKeeper, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let sinceLook = stretchBytes;
  for await (const chunk of source) {
    if (sinceLook >= stretchBytes) {
      await trash.keepFree(aheadBytes + chunk.length);
      sinceLook = 0;
    }
    sinceLook += chunk.length;
    yield chunk;
  }
}
