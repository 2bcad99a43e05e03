import { EngineError } from '#errdefs';

type Options = Readonly<Record<string, string>>;

const known = ['type', 'o', 'device', 'size'];

/** The local driver's options: `type`, `o` and `device` of a mount made while the volume is used. @throws `invalid-argument` in Docker's words. */
export function checkDriverOptions(name: string, options: Options): void {
  const keys = Object.keys(options);
  const refuse = (message: string) => new EngineError('invalid-argument', `create ${name}: ${message}`);
  const unknown = keys.find((key) => !known.includes(key));
  if (unknown !== undefined) throw refuse(`invalid option: "${unknown}"`);
  const { size } = options;
  if (size !== undefined) {
    const isSize = /^\d+(\.\d+)? ?([kmgtp]i?)?b?$/i.test(size);
    throw refuse(isSize ? 'quota size requested but no quota support' : `invalid size: '${size}'`);
  }
  if (keys.length === 0) return;
  for (const key of ['device', 'type']) {
    if (!options[key]) throw refuse(`missing required option: "${key}"`);
  }
}

/** Words of `o` that are bits of mount(2), and what they do to them. */
const bits: Readonly<Record<string, readonly [clear: boolean, bit: number]>> = {
  defaults: [false, 0],
  ro: [false, 1],
  rw: [true, 1],
  nosuid: [false, 2],
  suid: [true, 2],
  nodev: [false, 4],
  dev: [true, 4],
  noexec: [false, 8],
  exec: [true, 8],
  sync: [false, 16],
  async: [true, 16],
  remount: [false, 32],
  mand: [false, 64],
  nomand: [true, 64],
  dirsync: [false, 128],
  noatime: [false, 1024],
  atime: [true, 1024],
  nodiratime: [false, 2048],
  diratime: [true, 2048],
  bind: [false, 4096],
  rbind: [false, 4096 | 16384],
  relatime: [false, 1 << 21],
  norelatime: [true, 1 << 21],
  strictatime: [false, 1 << 24],
  nostrictatime: [true, 1 << 24],
};

/** What mount(2) is given: `o` taken apart into its flags and the file system's own words. */
export function mountArguments({ type = '', o = '', device = '' }: Options): {
  readonly type: string;
  readonly device: string;
  readonly flags: number;
  readonly data: string;
} {
  let flags = 0;
  const data: string[] = [];
  for (const word of o.split(',').filter((part) => part !== '')) {
    const [clear, bit] = bits[word] ?? [];
    if (bit === undefined) data.push(word);
    else flags = clear ? flags & ~bit : flags | bit;
  }
  return { type, device, flags, data: data.join(',') };
}
