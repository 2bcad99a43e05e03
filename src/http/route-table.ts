export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'OPTIONS' | 'PATCH';

/** `/images/{name:.*}/json`: `{x}` takes one segment, `{x:.*}` and `{x:.+}` any characters, slashes too. */
export interface Route<T> {
  readonly method: Method;
  readonly pattern: string;
  readonly target: T;
}

export interface RouteMatch<T> {
  readonly route: Route<T>;
  readonly params: Readonly<Record<string, string>>;
}

interface Compiled<T> {
  readonly route: Route<T>;
  readonly expression: RegExp;
}

/** Routes in order of registration: the first that fits wins, so literal paths go before wide patterns. The first segment of a pattern is literal. */
export class RouteTable<T> {
  /** By method and first segment: what few of the many routes a path has to be held against. */
  readonly #groups = new Map<string, Compiled<T>[]>();

  constructor(routes: readonly Route<T>[]) {
    for (const route of routes) {
      const key = groupOf(route.method, route.pattern);
      if (key.includes('{')) throw new Error(`route ${route.pattern}: its first segment is no literal`);
      const compiled = { route, expression: compile(route.pattern) };
      const group = this.#groups.get(key);
      if (group) group.push(compiled);
      else this.#groups.set(key, [compiled]);
    }
  }

  /** `path` is already decoded. */
  find(method: string, path: string): RouteMatch<T> | undefined {
    for (const { route, expression } of this.#groups.get(groupOf(method, path)) ?? []) {
      const match = expression.exec(path);
      if (match) return { route, params: { ...match.groups } };
    }
    return undefined;
  }
}

function groupOf(method: string, path: string): string {
  const end = path.indexOf('/', 1);
  return `${method} ${end < 0 ? path : path.slice(0, end)}`;
}

function compile(pattern: string): RegExp {
  const source = pattern
    .split(/(\{[^}]+\})/)
    .map((part) => {
      const name = /^\{([A-Za-z]+)(?::(\.[*+]))?\}$/.exec(part);
      if (!name) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      return `(?<${name[1]}>${name[2] ?? '[^/]+'})`;
    })
    .join('');
  return new RegExp(`^${source}$`, 's');
}

/** A request target taken apart. */
export interface Target {
  /** Decoded. */
  readonly path: string;
  /** Without `?`, still encoded. */
  readonly query: string;
  /** `1.47` for `/v1.47/…`; undefined when the path names none. */
  readonly version: string | undefined;
  /** Set when the path has empty or dot segments: where Go's mux sends such a client. */
  readonly cleaned: string | undefined;
}

/** Splits `/v1.51/images/json?all=1`. Undefined for a broken escape. */
export function parseTarget(url: string): Target | undefined {
  const at = url.indexOf('?');
  const encoded = pathOf(at < 0 ? url : url.slice(0, at));
  const query = at < 0 ? '' : url.slice(at + 1);
  let path = encoded;
  try {
    if (encoded.includes('%')) path = decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
  const clean = hasOddSegments.test(encoded) ? cleanPath(encoded) : encoded;
  const cleaned = clean === encoded ? undefined : clean + (at < 0 ? '' : `?${query}`);
  const version = path.startsWith('/v') ? /^\/v([0-9.]+)(\/.*)$/s.exec(path) : null;
  return version
    ? { path: version[2]!, query, version: version[1], cleaned }
    : { path, query, version: undefined, cleaned };
}

/** A proxy's client names the host as well. */
function pathOf(target: string): string {
  if (target.startsWith('/')) return target;
  return target.replace(/^https?:\/\/[^/]*/, '') || '/';
}

/** Empty segments, `.` and `..`, or no slash in front. */
const hasOddSegments = /^[^/]|\/(?:\/|\.{1,2}(?:\/|$))/;

function cleanPath(path: string): string {
  const kept: string[] = [];
  const parts = path.split('/').slice(1);
  for (const part of parts) {
    if (part === '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  const last = parts.at(-1);
  const slash = kept.length > 0 && (last === '' || last === '.' || last === '..') ? '/' : '';
  return `/${kept.join('/')}${slash}`;
}
