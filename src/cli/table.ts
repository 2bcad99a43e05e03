/** Narrower columns are as wide as this, gap included. */
const minColumnWidth = 10;
const gap = 3;

/** Rows under a header, columns three spaces apart, as Docker's tables. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { minWidth = minColumnWidth } = {},
): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) =>
    Math.max(minWidth, ...all.map((row) => displayWidth(row[column] ?? '') + gap)),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell + ' '.repeat(widths[column]! - displayWidth(cell)),
        )
        .join(''),
    )
    .map((line) => `${line}\n`)
    .join('');
}

const displayWidth = (text: string) => [...text].length;

/** `1.98MB`: decimal units, three significant digits, as Docker prints sizes. */
export function humanSize(bytes: number, digits = 3): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < names.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(digits))}${names[unit]}`;
}

/** `1.5MiB`: binary units, four significant digits, as Docker prints memory. */
export function binarySize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < names.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${names[unit]}`;
}

/** Cut to `limit` characters with an ellipsis in the last place. */
export function ellipsis(text: string, limit: number): string {
  const characters = [...text];
  return characters.length <= limit ? text : `${characters.slice(0, limit - 1).join('')}…`;
}

const minute = 60;
const hour = 3600;

/** How long ago, in Docker's words: `5 minutes`, `About an hour`. */
export function humanAge(createdSeconds: number, nowMs = Date.now()): string {
  const seconds = Math.floor(nowMs / 1000) - createdSeconds;
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < minute) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / minute);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / hour);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 14) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 60) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 730) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

export function shortID(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}
