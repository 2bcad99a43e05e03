/** A container's `/etc/hosts` and `/etc/hostname`, as dockerd 28 makes them. */
import { EngineError } from '#errdefs';

const standard = [
  ['127.0.0.1', 'localhost'],
  ['::1', 'localhost ip6-localhost ip6-loopback'],
  ['fe00::', 'ip6-localnet'],
  ['ff00::', 'ip6-mcastprefix'],
  ['ff02::1', 'ip6-allnodes'],
  ['ff02::2', 'ip6-allrouters'],
] as const;

export interface HostsOptions {
  readonly hostname: string;
  readonly domainname?: string;
  /** The container's own addresses; none in the modes `host` and `none`. */
  readonly addresses: readonly string[];
  /** `--add-host`, each `name:address`; `host-gateway` is an address already here. */
  readonly extraHosts?: readonly { readonly name: string; readonly address: string }[];
  /** Mode `host`: the machine's own file, which dockerd uses as it is unless hosts are added. */
  readonly hostText?: string;
}

export function hostsFile(options: HostsOptions): string {
  if (options.hostText !== undefined && !options.extraHosts?.length) return options.hostText;
  const whole = options.domainname ? `${options.hostname}.${options.domainname}` : options.hostname;
  const [first = ''] = whole.split('.', 1);
  const names = first === whole || first === '' ? whole : `${whole} ${first}`;
  return [
    ...standard,
    ...(options.extraHosts ?? []).map(({ name, address }) => [address, name] as const),
    ...options.addresses.map((address) => [address, names] as const),
  ]
    .map(([address, name]) => `${address}\t${name}\n`)
    .join('');
}

/**
 * One `--add-host`: `name:address`, `name=address` and IPv6 addresses in brackets; `host-gateway` becomes a line for each of `hostGateways`.
 * @throws `invalid-argument` in Docker's words.
 */
export function parseExtraHost(value: string, hostGateways: readonly string[]): { name: string; address: string }[] {
  const at = value.search(/[:=]/);
  const name = value.slice(0, at);
  const address = value.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
  if (at < 1 || address === '') throw new EngineError('invalid-argument', `bad format for add-host: "${value}"`);
  if (/[\s#]/.test(value)) throw new EngineError('invalid-argument', `bad format for add-host: "${value}"`);
  return (address === 'host-gateway' ? hostGateways : [address]).map((one) => ({ name, address: one }));
}

export function hostnameFile(hostname: string): string {
  return `${hostname}\n`;
}
