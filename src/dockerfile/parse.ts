import type { ArgInstruction, Dockerfile, FromInstruction, Instruction, Stage } from './ast.ts';
import { parseLine } from './instructions.ts';
import { type Line, readLines, type SourceLines } from './lines.ts';
import { LocationError, SyntaxFault } from './location.ts';

/** A Dockerfile larger than this is refused. */
export const maxDockerfileBytes = 16 << 20;

/**
 * Parses a whole Dockerfile. `name` is the path that messages show.
 * @throws LocationError (`invalid-argument`) in the words of Docker's classic builder.
 */
export function parseDockerfile(source: string | Uint8Array, options: { name?: string } = {}): Dockerfile {
  const name = options.name ?? 'Dockerfile';
  if (source.length === 0) throw firstLine(`the Dockerfile (${name}) cannot be empty`);
  if (source.length > maxDockerfileBytes) {
    throw firstLine(`the Dockerfile (${name}) is larger than ${maxDockerfileBytes} bytes`);
  }
  const read = readPrefixed(typeof source === 'string' ? source : Buffer.from(source).toString(), name);
  return { ...arrange(read), directives: read.directives, warnings: read.warnings };
}

/**
 * Parses the text of one instruction: an ONBUILD trigger, or a `--change`.
 * @throws LocationError with the bare reason.
 */
export function parseInstruction(text: string): Instruction {
  const read = readLines(text);
  if (read.lines.length !== 1) throw firstLine('onbuild trigger should be a single expression');
  return instructionOf(read.lines[0]!, read.directives.escape);
}

/** Parses instructions that stand outside any stage. @throws LocationError with the bare reason. */
export function parseInstructions(text: string): { keyword: string; parse: () => Instruction }[] {
  const read = readLines(text);
  return read.lines.map((line) => ({
    keyword: line.statement.keyword,
    parse: () => instructionOf(line, read.directives.escape),
  }));
}

function instructionOf(line: Line, escapeToken: string): Instruction {
  const instruction = located(line, escapeToken, '');
  if (instruction.kind === 'from') {
    throw new LocationError('FROM is not allowed here', line.range);
  }
  return instruction;
}

function firstLine(message: string): LocationError {
  return new LocationError(message, { startLine: 1, endLine: 1 });
}

function readPrefixed(text: string, name: string): SourceLines {
  try {
    return readLines(text);
  } catch (error) {
    if (!(error instanceof LocationError)) throw error;
    throw new LocationError(`failed to parse ${name}: ${error.fact}`, error.range, { fact: error.fact });
  }
}

function arrange(read: SourceLines): Pick<Dockerfile, 'metaArgs' | 'stages'> {
  const metaArgs: ArgInstruction[] = [];
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const line of read.lines) {
    const prefix = `dockerfile parse error on line ${line.range.startLine}: `;
    const instruction = located(line, read.directives.escape, prefix);
    if (instruction.kind === 'from') stages.push({ ...instruction, index: stages.length, instructions: [] });
    else if (stages.length > 0) stages.at(-1)!.instructions.push(instruction);
    else if (instruction.kind === 'arg') metaArgs.push(instruction);
    else throw new LocationError('no build stage in current context', line.range);
  }
  return { metaArgs, stages };
}

function located(line: Line, escapeToken: string, prefix: string): Instruction | FromInstruction {
  try {
    return parseLine(line, escapeToken);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw new LocationError(prefix + error.message, line.range, { fact: error.message });
  }
}
