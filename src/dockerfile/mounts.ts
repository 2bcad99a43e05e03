import { SyntaxFault } from './location.ts';
import { didYouMean } from './suggest.ts';
import { quote } from './text.ts';

const mountTypes = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
const sharingModes = ['shared', 'private', 'locked'] as const;
type MountType = (typeof mountTypes)[number];

/** One `RUN --mount=…`, checked. Which fields mean something depends on the type. */
export interface RunMount {
  readonly type: MountType;
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** tmpfs; 0 is no limit. */
  readonly sizeBytes: number;
  readonly cacheID: string;
  readonly sharing: '' | (typeof sharingModes)[number];
  readonly required: boolean;
  /** Name of the variable a secret goes into; empty is the secret's own name. */
  readonly env?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

type Draft = { -readonly [K in keyof RunMount]: RunMount[K] } & { readOnlySet: boolean };

const keys = [
  ...['type', 'from', 'source', 'target', 'readonly', 'id', 'sharing', 'required', 'size', 'mode', 'uid', 'gid'],
  ...['src', 'dst', 'destination', 'ro', 'rw', 'readwrite', 'env'],
];

/**
 * Reads `type=cache,target=/x,…`. Without `expand` only what cannot hold a variable is checked.
 * @throws SyntaxFault with BuildKit's words.
 */
export function parseMount(text: string, expand?: (word: string) => string): RunMount {
  const draft: Draft = {
    type: 'bind',
    from: '',
    source: '',
    target: '',
    readOnly: false,
    readOnlySet: false,
    sizeBytes: 0,
    cacheID: '',
    sharing: '',
    required: false,
  };
  for (const field of csvFields(text)) {
    const equals = field.indexOf('=');
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals < 0 ? undefined : field.slice(equals + 1);
    if (!expand) checkFrom(key, value);
    else if (value === undefined) setBare(draft, key, field);
    else setField(draft, key, expand(value), field);
  }
  if (expand) checkMount(draft);
  const { readOnlySet, ...mount } = draft;
  if (!readOnlySet) mount.readOnly = mount.type !== 'cache' && mount.type !== 'tmpfs';
  return mount;
}

/** The `from` of a mount as written; empty when it has none. */
export function mountFrom(text: string): string {
  const field = csvFields(text).findLast((item) => /^from=/i.test(item));
  return field?.slice('from='.length) ?? '';
}

function checkFrom(key: string, value: string | undefined): void {
  const dollar = key === 'from' ? (value?.indexOf('$') ?? -1) : -1;
  if (dollar >= 0 && dollar !== value!.length - 1) {
    throw new SyntaxFault("'from' doesn't support variable expansion, define alias stage instead");
  }
}

function setBare(draft: Draft, key: string, field: string): void {
  if (key === 'readonly' || key === 'ro') setAccess(draft, true);
  else if (key === 'readwrite' || key === 'rw') setAccess(draft, false);
  else if (key === 'required') setRequired(draft, true);
  else throw new SyntaxFault(`invalid field '${field}' must be a key=value pair`);
}

function setAccess(draft: Draft, readOnly: boolean): void {
  draft.readOnly = readOnly;
  draft.readOnlySet = true;
}

function setRequired(draft: Draft, required: boolean): void {
  if (draft.type !== 'secret' && draft.type !== 'ssh') throw unexpectedFor('required', draft.type);
  draft.required = required;
}

function setField(draft: Draft, key: string, value: string, field: string): void {
  switch (key) {
    case 'type':
      draft.type = oneOf(value, mountTypes, 'mount type');
      return;
    case 'from':
      draft.from = value;
      return;
    case 'source':
    case 'src':
      draft.source = value;
      return;
    case 'target':
    case 'dst':
    case 'destination':
      draft.target = value;
      return;
    case 'readonly':
    case 'ro':
      setAccess(draft, bool(key, value));
      return;
    case 'readwrite':
    case 'rw':
      setAccess(draft, !bool(key, value));
      return;
    case 'required':
      setRequired(draft, bool(key, value));
      return;
    case 'size':
      if (draft.type !== 'tmpfs') throw unexpectedFor(key, draft.type);
      draft.sizeBytes = sizeBytes(key, value);
      return;
    case 'id':
      draft.cacheID = value;
      return;
    case 'sharing':
      draft.sharing = oneOf(value, sharingModes, 'sharing value');
      return;
    case 'mode':
      draft.mode = integer(value, /^[0-7]{1,11}$/, 8, 'mode');
      return;
    case 'uid':
    case 'gid':
      draft[key] = integer(value, /^\d{1,10}$/, 10, key);
      return;
    case 'env':
      draft.env = value;
      return;
    default:
      throw new SyntaxFault(`unexpected key '${key}' in '${field}'${didYouMean(key, keys)}`);
  }
}

function oneOf<T extends string>(value: string, allowed: readonly T[], what: string): T {
  const found = allowed.find((item) => item === value.toLowerCase());
  if (!found) throw new SyntaxFault(`unsupported ${what} ${quote(value)}${didYouMean(value, allowed)}`);
  return found;
}

function bool(key: string, value: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw new SyntaxFault(`invalid value for ${key}: ${value}`);
}

function integer(value: string, shape: RegExp, base: number, what: string): number {
  const number = shape.test(value) ? Number.parseInt(value, base) : Number.NaN;
  if (!(number <= 0xffffffff)) throw new SyntaxFault(`invalid value ${value} for ${what}`);
  return number;
}

function sizeBytes(key: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(value);
  if (!match) throw new SyntaxFault(`invalid value for ${key}: ${value}`);
  const power = ['', 'k', 'm', 'g', 't', 'p'].indexOf(match[2]!.toLowerCase());
  return Math.floor(Number(match[1]) * 1024 ** power);
}

function unexpectedFor(key: string, type: MountType): SyntaxFault {
  return new SyntaxFault(`unexpected key '${key}' for mount type '${type}'`);
}

function checkMount(draft: Draft): void {
  const { type } = draft;
  if (type === 'bind' || type === 'tmpfs') {
    for (const key of ['mode', 'uid', 'gid'] as const) {
      if (draft[key] !== undefined) throw new SyntaxFault(`${key} not allowed for "${type}" type mounts`);
    }
  }
  if (type === 'secret') checkSecret(draft);
  if (draft.sharing !== '' && type !== 'cache') {
    throw new SyntaxFault(`invalid cache sharing set for ${type} mount`);
  }
}

function checkSecret(draft: Draft): void {
  if (draft.from !== '') throw new SyntaxFault('secret mount should not have a from');
  if (draft.sharing !== '') throw new SyntaxFault('secret mount should not define sharing');
  if (draft.source === '' && draft.target === '' && draft.cacheID === '') {
    throw new SyntaxFault('invalid secret mount. one of source, target required');
  }
  if (draft.source !== '' && draft.cacheID !== '') throw new SyntaxFault("both source and id can't be set");
}

/** One CSV record: fields may be quoted whole, with `""` for a quote inside. */
function csvFields(text: string): string[] {
  const fields: string[] = [];
  let rest = text;
  while (true) {
    const quoted = /^"((?:[^"]|"")*)"(,|$)/.exec(rest);
    const plain = quoted ? undefined : /^([^",]*)(,|$)/.exec(rest);
    const match = quoted ?? plain;
    if (!match) throw new SyntaxFault(`failed to parse csv mounts: a quote is out of place in ${quote(text)}`);
    fields.push(quoted ? match[1]!.replaceAll('""', '"') : match[1]!);
    if (match[2] === '') return fields;
    rest = rest.slice(match[0].length);
  }
}
