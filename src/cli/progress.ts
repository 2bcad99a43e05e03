import type { ProgressMessage } from '#api-types';
import { humanSize } from './table.ts';

/**
 * Draws Docker's JSON progress stream: on a terminal one line per layer that is rewritten in place, elsewhere one line per change of state.
 * Answers the last `aux` value.
 */
export async function drawProgress(
  messages: AsyncIterable<ProgressMessage>,
  out: NodeJS.WriteStream,
  options: { quiet?: boolean } = {},
): Promise<unknown> {
  const draw = progressPainter(out, options);
  let aux: unknown;
  for await (const message of messages) {
    if (message.aux !== undefined) aux = message.aux;
    draw(message);
  }
  return aux;
}

/** Draws one message after the other. */
export function progressPainter(
  out: NodeJS.WriteStream,
  options: { quiet?: boolean } = {},
): (message: ProgressMessage) => void {
  const lines = new Map<string, number>();
  return (message) => {
    if (options.quiet || message.aux !== undefined) return;
    if (message.stream !== undefined) out.write(message.stream);
    else if (out.isTTY) drawInPlace(message, lines, out);
    else if (message.progress === undefined && message.progressDetail?.current === undefined)
      out.write(`${lineOf(message)}\n`);
  };
}

function drawInPlace(message: ProgressMessage, lines: Map<string, number>, out: NodeJS.WriteStream): void {
  if (message.id === undefined || message.id === '') {
    out.write(`${lineOf(message)}\n`);
    lines.clear();
    return;
  }
  const at = lines.get(message.id);
  if (at === undefined) {
    lines.set(message.id, lines.size);
    out.write(`${lineOf(message, out.columns)}\n`);
    return;
  }
  const up = lines.size - at;
  out.write(`\u001b[${up}A\u001b[2K\r${lineOf(message, out.columns)}\u001b[${up}B\r`);
}

function lineOf(message: ProgressMessage, columns = 200): string {
  const id = message.id ? `${message.id}: ` : '';
  return `${id}${message.status ?? ''}${progressBar(message, columns)}`;
}

function progressBar(message: ProgressMessage, columns: number): string {
  const { current = 0, total = 0 } = message.progressDetail ?? {};
  if (current <= 0 && total <= 0) return '';
  if (total <= 0) return ` ${humanSize(current, 4).padStart(8)}`;
  const done = Math.min(1, current / total);
  const cells = Math.floor(done * 50);
  const bar =
    columns > 110 ? `[${'='.repeat(cells)}${cells < 50 ? '>' : ''}${' '.repeat(Math.max(0, 49 - cells))}] ` : '';
  return ` ${bar} ${humanSize(current, 4).padStart(8)}/${humanSize(total, 4)}`;
}
