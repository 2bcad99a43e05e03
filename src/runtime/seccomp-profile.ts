import { EngineError } from '#errdefs';
import {
  type KernelVersion,
  kernelAtLeast,
  type SeccompFacts,
  type SeccompProfile,
  type SeccompRule,
} from './seccomp.ts';
import { architectures } from './seccomp-table.ts';

type Fields = Readonly<Record<string, unknown>>;

const actions = new Set(
  ['KILL', 'KILL_THREAD', 'KILL_PROCESS', 'TRAP', 'ERRNO', 'TRACE', 'ALLOW', 'LOG', 'NOTIFY'].map(
    (name) => `SCMP_ACT_${name}`,
  ),
);
/** As Go, and so profiles, name what Node calls `process.arch`. */
const goNames: Readonly<Record<string, string>> = { x64: 'amd64' };

const failed = (message: string) => new EngineError('internal', message);
const undecodable = (message: string) => failed(`Decoding seccomp profile failed: ${message}`);

/**
 * A profile in Docker's form, in which calls depend on capabilities, architecture and kernel, as the runtime-spec has it for one
 * container. Undefined for a profile that says nothing, which Docker takes for none.
 * @throws `internal` in Docker's words.
 */
export function translateSeccomp(text: string, facts: SeccompFacts): SeccompProfile | undefined {
  const profile = fields(parse(text), 'types.Seccomp');
  const calls = list(profile['syscalls']).map((call) => fields(call, 'types.Syscall'));
  const architecture = chosenArchitectures(profile, facts);
  const defaultAction = profile['defaultAction'] ?? '';
  if (defaultAction === '' && calls.length === 0) return undefined;
  const chosen = calls.filter((call) => applies(call, facts));
  const rules = chosen.map(rule);
  for (const action of [defaultAction, ...rules.map((one) => one.action)]) {
    if (!actions.has(String(action))) throw invalidAction(String(action));
  }
  return {
    ...copied(profile, ['defaultErrnoRet', 'flags', 'listenerPath', 'listenerMetadata']),
    defaultAction: String(defaultAction),
    ...(architecture.length > 0 ? { architectures: architecture } : {}),
    syscalls: rules,
  };
}

function invalidAction(action: string): EngineError {
  return failed(
    `failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: string ${action} is not a valid action for seccomp`,
  );
}

/** The argument values of a profile have 64 bits, more than a number here holds: one too large is kept as it is written. */
function parse(text: string): unknown {
  const exact = (_key: string, value: unknown, context: { source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && context.source !== undefined
      ? (JSON as unknown as { rawJSON(source: string): unknown }).rawJSON(context.source)
      : value;
  try {
    return (JSON.parse as (source: string, reviver: typeof exact) => unknown)(text, exact);
  } catch (error) {
    const first = text.trimStart()[0];
    if (first === undefined) throw undecodable('unexpected end of JSON input');
    if (!/[-\d"[{tfn]/.test(first)) throw undecodable(`invalid character '${first}' looking for beginning of value`);
    throw undecodable((error as Error).message);
  }
}

function fields(value: unknown, type: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw undecodable(
    `json: cannot unmarshal ${Array.isArray(value) ? 'array' : typeof value} into Go value of type ${type}`,
  );
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const texts = (value: unknown) => list(value).map(String);
const copied = (from: Fields, names: readonly string[]) =>
  Object.fromEntries(
    names.flatMap((name) => (from[name] === undefined || from[name] === null ? [] : [[name, from[name]]])),
  );

/** Of a map, the entry of this machine's own architecture with those it also runs. */
function chosenArchitectures(profile: Fields, { arch }: SeccompFacts): readonly string[] {
  const [plain, mapped] = [texts(profile['architectures']), list(profile['archMap'])];
  if (plain.length > 0 && mapped.length > 0) {
    throw failed(
      "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  const native = architectures[arch]?.names[0];
  const entry = mapped
    .map((one) => fields(one, 'seccomp.Architecture'))
    .find(({ architecture }) => architecture === native);
  return entry === undefined ? plain : [String(entry['architecture']), ...texts(entry['subArchitectures'])];
}

function applies(call: Fields, facts: SeccompFacts): boolean {
  const [includes, excludes] = [call['includes'] ?? {}, call['excludes'] ?? {}].map((one) => filterOf(one));
  const arch = goNames[facts.arch] ?? facts.arch;
  const held = new Set(facts.capabilities);
  const recent = (version: KernelVersion) => kernelAtLeast(facts.kernelRelease, version);
  if (excludes!.arches.includes(arch) || excludes!.caps.some((name) => held.has(name))) return false;
  if (excludes!.minKernel && recent(excludes!.minKernel)) return false;
  if (includes!.arches.length > 0 && !includes!.arches.includes(arch)) return false;
  return includes!.caps.every((name) => held.has(name)) && (!includes!.minKernel || recent(includes!.minKernel));
}

function filterOf(value: unknown): { caps: readonly string[]; arches: readonly string[]; minKernel?: KernelVersion } {
  const filter = fields(value, 'seccomp.Filter');
  const minimum = filter['minKernel'];
  return {
    caps: texts(filter['caps']),
    arches: texts(filter['arches']),
    ...(minimum ? { minKernel: kernelVersion(String(minimum)) } : {}),
  };
}

function kernelVersion(text: string): KernelVersion {
  const [, major, minor] = /^(\d+)\.(\d+)$/.exec(text) ?? [];
  if (major !== undefined && minor !== undefined) return [Number(major), Number(minor)];
  throw undecodable(`invalid kernel version: ${JSON.stringify(text)}, expected "<kernel>.<major>"`);
}

function rule(call: Fields): SeccompRule {
  const names = texts(call['names']);
  const name = call['name'] ? String(call['name']) : undefined;
  if (name !== undefined && names.length > 0) {
    throw failed("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'");
  }
  const args = list(call['args']).map((arg) =>
    copied(fields(arg, 'specs.LinuxSeccompArg'), ['index', 'value', 'valueTwo', 'op']),
  );
  return {
    names: name === undefined ? names : [name],
    action: String(call['action'] ?? ''),
    ...copied(call, ['errnoRet']),
    ...(args.length > 0 ? { args } : {}),
  };
}
