import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrno, messageOf } from '#errdefs';
import { log } from '#log';
import { decodeCdiSpec } from './decode.ts';
import type { CdiEdits, CdiSpec } from './types.ts';
import { parseYaml } from './yaml.ts';

/**
 * The specifications in the CDI folders, read anew each time: they change with the machine's devices, and few containers ask for them.
 * A file that cannot be understood counts as not there, and is told of.
 */
export function readCdiSpecs(folders: readonly string[]): CdiSpec[] {
  return folders.flatMap((folder) => specFiles(folder).flatMap((path) => readSpec(path)));
}

function specFiles(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => /\.(?:json|ya?ml)$/.test(name));
    return names.sort().map((name) => join(folder, name));
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return [];
    throw error;
  }
}

function readSpec(path: string): CdiSpec[] {
  try {
    const text = readFileSync(path).toString();
    return [decodeCdiSpec(path.endsWith('.json') ? (JSON.parse(text) as unknown) : parseYaml(text))];
  } catch (error) {
    log.warn('a CDI specification cannot be used', { path, error: messageOf(error) });
    return [];
  }
}

/** Names of every device there is, `vendor/class=name`. */
export function cdiDeviceNames(specs: readonly CdiSpec[]): string[] {
  return specs.flatMap(({ kind, devices }) => [...devices.keys()].map((name) => `${kind}=${name}`)).sort();
}

/** The edits of devices by their names, those common to a specification once, and the names nobody knows. */
export function resolveCdiDevices(
  specs: readonly CdiSpec[],
  names: readonly string[],
): { edits: readonly CdiEdits[]; unknown: readonly string[] } {
  const edits: CdiEdits[] = [];
  const used = new Set<CdiSpec>();
  const unknown: string[] = [];
  for (const name of names) {
    // Of two specifications with the same device, that of the later folder counts.
    const spec = specs.findLast(
      ({ kind, devices }) => name.startsWith(`${kind}=`) && devices.has(name.slice(kind.length + 1)),
    );
    if (spec === undefined) {
      unknown.push(name);
      continue;
    }
    if (!used.has(spec)) edits.push(spec.edits);
    used.add(spec);
    edits.push(spec.devices.get(name.slice(spec.kind.length + 1))!);
  }
  return { edits, unknown };
}
