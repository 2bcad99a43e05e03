import type { FileSources, InlineFile, Instruction } from './ast.ts';
import { inlineText } from './heredoc.ts';

type Expand = (word: string) => string;

/**
 * The instruction with its variables put in, where Docker puts them in: not in commands (the shell's matter), FROM and ONBUILD. EXPOSE expands to
 * words when it is applied. `expandInline` is for heredoc bodies, where quotes mean nothing.
 * @throws SyntaxFault
 */
export function substitute(instruction: Instruction, expand: Expand, expandInline: Expand = expand): Instruction {
  switch (instruction.kind) {
    case 'env':
    case 'label':
      if (instruction.kind === 'label' && instruction.literal) return instruction;
      return {
        ...instruction,
        pairs: instruction.pairs.map((pair) => ({ ...pair, name: expand(pair.name), value: expand(pair.value) })),
      };
    case 'add':
      return {
        ...instruction,
        ...sources(instruction, expand, expandInline),
        checksum: expand(instruction.checksum),
      };
    case 'copy':
      return { ...instruction, ...sources(instruction, expand, expandInline) };
    case 'workdir':
      return { ...instruction, path: expand(instruction.path) };
    case 'user':
      return { ...instruction, user: expand(instruction.user) };
    case 'volume':
      return { ...instruction, volumes: instruction.volumes.map(expand) };
    case 'stopsignal':
      return { ...instruction, signal: expand(instruction.signal) };
    case 'arg':
      return {
        ...instruction,
        definitions: instruction.definitions.map((arg) => ({
          ...arg,
          name: expand(arg.name),
          ...(arg.value === undefined ? {} : { value: expand(arg.value) }),
        })),
      };
    case 'cmd':
    case 'entrypoint':
    case 'expose':
    case 'healthcheck':
    case 'maintainer':
    case 'onbuild':
    case 'run':
    case 'shell':
      return instruction;
    default:
      return instruction satisfies never;
  }
}

function sources(files: FileSources, expand: Expand, expandInline: Expand) {
  return {
    sources: files.sources.map(expand),
    destination: expand(files.destination),
    chown: expand(files.chown),
    chmod: expand(files.chmod),
    excludes: files.excludes,
    inline: files.inline.map(
      (file): InlineFile =>
        file.expand ? { ...file, content: expandInline(inlineText(file)), chomp: false, expand: false } : file,
    ),
  };
}
