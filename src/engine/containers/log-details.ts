import { hostname } from 'node:os';
import { EngineError } from '#errdefs';
import type { Container } from './container.ts';

/** What `--details` puts before each line: the attributes that log options ask for, as dockerd writes them. Empty without any. */
export function logDetails(container: Container): string {
  const options = container.body.hostConfig.LogConfig?.Config ?? {};
  const labels = container.body.config.Labels ?? {};
  const env = Object.fromEntries(
    (container.body.config.Env ?? []).map((item) => {
      const at = item.indexOf('=');
      return at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)];
    }),
  );
  const attributes = {
    ...chosen(labels, options['labels'], options['labels-regex']),
    ...chosen(env, options['env'], options['env-regex']),
    ...(options['tag'] ? { tag: expandTag(container, options['tag']) } : {}),
  };
  return Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${escapeQuery(key)}=${escapeQuery(value)}`)
    .join(',');
}

function chosen(
  values: Readonly<Record<string, string>>,
  names: string | undefined,
  pattern: string | undefined,
): Record<string, string> {
  const wanted = new Set((names ?? '').split(',').filter(Boolean));
  const matches = pattern ? new RegExp(pattern) : undefined;
  return Object.fromEntries(Object.entries(values).filter(([name]) => wanted.has(name) || matches?.test(name)));
}

/** The fields of dockerd's templates. @throws `internal` for anything else. */
function expandTag(container: Container, template: string): string {
  const { body, id, name } = container;
  const fields: Readonly<Record<string, string>> = {
    ID: id.slice(0, 12),
    FullID: id,
    Name: name,
    ImageID: body.imageID.replace(/^sha256:/, '').slice(0, 12),
    ImageFullID: body.imageID,
    ImageName: body.image,
    Command: [body.path, ...body.args].join(' '),
    Hostname: hostname(),
    DaemonName: 'docker',
  };
  return template.replace(/\{\{\s*(.*?)\s*\}\}/g, (_whole, field: string) => {
    const value = field.startsWith('.') ? fields[field.slice(1)] : undefined;
    if (value === undefined) throw new EngineError('internal', `log tag: ${field} is no field of a container`);
    return value;
  });
}

/** @throws `internal` for a tag or pattern that cannot be used. */
export function checkLogDetails(container: Container): void {
  try {
    logDetails(container);
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError('internal', `error parsing regexp: ${(cause as Error).message}`, { cause });
  }
}

/** Go's url.QueryEscape. */
function escapeQuery(text: string): string {
  const escaped = encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return escaped.replaceAll('%20', '+');
}
