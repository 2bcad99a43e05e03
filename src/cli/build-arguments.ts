import type { BuildOptions } from '#api-types';
import type { FlagSpec, Flags } from './flags.ts';

/** What decides which image comes out: of `build`, and of a build that is done again to compare. */
export const imageFlags: readonly FlagSpec[] = [
  { name: 'add-host', type: 'list', help: 'Add a custom host-to-IP mapping (host:ip)' },
  { name: 'build-arg', type: 'list', help: 'Set build-time variables' },
  { name: 'file', short: 'f', type: 'string', help: 'Name of the Dockerfile (Default is "PATH/Dockerfile")' },
  { name: 'label', type: 'list', help: 'Set metadata for an image' },
  { name: 'network', type: 'string', help: 'Set the networking mode for the RUN instructions during build' },
  { name: 'platform', type: 'string', help: 'Set platform if server is multi-platform capable' },
  { name: 'squash', type: 'toggle', help: 'Squash newly built layers into a single new layer' },
  { name: 'target', type: 'string', help: 'Set the target build stage to build' },
];

/** What {@link imageFlags} say, but for the Dockerfile. */
export function imageOptions(flags: Flags, environment: Readonly<Record<string, string | undefined>>): BuildOptions {
  const [target, platform, network] = ['target', 'platform', 'network'].map((name) => flags.text(name));
  const hosts = flags.list('add-host');
  return {
    buildargs: buildArgs(flags.list('build-arg'), environment),
    labels: Object.fromEntries(flags.list('label').map(splitPair)),
    ...(flags.on('squash') ? { squash: true } : {}),
    ...(target ? { target } : {}),
    ...(platform ? { platform } : {}),
    ...(network ? { networkmode: network } : {}),
    ...(hosts.length > 0 ? { extrahosts: hosts } : {}),
  };
}

/** `NAME=VALUE`; what has no `=` is a name without a value. */
export function splitPair(line: string): [string, string] {
  const at = line.indexOf('=');
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
}

/** `--build-arg NAME` takes the client's own value; so does SOURCE_DATE_EPOCH without being asked for, as with buildx. */
export function buildArgs(
  lines: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | null> {
  const epoch = environment['SOURCE_DATE_EPOCH'];
  const given = Object.fromEntries(
    lines.map((line): [string, string | null] => {
      const [name, value] = splitPair(line);
      return [name, line.includes('=') ? value : (environment[name] ?? null)];
    }),
  );
  return { ...(epoch === undefined ? {} : { SOURCE_DATE_EPOCH: epoch }), ...given };
}
