import type { ImageDifference } from '#api-types';
import type { ImageConfig } from '#oci';

/** Fields that two configurations differ in: variables, labels, ports and volumes one by one. Histories and layers are not looked at. */
export function compareImageConfigs(before: ImageConfig, after: ImageConfig, times: boolean): ImageDifference[] {
  const [ours, theirs] = [fieldsOf(before, times), fieldsOf(after, times)];
  return [...new Set([...ours.keys(), ...theirs.keys()])].flatMap((field) => {
    const [one, other] = [ours.get(field) ?? null, theirs.get(field) ?? null];
    return JSON.stringify(one) === JSON.stringify(other) ? [] : [{ kind: 'config', field, before: one, after: other }];
  });
}

/** What says how an image came to be, and of which build. */
const aside = ['history', 'rootfs', 'config', 'container', 'container_config', 'docker_version', 'created'];

function fieldsOf(config: ImageConfig, times: boolean): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [name, value] of Object.entries(config)) if (!aside.includes(name)) fields.set(name, value);
  if (times && config.created !== undefined) fields.set('created', config.created);
  for (const [name, value] of Object.entries(config.config ?? {})) {
    const parts = partsOf(name, value);
    if (parts === undefined) fields.set(`config.${name}`, isEmpty(value) ? null : value);
    for (const [part, partValue] of parts ?? []) fields.set(`config.${name}.${part}`, partValue);
  }
  return fields;
}

function partsOf(name: string, value: unknown): [string, unknown][] | undefined {
  if (name === 'Env' && Array.isArray(value)) {
    return (value as string[]).map((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    });
  }
  if (!['Labels', 'ExposedPorts', 'Volumes'].includes(name)) return undefined;
  return Object.entries((value ?? {}) as object);
}

/** Configurations say "none" in several ways. */
function isEmpty(value: unknown): boolean {
  return value === '' || (Array.isArray(value) && value.length === 0);
}
