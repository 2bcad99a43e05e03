/** Constants of the EROFS on-disk format (Linux Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h), as far as indexes use them. */

export const magic = 0xe0f5e1e2;
export const superOffset = 1024;
export const superBytes = 128;
/** Tar data is aligned to 512 bytes, so blocks of that size can point at it. */
export const blockBits = 9;
export const blockBytes = 1 << blockBits;
export const slotBytes = 32;
export const inodeBytes = 64;
export const deviceSlotBytes = 128;
export const tagBytes = 64;
export const direntBytes = 12;
export const maxNameBytes = 255;
export const xattrHeaderBytes = 12;
export const chunkIndexBytes = 8;
export const nullBlock = 0xffffffff;
/** Largest chunk is a block shifted by this. */
export const maxChunkShift = 31;

export const compatChecksum = 1;
export const compatMtime = 2;
export const incompatChunkedFile = 4;
export const incompatDeviceTable = 8;
export const knownIncompat = incompatChunkedFile | incompatDeviceTable;
export const chunkFormatIndexes = 0x20;

/** Data layouts, bits 1 to 3 of i_format; bit 0 says extended inode. */
export const layouts = { plain: 0, inline: 2, chunked: 4 } as const;

export const modeType = 0o170000;
export const modes = {
  fifo: 0o010000,
  char: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

/** Dirent file types by the type bits of the mode, shifted right by 12. */
export const direntTypes: readonly number[] = [0, 5, 3, 0, 2, 0, 4, 0, 1, 0, 7, 0, 6, 0, 0, 0];

/** By these overlayfs would be told to look elsewhere. */
export const overlayXattrPrefix = 'trusted.overlay.';
export const opaqueXattr = `${overlayXattrPrefix}opaque`;
