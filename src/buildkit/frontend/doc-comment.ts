/** `# NAME says what it is for` on the lines above a statement that defines NAME; undefined where there is no such comment. */
export function docComment(lines: readonly string[], startLine: number, name: string): string | undefined {
  const found: string[] = [];
  for (let at = startLine - 2; at >= 0; at--) {
    const [, comment] = /^\s*#\s?(.*)$/.exec(lines[at]!) ?? [];
    if (comment === undefined) break;
    found.unshift(comment.trim());
  }
  const first = found.findIndex((line) => line.toLowerCase().startsWith(`${name.toLowerCase()} `));
  if (first < 0 || name === '') return undefined;
  return [found[first]!.slice(name.length + 1).trim(), ...found.slice(first + 1)].join('\n');
}
