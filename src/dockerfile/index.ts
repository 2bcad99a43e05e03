/** Dockerfile text to an AST with source ranges, variable expansion, what each instruction does to a configuration, and .dockerignore matching. Imports errdefs. */
export * from './ast.ts';
export { blamedWords } from './blame.ts';
export { envLookup, parseChanges } from './changes.ts';
export {
  type CheckedBase,
  type CheckFacts,
  type CheckOptions,
  type CheckWarning,
  checkArgument,
  checkDockerfile,
  checkOptionsOf,
} from './check/index.ts';
export {
  type ConfigChange,
  type ConfigFields,
  type ConfigInstruction,
  type ConfigScope,
  commandArgs,
  configChange,
  joinWorkdir,
  shellOf,
} from './config.ts';
export { cleanPath, IgnoreMatcher, parseDockerignore } from './dockerignore.ts';
export { formatDuration, parseDurationNs } from './duration.ts';
export { excerptOf, linesOf } from './excerpt.ts';
export { type ExpandOptions, expandWord, expandWords } from './expand.ts';
export { compileGoMatch, compileIgnorePattern, type Glob } from './glob.ts';
export { inlineText, parseHeredoc } from './heredoc.ts';
export type { Directives, ReadWarning } from './lines.ts';
export { LocationError, type SourceRange, SyntaxFault } from './location.ts';
export { mountFrom, parseMount, type RunMount } from './mounts.ts';
export { maxDockerfileBytes, parseDockerfile, parseInstruction } from './parse.ts';
export { exposedPorts } from './ports.ts';
export type { NameValue } from './statements.ts';
export { substitute } from './substitute.ts';
export { nearestName, suggestion } from './suggest.ts';
export { quote, quoteList } from './text.ts';
