import { SyntaxFault } from '#dockerfile';
import { EngineError } from '#errdefs';
import { parseDigest } from '#oci';

export type SourceKind = 'local' | 'http' | 'git';

/** What a source of ADD is, told from its text as BuildKit tells it. */
export function sourceKind(source: string): SourceKind {
  if (/^(git|ssh):\/\/./.test(source) || /^[\w-]+@[\w.-]+:/.test(source) || source.startsWith('github.com/'))
    return 'git';
  if (!/^https?:\/\/./.test(source)) return 'local';
  return /^https?:\/\/[^#?]*\.git(#|$)/.test(source) ? 'git' : 'http';
}

/** `--checksum` of ADD. @throws SyntaxFault, EngineError `invalid-argument`: in BuildKit's words */
export function checkedSum(text: string, sources: readonly string[]): string {
  if (sources.length !== 1) throw new SyntaxFault("checksum can't be specified for multiple sources");
  if (sourceKind(sources[0]!) === 'local') throw new SyntaxFault('checksum requires HTTP(S) or Git sources');
  if (sourceKind(sources[0]!) === 'git') {
    if (!/^[0-9a-fA-F]{7,64}$/.test(text))
      throw new SyntaxFault(`invalid checksum ${JSON.stringify(text)} of a commit`);
    return text;
  }
  try {
    return parseDigest(text);
  } catch (error) {
    if (error instanceof EngineError) throw new SyntaxFault(error.message, { cause: error });
    throw error;
  }
}
