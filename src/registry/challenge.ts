/** One challenge of a `WWW-Authenticate` header. Scheme and parameter names are in lower case. */
export interface Challenge {
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;
const space = /[ \t,]*/y;
const equals = /[ \t]*=[ \t]*/y;
const maxHeaderLength = 16 << 10;

/** RFC 9110 §11.6.1. What cannot be read ends the list; nothing is thrown. */
export function parseChallenges(header: string | undefined): readonly Challenge[] {
  if (!header || header.length > maxHeaderLength) return [];
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match) at = pattern.lastIndex;
    return match;
  };
  while (at < header.length) {
    take(space);
    const word = take(token)?.[0];
    if (word === undefined) break;
    const current = challenges.at(-1);
    if (current && take(equals)) {
      const value = take(quoted)?.[1]?.replace(/\\(.)/g, '$1') ?? take(token)?.[0];
      if (value === undefined) break;
      current.parameters.set(word.toLowerCase(), value);
    } else {
      challenges.push({ scheme: word.toLowerCase(), parameters: new Map() });
    }
  }
  return challenges;
}
