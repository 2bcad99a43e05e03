import { EngineError } from '#errdefs';
import type { CdiDeviceNode, CdiEdits, CdiHook, CdiSpec } from './types.ts';

type Fields = Readonly<Record<string, unknown>>;

const hookNames = new Set(['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop']);
const kindPattern = /^[A-Za-z][\w.-]*[A-Za-z0-9]\/[A-Za-z][\w-]*$/;

const invalid = (message: string) => new EngineError('invalid-argument', message);

/** @throws `invalid-argument` naming the field that is not as the CDI specification has it, or that is not honoured. */
export function decodeCdiSpec(value: unknown): CdiSpec {
  const spec = object(value, 'the document');
  const kind = text(spec['kind'], 'kind');
  if (!kindPattern.test(kind)) throw invalid(`kind ${JSON.stringify(kind)} is not vendor/class`);
  const devices = list(spec['devices'], 'devices').map((item, at): [string, CdiEdits] => {
    const device = object(item, `devices[${at}]`);
    const name = text(device['name'], `devices[${at}].name`);
    return [name, decodeEdits(device['containerEdits'], `devices[${at}].containerEdits`)];
  });
  if (devices.length === 0) throw invalid('it has no devices');
  return { kind, edits: decodeEdits(spec['containerEdits'], 'containerEdits'), devices: new Map(devices) };
}

function decodeEdits(value: unknown, path: string): CdiEdits {
  const edits = value === undefined || value === null ? {} : object(value, path);
  const known = ['env', 'deviceNodes', 'mounts', 'hooks', 'additionalGids'];
  const other = Object.keys(edits).find((key) => !known.includes(key));
  if (other !== undefined) throw invalid(`${path}.${other} is not supported`);
  const items = <T>(name: string, decode: (item: Fields, path: string) => T) =>
    list(edits[name], `${path}.${name}`).map((item, at) =>
      decode(object(item, `${path}.${name}[${at}]`), `${path}.${name}[${at}]`),
    );
  return {
    env: texts(edits['env'], `${path}.env`),
    deviceNodes: items('deviceNodes', decodeNode),
    mounts: items('mounts', decodeMount),
    hooks: items('hooks', decodeHook),
    additionalGids: list(edits['additionalGids'], `${path}.additionalGids`).map((gid) =>
      number(gid, `${path}.additionalGids`),
    ),
  };
}

function decodeNode(node: Fields, path: string): CdiDeviceNode {
  const inside = text(node['path'], `${path}.path`);
  const optional = (name: 'uid' | 'gid' | 'fileMode') =>
    node[name] === undefined || node[name] === null ? {} : { [name]: number(node[name], `${path}.${name}`) };
  return {
    path: inside,
    hostPath: node['hostPath'] ? text(node['hostPath'], `${path}.hostPath`) : inside,
    permissions: node['permissions'] ? text(node['permissions'], `${path}.permissions`) : 'rwm',
    ...optional('uid'),
    ...optional('gid'),
    ...optional('fileMode'),
  };
}

function decodeMount(mount: Fields, path: string): CdiEdits['mounts'][number] {
  return {
    source: text(mount['hostPath'], `${path}.hostPath`),
    destination: text(mount['containerPath'], `${path}.containerPath`),
    type: mount['type'] ? text(mount['type'], `${path}.type`) : 'bind',
    options: texts(mount['options'], `${path}.options`),
  };
}

function decodeHook(hook: Fields, path: string): CdiHook {
  const name = text(hook['hookName'], `${path}.hookName`);
  if (!hookNames.has(name)) throw invalid(`${path}.hookName ${JSON.stringify(name)} is none`);
  return {
    name,
    path: text(hook['path'], `${path}.path`),
    args: texts(hook['args'], `${path}.args`),
    env: texts(hook['env'], `${path}.env`),
    ...(hook['timeout'] ? { timeoutSeconds: number(hook['timeout'], `${path}.timeout`) } : {}),
  };
}

function object(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${path} is no object`);
  return value as Fields;
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${path} is no list`);
  return value;
}

function text(value: unknown, path: string): string {
  // YAML reads the name of a device like `0` as a number.
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string' || value === '') throw invalid(`${path} is no text`);
  return value;
}

function number(value: unknown, path: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw invalid(`${path} is no number`);
  return value;
}

const texts = (value: unknown, path: string) => list(value, path).map((item) => text(item, path));
