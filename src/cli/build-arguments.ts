/** `NAME=VALUE`; what has no `=` is a name without a value. */
export function splitPair(line: string): [string, string] {
  const at = line.indexOf('=');
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
}

/** `--build-arg NAME` takes the client's own value; so does SOURCE_DATE_EPOCH without being asked for, as with buildx. */
export function buildArgs(
  lines: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string | null> {
  const epoch = environment['SOURCE_DATE_EPOCH'];
  const given = Object.fromEntries(
    lines.map((line): [string, string | null] => {
      const [name, value] = splitPair(line);
      return [name, line.includes('=') ? value : (environment[name] ?? null)];
    }),
  );
  return { ...(epoch === undefined ? {} : { SOURCE_DATE_EPOCH: epoch }), ...given };
}
