import { SyntaxFault } from '../location.ts';
import { quote } from '../text.ts';

/** What `# check=skip=A,B;experimental=C;error=true` says. */
export interface CheckOptions {
  readonly skip: 'all' | ReadonlySet<string>;
  readonly experimental: 'all' | ReadonlySet<string>;
  /** A warning fails the build. */
  readonly error: boolean;
}

/** BuildKit reads no more than three, the rest belongs to the third. */
const maxOptions = 3;

/** @throws SyntaxFault in BuildKit's words */
export function parseCheckOptions(text: string): CheckOptions {
  const options = { skip: names(''), experimental: names(''), error: false };
  if (text.trim() === '') return options;
  const parts = text.trim().split(';');
  for (const part of [...parts.slice(0, maxOptions - 1), parts.slice(maxOptions - 1).join(';')].slice(
    0,
    parts.length,
  )) {
    const equals = part.indexOf('=');
    if (equals < 0) throw new SyntaxFault(`failed to parse check options: invalid check option ${quote(part)}`);
    const key = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim();
    if (key === 'skip' || key === 'experimental') options[key] = value === 'all' ? 'all' : names(value);
    else if (key === 'error') options.error = truth(value, part);
    else throw new SyntaxFault(`failed to parse check options: invalid check option ${quote(key)}`);
  }
  return options;
}

function names(text: string): CheckOptions['skip'] {
  return new Set(text.split(',').map((name) => name.trim()));
}

function truth(value: string, part: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
  const fact = `strconv.ParseBool: parsing ${quote(value)}: invalid syntax`;
  throw new SyntaxFault(`failed to parse check options: failed to parse check option ${quote(part)}: ${fact}`);
}
