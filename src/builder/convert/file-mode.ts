import { SyntaxFault } from '#dockerfile';

/** Answers the mode a file or folder gets from the one it has. */
export type ModeChange = (mode: number, isFolder: boolean) => number;

const maxMode = 0o7777;
const who = { u: 6, g: 3, o: 0 } as const;
type Who = keyof typeof who;
const everyone: readonly Who[] = ['u', 'g', 'o'];
const execute = 0o111;

/**
 * `--chmod`, octal or symbolic (`u+x,go-w`), as BuildKit reads it: without a umask, and a `t` only where the owner is meant.
 * @throws SyntaxFault in its words
 */
export function parseModeChange(text: string): ModeChange {
  if (/^\d/.test(text)) return octal(text);
  const changes = text.split(',').map(clause);
  return (mode, isFolder) => changes.reduce((now, change) => change(now, isFolder), mode);
}

/** The mode of an octal `--chmod`, which folders that are made on the way get as well; a symbolic one has none for them. */
export function octalMode(text: string): number | undefined {
  return /^\d/.test(text) ? octal(text)(0, true) : undefined;
}

function octal(text: string): ModeChange {
  const mode = /^[0-7]{1,22}$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if (!(mode <= maxMode)) {
    throw new SyntaxFault(`invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`);
  }
  return () => mode;
}

function clause(text: string): ModeChange {
  const match = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/.exec(text);
  if (!match) throw new SyntaxFault('invalid syntax');
  const [, subjects, actions] = match as unknown as [string, string, string];
  const targets = subjects === '' || subjects.includes('a') ? everyone : [...new Set([...subjects] as Who[])];
  const steps = [...actions.matchAll(/([-+=])([ugorwxXst]*)/g)].map(([, operator, what]) =>
    step(targets, operator!, what!),
  );
  return (mode, isFolder) => steps.reduce((now, change) => change(now, isFolder), mode);
}

function step(targets: readonly Who[], operator: string, what: string): ModeChange {
  return (mode, isFolder) => {
    const bits = targets.reduce((all, target) => all | bitsOf(target, what, mode, isFolder), 0);
    if (operator === '-') return mode & ~bits;
    if (operator === '+') return mode | bits;
    const cleared = targets.reduce((all, target) => all | (0o7 << who[target]) | setID(target), 0);
    return (mode & ~cleared) | bits;
  };
}

function bitsOf(target: Who, what: string, mode: number, isFolder: boolean): number {
  const place = (permissions: number) => permissions << who[target];
  if (what === 'u' || what === 'g' || what === 'o') return place((mode >> who[what]) & 0o7);
  let bits = 0;
  for (const letter of what) {
    if (letter === 'r') bits |= place(0o4);
    else if (letter === 'w') bits |= place(0o2);
    else if (letter === 'x' || (letter === 'X' && (isFolder || (mode & execute) !== 0))) bits |= place(0o1);
    else if (letter === 's') bits |= setID(target);
    else if (letter === 't' && target === 'u') bits |= 0o1000;
  }
  return bits;
}

function setID(target: Who): number {
  return target === 'u' ? 0o4000 : target === 'g' ? 0o2000 : 0;
}
