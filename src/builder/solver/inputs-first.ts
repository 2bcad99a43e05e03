import type { Vertex } from './types.ts';

/** Every vertex that the targets stand on, themselves included, each once and after its inputs. A chain may be of any length: nothing here calls itself. */
export function inputsFirst<R>(targets: readonly Vertex<R>[]): readonly Vertex<R>[] {
  const ordered: Vertex<R>[] = [];
  const seen = new Set<string>();
  const path: { readonly vertex: Vertex<R>; next: number }[] = [];
  const enter = (vertex: Vertex<R>) => {
    if (seen.has(vertex.digest)) return;
    seen.add(vertex.digest);
    path.push({ vertex, next: 0 });
  };
  for (const target of targets) {
    enter(target);
    for (let at = path.at(-1); at; at = path.at(-1)) {
      const input = at.vertex.inputs[at.next++];
      if (input) enter(input);
      else ordered.push(path.pop()!.vertex);
    }
  }
  return ordered;
}
