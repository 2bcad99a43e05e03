import { contextName, namedVertex } from '#builder';
import { parseDockerignore } from '#dockerfile';
import { EngineError } from '#errdefs';
import type { Definition } from '../proto/ops_pb.ts';
import { imageOfDefinition } from '../result-definition.ts';
import { clientFolder } from '../session/client-folder.ts';
import type { FolderHolder } from '../session/client-session.ts';
import { readFiles } from '../session/synced-folder.ts';
import type { VertexStatus } from '../status/vertex-status.ts';
import type { BuildFiles } from '../types.ts';

const maxIgnoreBytes = 16 << 20;

/** `--build-context`, as clients write it into an attribute. @throws `invalid-argument`, `not-implemented` */
export async function namedFiles(
  { name, text, inputs }: { name: string; text: string; inputs: Readonly<Record<string, Definition>> },
  holderOf: FolderHolder,
  { signal, status }: { signal: AbortSignal; status: VertexStatus },
): Promise<BuildFiles | { kind: 'image'; reference: string }> {
  const [, kind = '', what = ''] = /^([^:]*):(.*)$/s.exec(text) ?? [];
  switch (kind) {
    case 'docker-image':
      return { kind: 'image', reference: what.replace(/^\/\//, '') };
    case 'input':
      return { kind: 'image', reference: inputOf(inputs[what], what, name) };
    case 'git':
    case 'http':
    case 'https':
      return { kind: 'remote', url: text, keepsGit: false };
    case 'local': {
      const session = await holderOf(what);
      const ignore = await readFiles(
        session,
        { name: what, followPaths: ['.dockerignore'] },
        { limitBytes: maxIgnoreBytes, signal },
      );
      const excludes = parseDockerignore(ignore.get('.dockerignore') ?? '');
      const loading = status.later(namedVertex(`[context ${name}] load from client`), `transferring ${name}:`);
      return { kind: 'folder', folder: clientFolder(session, { name: what, excludes }, loading) };
    }
    default:
      if (/^git@/.test(text)) return { kind: 'remote', url: text, keepsGit: false };
      throw new EngineError('not-implemented', `unsupported context source ${kind} for ${contextName(name)}`);
  }
}

/** The result of another build of the same client. */
function inputOf(definition: Definition | undefined, input: string, name: string): string {
  if (!definition) throw new EngineError('invalid-argument', `invalid input ${input} for ${name}`);
  return imageOfDefinition(definition);
}
