import { fstatSync, writeSync } from 'node:fs';

/** Structured log lines on standard error. Imports nothing; a sink can be put in its place for tests and embedders. */

export const logLevels = ['debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof logLevels)[number];
export type Fields = Readonly<Record<string, unknown>>;
export type Sink = (line: { time: Date; level: LogLevel; message: string; fields: Fields }) => void;

let threshold = logLevels.indexOf('warn');
let sink: Sink = writeLogfmt;

/** Lines below `level` are dropped; `warn` until somebody says otherwise, so that a program that embeds the engine stays quiet. Process-wide. */
export function setLevel(level: LogLevel): void {
  threshold = logLevels.indexOf(level);
}

/** Replaces where lines go; returns the sink that was in place. */
export function setSink(next: Sink): Sink {
  const previous = sink;
  sink = next;
  return previous;
}

function emit(level: LogLevel, message: string, fields: Fields = {}): void {
  if (logLevels.indexOf(level) >= threshold) sink({ time: new Date(), level, message, fields });
}

export const log = {
  debug: (message: string, fields?: Fields) => emit('debug', message, fields),
  info: (message: string, fields?: Fields) => emit('info', message, fields),
  warn: (message: string, fields?: Fields) => emit('warn', message, fields),
  error: (message: string, fields?: Fields) => emit('error', message, fields),
} as const;

/** A sink: one object per line, under the names that Docker's daemon gives them. */
export function writeJson({ time, level, message, fields }: Parameters<Sink>[0]): void {
  const shown = Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? value.message : value]);
  const line = { ...Object.fromEntries(shown), level, msg: message, time: time.toISOString() };
  writeLine(`${JSON.stringify(line)}\n`);
}

function writeLogfmt(line: Parameters<Sink>[0]): void {
  let text = `time="${line.time.toISOString()}" level=${line.level} msg=${JSON.stringify(line.message)}`;
  for (const [key, value] of Object.entries(line.fields)) {
    text += ` ${key}=${value instanceof Error ? JSON.stringify(value.message) : JSON.stringify(value)}`;
  }
  writeLine(`${text}\n`);
}

const stderrFd = 2;
let isFile: boolean | undefined;

/** A line that finds no room in a file is lost, and later ones are not: a stream would fail the program, and take no line any more. */
function writeLine(text: string): void {
  isFile ??= fstatSync(stderrFd).isFile();
  if (!isFile) {
    process.stderr.write(text);
    return;
  }
  try {
    writeSync(stderrFd, text);
  } catch {}
}
