/** What a user may want of a container's link on one network: its name, settings of the kernel, addresses of the link itself. */
import { EngineError } from '#errdefs';
import { type Address, addressText, isLinkLocal, parseAddress } from './address.ts';
import { addAddress } from './netlink/index.ts';
import type { Program } from './program.ts';

export interface LinkWishes {
  /** `%d` in it stands for the first number that makes it one nobody has. */
  readonly name?: string;
  readonly linkLocal?: readonly string[];
  /** `net.ipv4.conf.IFNAME.forwarding=1`: what stands for the link's name is its fourth part. */
  readonly sysctls?: readonly string[];
}

/** The kernel's limit (IFNAMSIZ), without its NUL. */
const nameLimit = 15;
/** Settings of all links stand under these names. */
const reserved = ['.', '..', 'all', 'default'];

/**
 * The name a link gets: the one that is wanted, or else the first of `eth0`, `eth1` … that is free.
 * @throws `internal` in dockerd's words for one that is taken, or that the kernel takes for none.
 */
export function linkName(wanted: string, taken: ReadonlySet<string>, prefix: string): string {
  const usual = firstFree((number) => `${prefix}${number}`, taken);
  if (wanted === '') return usual;
  const name = /^[^%]*%d[^%]*$/.test(wanted)
    ? firstFree((number) => wanted.replace('%d', String(number)), taken)
    : wanted;
  const refuse = (reason: string) => {
    throw new EngineError(
      'internal',
      `failed to add interface ${usual} to sandbox: error renaming interface "${usual}" to "${wanted}": ${reason}`,
    );
  };
  if (Buffer.byteLength(name) > nameLimit) refuse('numerical result out of range');
  if (reserved.includes(name) || /[\s/:%]/.test(name)) refuse('invalid argument');
  if (name === 'lo' || taken.has(name)) refuse('file exists');
  return name;
}

function firstFree(name: (number: number) => string, taken: ReadonlySet<string>): string {
  let number = 0;
  while (taken.has(name(number))) number++;
  return name(number);
}

/** @throws `invalid-argument` in dockerd's words for one that is none. */
export function linkLocalAddresses({ linkLocal = [] }: LinkWishes): readonly Address[] {
  return linkLocal.map((text) => {
    const address = parseAddress(text.replace(/^::ffff:(?=\d+\.)/i, ''));
    if (!isLinkLocal(address)) {
      throw new EngineError('invalid-argument', `invalid link local IP address: ${addressText(address)}`);
    }
    return address;
  });
}

/** Inside the namespace, once the link is there: settings before it is up, as some of them mean only what it does then. */
export function writeSysctls(program: Program, name: string, { sysctls = [] }: LinkWishes): void {
  for (const sysctl of sysctls) {
    const [path, value] = sysctlFile(sysctl, name);
    program.set(`failed to add interface ${name} to sandbox`, path, value);
  }
}

/** @throws `internal` in dockerd's words for what is no setting of a link. */
function sysctlFile(sysctl: string, name: string): [path: string, value: string] {
  const at = sysctl.indexOf('=');
  const refuse = (form: string) =>
    new EngineError(
      'internal',
      `failed to add interface ${name} to sandbox: expected sysctl '${sysctl}' to have ${form}`,
    );
  if (at < 0) throw refuse('format name=value');
  const parts = sysctl.slice(0, at).split('.');
  if (parts.length !== 5) throw refuse('format net.X.Y.IFNAME.Z');
  const [root, family, table, , key] = parts;
  return [`/proc/sys/${root}/${family}/${table}/${name}/${key}`, sysctl.slice(at + 1)];
}

/** Inside the namespace, when the link is up: on its own network, as wide as such networks are. */
export function addLinkLocals(program: Program, name: string, wishes: LinkWishes): void {
  const addresses = linkLocalAddresses(wishes);
  const prefixLength = ({ family }: Address) => (family === 4 ? 16 : 64);
  const all = addresses.map((address) => `${addressText(address)}/${prefixLength(address)}`).join(' ');
  for (const address of addresses) {
    program.send(
      `failed to add interface ${name} to sandbox: error setting interface "${name}" link local IPs to [${all}]`,
      addAddress(name, address, prefixLength(address)),
    );
  }
}
