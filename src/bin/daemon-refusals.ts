import { EngineError } from '#errdefs';
import type { OptionSpec, OptionValue } from './daemon-option.ts';

/** What dockerd has and this daemon does not, with the reason: each is refused when it asks for something. */
const reasons: readonly (readonly [flag: string, key: string | undefined, kind: OptionSpec['kind'], why: string])[] = [
  ['authorization-plugin', 'authorization-plugins', 'list', 'there are no plugins here'],
  ['containerd', 'containerd', 'string', 'images and containers are kept without containerd'],
  ['containerd-namespace', 'containerd-namespace', 'string', 'images and containers are kept without containerd'],
  ['containerd-plugins-namespace', 'containerd-plugin-namespace', 'string', 'there are no plugins here'],
  ['cri-containerd', 'cri-containerd', 'bool', 'containers are run without containerd'],
  ['cpu-rt-period', 'cpu-rt-period', 'int', 'give containers real-time periods of their own'],
  ['cpu-rt-runtime', 'cpu-rt-runtime', 'int', 'give containers real-time runtimes of their own'],
  ['network-control-plane-mtu', 'network-control-plane-mtu', 'int', 'there is no swarm here'],
  ['node-generic-resource', 'node-generic-resources', 'list', 'there is no swarm here'],
  ['rootless', undefined, 'bool', 'the daemon needs root privileges'],
  ['selinux-enabled', 'selinux-enabled', 'bool', 'containers are not labelled'],
  ['swarm-default-advertise-addr', 'swarm-default-advertise-addr', 'string', 'there is no swarm here'],
  ['userland-proxy-path', 'userland-proxy-path', 'string', 'the daemon itself carries what the kernel cannot'],
];

/** Refused but for values that say what is so here anyway. */
const settled: readonly OptionSpec[] = [
  { flag: 'exec-opt', key: 'exec-opts', kind: 'list', help: '', absent: true },
  { flag: 'feature', key: 'features', kind: 'features', help: '', absent: true },
  { flag: 'raw-logs', key: 'raw-logs', kind: 'bool', help: '', absent: true },
];

export const absentOptions: readonly OptionSpec[] = [
  ...reasons.map(([flag, key, kind]) => ({ flag, kind, help: '', absent: true, ...(key ? { key } : {}) })),
  ...settled,
];

type Values = ReadonlyMap<string, OptionValue>;

/** @throws naming the first that asks for what is not here: nothing is accepted and ignored. */
export function refuseUnsupported(values: Values): void {
  for (const [flag, , kind, why] of reasons) {
    const value = values.get(flag);
    if (value === undefined || asksForNothing(flag, value)) continue;
    const shown = kind === 'bool' ? '' : ` ${Array.isArray(value) ? value[0] : String(value)}`;
    throw new EngineError('not-implemented', `${flag}${shown} is not supported: ${why}`);
  }
  for (const option of (values.get('exec-opt') as readonly string[] | undefined) ?? []) checkExecOption(option);
  checkFeatures(values.get('feature') as Features | undefined);
  if (values.get('ip-forward-no-drop') === false) {
    const why = 'the policy of the FORWARD chain is left alone';
    throw new EngineError('not-implemented', `ip-forward-no-drop=false is not supported: ${why}`);
  }
}

function asksForNothing(flag: string, value: OptionValue): boolean {
  if (flag === 'network-control-plane-mtu' && value === 1500) return true;
  return value === '' || value === false || value === 0 || (Array.isArray(value) && value.length === 0);
}

/** As dockerd checks them. Cgroups are written by the runtime itself, never by systemd. */
function checkExecOption(option: string): void {
  const at = option.indexOf('=');
  if (at < 0) throw new EngineError('invalid-argument', `invalid exec-opt (${option}): must be formatted 'opt=value'`);
  const name = option.slice(0, at);
  if (name !== 'native.cgroupdriver') {
    throw new EngineError('invalid-argument', `invalid exec-opt (${option}): unknown option: '${name}'`);
  }
  if (option.slice(at + 1) === 'cgroupfs') return;
  throw new EngineError('not-implemented', `exec-opt ${option} is not supported: use native.cgroupdriver=cgroupfs`);
}

type Features = Readonly<Record<string, boolean>>;

/** How dockerd gets to results that are had here another way: files written for it turn these on, and lose nothing. */
const otherwise: Readonly<Record<string, string>> = {
  buildkit: "the daemon's own builder serves BuildKit's clients and those of the classic builder alike",
  cdi: 'devices by CDI are always to be had',
  'containerd-snapshotter': 'images and their layers are kept by the daemon itself',
};

/** Lines for the log about what was asked for and is done another way. */
export function notices(values: Values): readonly string[] {
  const features = (values.get('feature') ?? {}) as Features;
  return Object.entries(otherwise)
    .filter(([name]) => features[name] === true)
    .map(([name, how]) => `feature ${name} makes no difference: ${how}`);
}

function checkFeatures(features: Features = {}): void {
  for (const [name, wanted] of Object.entries(features)) {
    if (wanted && !Object.hasOwn(otherwise, name))
      throw new EngineError('not-implemented', `feature ${name} is not supported`);
  }
}

/** Keys of daemon.json that no flag has. */
export const absentKeys: Readonly<Record<string, string>> = {
  'allow-nondistributable-artifacts': 'layers that may not be distributed are not pushed',
  'deprecated-key-path': 'the daemon has no key',
};
