import { isDigest } from './digest.ts';
import {
  asFields,
  type Fields,
  field,
  flag,
  integer,
  invalid,
  keySet,
  list,
  parseObject,
  present,
  text,
  textMap,
  texts,
} from './fields.ts';
import type { DiffID, HealthConfig, HistoryEntry, ImageConfig, RunConfig } from './types.ts';

/** Far beyond any real config; a registry may not make us hold more. */
export const maxConfigBytes = 16 << 20;

/** Decodes an image config. Unknown fields are dropped from the value; the raw bytes stay with the caller. @throws `invalid-argument`. */
export function parseConfig(bytes: Uint8Array): ImageConfig {
  const fields = parseObject(bytes, maxConfigBytes, 'image config');
  const config = field(fields, 'config');
  const containerConfig = field(fields, 'container_config');
  return present({
    architecture: text(fields, 'architecture') ?? '',
    os: text(fields, 'os') ?? '',
    variant: text(fields, 'variant'),
    'os.version': text(fields, 'os.version'),
    'os.features': texts(fields, 'os.features'),
    created: text(fields, 'created'),
    author: text(fields, 'author'),
    config: config === undefined ? undefined : decodeRunConfig(config, 'image config'),
    rootfs: { type: 'layers' as const, diff_ids: diffIDsOf(fields) },
    history: list(fields, 'history')?.map(decodeHistory),
    docker_version: text(fields, 'docker_version'),
    container: text(fields, 'container'),
    container_config: containerConfig === undefined ? undefined : decodeRunConfig(containerConfig, 'container_config'),
  });
}

function diffIDsOf(fields: Fields): readonly DiffID[] {
  const rootfs = field(fields, 'rootfs');
  if (rootfs === undefined) throw invalid(fields.what, 'rootfs is missing');
  const layers = asFields(rootfs, `${fields.what} rootfs`);
  if (text(layers, 'type') !== 'layers') throw invalid(layers.what, 'type is not "layers"');
  return (texts(layers, 'diff_ids') ?? []).map((value) => {
    if (!isDigest(value)) throw invalid(layers.what, 'diff_ids holds something that is not a digest');
    return value as string as DiffID;
  });
}

function decodeHistory(value: unknown, index: number): HistoryEntry {
  const fields = asFields(value, `image config history[${index}]`);
  return present({
    created: text(fields, 'created'),
    created_by: text(fields, 'created_by'),
    author: text(fields, 'author'),
    comment: text(fields, 'comment'),
    empty_layer: flag(fields, 'empty_layer'),
  });
}

/** The `config` object of an image or of a container that was committed. @throws `invalid-argument`. */
export function decodeRunConfig(value: unknown, what: string): RunConfig {
  const fields = asFields(value, what);
  const health = field(fields, 'Healthcheck');
  return present({
    User: text(fields, 'User'),
    ExposedPorts: keySet(fields, 'ExposedPorts'),
    Env: texts(fields, 'Env'),
    Entrypoint: command(fields, 'Entrypoint'),
    Cmd: command(fields, 'Cmd'),
    Volumes: keySet(fields, 'Volumes'),
    WorkingDir: text(fields, 'WorkingDir'),
    Labels: textMap(fields, 'Labels'),
    StopSignal: text(fields, 'StopSignal'),
    StopTimeout: integer(fields, 'StopTimeout'),
    Healthcheck: health === undefined ? undefined : decodeHealth(health, `${what} Healthcheck`),
    OnBuild: texts(fields, 'OnBuild'),
    Shell: command(fields, 'Shell'),
    ArgsEscaped: flag(fields, 'ArgsEscaped'),
  });
}

/** Docker takes one string where a list belongs (`strslice`). */
function command(fields: Fields, name: string): readonly string[] | undefined {
  const value = field(fields, name);
  return typeof value === 'string' ? [value] : texts(fields, name);
}

function decodeHealth(value: unknown, what: string): HealthConfig {
  const fields = asFields(value, what);
  return present({
    Test: texts(fields, 'Test'),
    Interval: integer(fields, 'Interval'),
    Timeout: integer(fields, 'Timeout'),
    StartPeriod: integer(fields, 'StartPeriod'),
    StartInterval: integer(fields, 'StartInterval'),
    Retries: integer(fields, 'Retries'),
  });
}
