import { hostname } from 'node:os';
import { EngineError } from '#errdefs';
import type { Container } from './container.ts';

/** What `--details` puts before each line: the attributes that log options ask for, as dockerd writes them. Empty without any. */
export function logDetails(container: Container): string {
  return Object.entries(logAttributes(container))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${escapeQuery(key)}=${escapeQuery(value)}`)
    .join(',');
}

/** Labels and variables that log options choose, and the tag. A syslog server is told no attributes, and what is kept of it has none. */
export function logAttributes(container: Container): Readonly<Record<string, string>> {
  const { Type: driver } = container.body.hostConfig.LogConfig ?? {};
  if (driver === 'syslog') return {};
  const options = container.body.hostConfig.LogConfig?.Config ?? {};
  const labels = container.body.config.Labels ?? {};
  const env = Object.fromEntries(
    (container.body.config.Env ?? []).map((item) => {
      const at = item.indexOf('=');
      return at < 0 ? [item, ''] : [item.slice(0, at), item.slice(at + 1)];
    }),
  );
  return {
    ...chosen(labels, options['labels'], options['labels-regex']),
    ...chosen(env, options['env'], options['env-regex']),
    ...(options['tag'] && driver !== 'journald' ? { tag: expandTag(container, options['tag']) } : {}),
  };
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
export function expandTag(container: Container, template: string): string {
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
  const fail = (message: string): never => {
    throw new EngineError('internal', message);
  };
  if (/\{\{(?!.*\}\})/s.test(template)) fail('template: log-tag:1: unclosed action');
  return template.replace(/\{\{\s*(.*?)\s*\}\}/g, (_whole, field: string, at: number) => {
    if (!/^\.\w+$/.test(field)) return fail(`log tag: ${field} is no field of a container`);
    const place = `template: log-tag:1:${template.indexOf(field, at)}: executing "log-tag" at <${field}>`;
    return fields[field.slice(1)] ?? fail(`${place}: can't evaluate field ${field.slice(1)} in type *logger.Info`);
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
