/**
 * Shapes of JSON, written in JSON (`api-shapes.json`): `"string|null"` names types and `"any"` all of them, `[x]` is a list of x, `[x, "null"]` is
 * either, an object has exactly its keys (`key?` may be missing, `*` stands for any key), `"$name"` is another shape.
 */
export type Shape = string | readonly Shape[] | { readonly [key: string]: Shape };
export type Shapes = Readonly<Record<string, Shape>>;

/** What is wrong with a value, one line each; nothing when it fits. */
export function faultsOf(value: unknown, shape: Shape, shapes: Shapes, path = ''): string[] {
  const within = (inner: unknown, expected: Shape, at: string) => faultsOf(inner, expected, shapes, `${path}${at}`);
  if (typeof shape === 'string') {
    if (shape.startsWith('$')) return within(value, shapes[shape.slice(1)]!, '');
    const is = value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;
    return shape === 'any' || shape.split('|').includes(is) ? [] : [`${path}: ${is}, not ${shape}`];
  }
  if (isList(shape)) {
    if (shape.length > 1) {
      const tries = shape.map((one) => within(value, one, ''));
      return tries.find((faults) => faults.length === 0) ?? tries[0]!;
    }
    if (!Array.isArray(value)) return [`${path}: not a list`];
    return value.flatMap((one, at) => within(one, shape[0]!, `[${at}]`));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${path}: not an object`];
  return objectFaults(value, shape, path, within);
}

function objectFaults(
  value: object,
  shape: { readonly [key: string]: Shape },
  path: string,
  within: (inner: unknown, shape: Shape, at: string) => string[],
): string[] {
  const missing = Object.keys(shape).filter((key) => key !== '*' && !key.endsWith('?') && !(key in value));
  return [
    ...missing.map((key) => `${path}.${key}: missing`),
    ...Object.entries(value).flatMap(([key, inner]) => {
      const expected = shape[key] ?? shape[`${key}?`] ?? shape['*'];
      return expected === undefined ? [`${path}.${key}: unknown`] : within(inner, expected, `.${key}`);
    }),
  ];
}

const isList = (shape: Shape): shape is readonly Shape[] => Array.isArray(shape);
