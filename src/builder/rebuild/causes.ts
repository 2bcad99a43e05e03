import { gunzipSync } from 'node:zlib';
import type { RebuildCause } from '#api-types';

/** Larger archives are named and not looked into. */
const maxInflatedBytes = 64 << 20;

/** Why a file most likely comes out differently, and what helps. */
export interface Guess {
  readonly cause?: RebuildCause;
  readonly hint?: string;
}

interface Contents {
  readonly path: string;
  readonly image: Buffer;
  readonly rebuilt: Buffer;
  /** Of the first byte that differs. */
  readonly offset: number;
  /** The command that wrote it. */
  readonly text: string;
}

/** Files that tools leave behind and that no image needs, by path. */
const leftovers: readonly (readonly [RegExp, string])[] = [
  [/^\/var\/log\//, 'a log: remove it in the command that writes it, rm -rf /var/log/*'],
  [
    /^\/var\/cache\/ldconfig\/aux-cache$/,
    'ldconfig notes inodes and times: rm /var/cache/ldconfig/aux-cache in the same command',
  ],
  [
    /^\/var\/lib\/apt\/lists\//,
    'what the package archive offered that day: rm -rf /var/lib/apt/lists/* in the same command',
  ],
  [
    /^\/var\/(cache\/(apt|debconf|man|fontconfig)|lib\/dpkg\/[^/]*-old$)/,
    'a cache of the package manager: remove it in the same command',
  ],
  [
    /^\/(root|home\/[^/]+)\/\.(cache|npm)\//,
    'a cache: remove it in the same command, or give it a RUN --mount=type=cache',
  ],
  [/^\/(var\/)?tmp\//, 'a temporary file: remove it in the command that makes it'],
];

const randomPlaces: readonly (readonly [RegExp, string])[] = [
  [
    /^\/(etc\/machine-id|var\/lib\/dbus\/machine-id)$/,
    'the ID of one machine: empty it, it is made at the first start',
  ],
  [
    /ssh_host_.*_key(\.pub)?$|\.(pem|key|crt|jks)$/,
    'a key or certificate: make it when the container starts, not in the image',
  ],
];

/** By how a file begins: what holds times that nobody sees. */
const formats: readonly { readonly is: (contents: Contents) => boolean; readonly guess: Guess }[] = [
  {
    is: ({ image, offset }) => image.readUInt16BE(0) === 0x1f8b && offset >= 4 && offset < 8,
    guess: { cause: 'clock', hint: 'the header of gzip holds the time: gzip -n' },
  },
  {
    is: ({ image }) => image.readUInt16BE(0) === 0x1f8b,
    guess: {
      hint: 'compressed: what is in it differs, often the times of packed files: tar --sort=name --mtime=@$SOURCE_DATE_EPOCH',
    },
  },
  {
    is: ({ path, offset }) => /\.py[co]$/.test(path) && offset >= 8 && offset < 16,
    guess: {
      cause: 'clock',
      hint: 'holds the time of its source: compile with python3 -m compileall, which goes by content when SOURCE_DATE_EPOCH is set',
    },
  },
  {
    is: ({ image }) => image.readUInt32BE(0) === 0x504b0304,
    guess: {
      cause: 'clock',
      hint: 'a zip holds the times of its files: give them one before, find … | xargs touch -d @$SOURCE_DATE_EPOCH',
    },
  },
  {
    is: ({ image, offset }) => image.toString('latin1', 257, 262) === 'ustar' && within(offset % 512, 136, 156),
    guess: { cause: 'clock', hint: 'a tar holds the times of its files: tar --sort=name --mtime=@$SOURCE_DATE_EPOCH' },
  },
  {
    is: ({ image }) => image.toString('latin1', 0, 8) === '!<arch>\n',
    guess: { cause: 'clock', hint: 'the archive holds times and owners of its members: ar with D, ranlib -D' },
  },
];

const within = (value: number, from: number, to: number) => value >= from && value < to;

export function causeOfContent(contents: Contents): Guess {
  const { path, image, rebuilt, text } = contents;
  const known = byPath(path);
  if (known) return known;
  if (/^\/etc\/shadow-?$/.test(path)) {
    return { cause: 'clock', hint: 'the day a password was set: chage -d 0 USER in the same command' };
  }
  const inside = inflated(contents);
  if (inside) return causeOfContent(inside);
  const short = Math.min(image.length, rebuilt.length) < 8;
  const format = short ? undefined : formats.find(({ is }) => is(contents));
  if (format) return format.guess;
  if (holdsTime(contents))
    return { cause: 'clock', hint: 'it holds the time of the build: take it from $SOURCE_DATE_EPOCH' };
  if (fetches(text)) return fetched;
  if (image.length === rebuilt.length || !isText(image)) {
    return { cause: 'random', hint: 'random bytes, or an order that is not fixed: seed it, or sort' };
  }
  return {};
}

/** What two gzip files hold, where that is what differs. */
function inflated(contents: Contents): Contents | undefined {
  const { path, image, rebuilt, offset } = contents;
  if (offset < 10 || ![image, rebuilt].every((bytes) => bytes.readUInt16BE(0) === 0x1f8b)) return undefined;
  try {
    const [one, other] = [gunzip(image), gunzip(rebuilt)];
    const at = firstDifference(one, other);
    const isSame = at === one.length && at === other.length;
    return isSame
      ? undefined
      : { ...contents, path: path.replace(/\.t?gz$/, ''), image: one, rebuilt: other, offset: at };
  } catch {
    return undefined;
  }
}

const gunzip = (bytes: Buffer) => gunzipSync(bytes, { maxOutputLength: maxInflatedBytes });

/** Where two files part. */
export function firstDifference(one: Buffer, other: Buffer): number {
  const length = Math.min(one.length, other.length);
  for (let at = 0; at < length; at++) if (one[at] !== other[at]) return at;
  return length;
}

/** A file that only one of the builds has. */
export function causeOfPresence(path: string, text: string, differing: readonly string[]): Guess {
  const known = byPath(path);
  if (known) return known;
  const folder = path.slice(1, path.lastIndexOf('/') + 1);
  const beside = differing.filter((other) => other.startsWith(folder) && !other.slice(folder.length).includes('/'));
  if (beside.length > 1 && beside.length % 2 === 0 && !fetches(text)) {
    return { cause: 'random', hint: 'its name is made up at random, or of the time: give it a fixed one' };
  }
  return fetches(text) ? fetched : {};
}

export function causeOfTime(path: string): Guess {
  return (
    byPath(path) ?? {
      cause: 'clock',
      hint: 'its time is set by hand, or by an archive that holds the time of the build',
    }
  );
}

const fetched: Guess = {
  cause: 'network',
  hint: 'the command fetches what may have changed since: name versions, or fetch by digest (ADD --checksum)',
};

function byPath(path: string): Guess | undefined {
  const left = leftovers.find(([pattern]) => pattern.test(path));
  if (left) return { cause: 'leftover', hint: left[1] };
  const random = randomPlaces.find(([pattern]) => pattern.test(path));
  return random && { cause: 'random', hint: random[1] };
}

function fetches(text: string): boolean {
  return /\b(curl|wget|apt(-get)?|apk|dnf|yum|pip3?|npm|yarn|pnpm|gem|cargo|go (get|mod|install)|git (clone|pull)|https?:)\b/.test(
    text,
  );
}

/** What dates look like: clocks, names of months, seconds since the epoch. */
const timePatterns = [
  /\d{1,2}:\d{2}(:\d{2})?/,
  /\b\d{4}[-/.]?\d{2}[-/.]?\d{2}\b/,
  /\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/,
  /\b1[6-9]\d{8}(\d{3}|\d{6}|\d{9})?\b/,
];

/** Both have a date around the place where they differ. */
function holdsTime({ image, rebuilt, offset }: Contents): boolean {
  const around = (bytes: Buffer) => bytes.toString('latin1', Math.max(0, offset - 32), offset + 24);
  return [image, rebuilt].every((bytes) => {
    const text = around(bytes);
    return timePatterns.some((pattern) => pattern.test(text));
  });
}

function isText(bytes: Buffer): boolean {
  return !bytes.subarray(0, 4096).some((byte) => byte === 0 || (byte < 32 && byte !== 9 && byte !== 10 && byte !== 13));
}
