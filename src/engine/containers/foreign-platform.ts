import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '#errdefs';
import { readBounded } from '#files';
import { formatPlatform, type Platform, platformRank } from '#oci';

/** Linux' registry of interpreters for programs that it does not run itself (binfmt-misc). */
const handlersFolder = '/proc/sys/fs/binfmt_misc';
const maxHandlerBytes = 4096;

/** ELF's words on architectures: 64 bits, little end first, `e_machine`. */
const machines: Readonly<Record<string, readonly [is64: boolean, isLittle: boolean, machine: number]>> = {
  '386': [false, true, 3],
  amd64: [true, true, 62],
  arm: [false, true, 40],
  arm64: [true, true, 183],
  loong64: [true, true, 258],
  mips64le: [true, true, 8],
  ppc64le: [true, true, 21],
  riscv64: [true, true, 243],
  s390x: [true, false, 22],
};

/**
 * What to tell whoever makes a container of an image for another platform: dockerd's words unless the platform was asked for, and what to do when
 * nothing here runs such programs.
 */
export async function foreignPlatformWarnings(
  image: Platform,
  host: Platform,
  options: { isWanted: boolean; handlers?: string },
): Promise<readonly string[]> {
  if (image.os === '' || image.architecture === '' || platformRank(image, host) !== undefined) return [];
  const [own, wanted] = [formatPlatform(host), formatPlatform(image)];
  const mismatch = `The requested image's platform (${wanted}) does not match the detected host platform (${own}) and no specific platform was requested`;
  const advice = `Programs for ${wanted} do not run on this machine: no interpreter for them is registered in ${handlersFolder}. Register one (Debian's packages qemu-user-static and binfmt-support do) and start the container again`;
  const canRun = await hasInterpreter(image.architecture, options.handlers ?? handlersFolder);
  return [...(options.isWanted ? [] : [mismatch]), ...(canRun ? [] : [advice])];
}

async function hasInterpreter(architecture: string, folder: string): Promise<boolean> {
  const machine = machines[architecture];
  // Of what cannot be judged nothing is said.
  if (!machine) return true;
  for (const name of await listed(folder)) {
    const bytes = await readBounded(join(folder, name), maxHandlerBytes);
    if (bytes && takes(bytes.toString('utf8'), elfHeader(...machine))) return true;
  }
  return false;
}

async function listed(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name !== 'register' && name !== 'status');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'EACCES')) return [];
    throw error;
  }
}

/** The start of an executable, as ELF (System V ABI, chapter 4) writes it. */
function elfHeader(is64: boolean, isLittle: boolean, machine: number): Buffer {
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, isLittle ? 1 : 2, 1]);
  if (isLittle) {
    header.writeUInt16LE(2, 16);
    header.writeUInt16LE(machine, 18);
  } else {
    header.writeUInt16BE(2, 16);
    header.writeUInt16BE(machine, 18);
  }
  return header;
}

/** A handler as the kernel shows it: `enabled`, `interpreter …`, `offset 0`, `magic 7f45…`, `mask ffff…`. */
function takes(handler: string, program: Buffer): boolean {
  const field = (name: string) => new RegExp(`^${name} ([0-9a-f]+)$`, 'm').exec(handler)?.[1];
  const magic = Buffer.from(field('magic') ?? '', 'hex');
  const mask = Buffer.from(field('mask') ?? 'ff'.repeat(magic.length), 'hex');
  const offset = Number(field('offset') ?? 0);
  if (!handler.startsWith('enabled') || magic.length === 0) return false;
  return magic.every((byte, at) => ((program[offset + at] ?? 0) & mask[at]!) === (byte & mask[at]!));
}
