import type { StepReport } from '../executor/index.ts';
import type { VertexEvent } from '../solver/index.ts';
import type { BuildEvent } from './events.ts';
import { metadataVertex, ShownVertexes } from './shown-vertexes.ts';
import type { OnStatus, ShownVertex } from './types.ts';

/** Events of a build as states of the vertexes that a client of BuildKit shows. */
export class BuildWatch {
  readonly #tell: OnStatus;
  readonly #platform: string;
  /** Lookups of one image that several stages start from are one vertex. */
  readonly #lookups = new Map<string, number>();
  /** Images of which something came. */
  readonly #pulled = new Set<string>();
  #vertexes: ShownVertexes | undefined;

  /** @param platform put in front of names; empty where the build is for one */
  constructor(tell: OnStatus, platform: string) {
    this.#tell = tell;
    this.#platform = platform;
  }

  on(event: BuildEvent): void {
    switch (event.kind) {
      case 'planned':
        this.#vertexes = new ShownVertexes(event.plan, this.#platform);
        break;
      case 'image':
        this.#image(event);
        break;
      case 'checked':
        if (event.warnings.length > 0) {
          const { name, lines } = event.text;
          this.#tell({ kind: 'warnings', warnings: event.warnings, source: { name, text: lines.join('\n') } });
        }
        break;
      case 'graph':
        this.#tell({ kind: 'vertexes', vertexes: this.#vertexes!.list(event.graph, event.stages) });
        break;
      case 'vertex':
        this.#vertex(event.digest, event.event);
        break;
      case 'result':
        break;
      default:
        event satisfies never;
    }
  }

  /** First it is looked for, which is a vertex of its own; what is pulled belongs to its FROM. */
  #image(event: Extract<BuildEvent, { kind: 'image' }>): void {
    const lookup = metadataVertex(event.reference, this.#platform);
    const image = this.#vertexes!.image(event.reference, event.step);
    switch (event.state) {
      case 'started':
        this.#lookups.set(lookup.digest, (this.#lookups.get(lookup.digest) ?? 0) + 1);
        if (this.#lookups.get(lookup.digest) === 1) this.#begin(lookup);
        break;
      case 'progress':
        if (event.message.id === undefined || event.message.progressDetail === undefined) break;
        this.#beginPull(lookup, image);
        this.#tell({ kind: 'progress', digest: image.digest, message: event.message });
        break;
      case 'done':
        this.#looked(lookup);
        break;
      case 'failed':
        this.#tell({
          kind: 'failed',
          digest: this.#pulled.has(image.digest) ? image.digest : lookup.digest,
          error: event.error,
        });
        break;
      default:
        event satisfies never;
    }
  }

  #beginPull(lookup: ShownVertex, image: ShownVertex): void {
    if (this.#pulled.has(image.digest)) return;
    this.#pulled.add(image.digest);
    this.#looked(lookup);
    this.#begin(image);
  }

  #looked({ digest }: ShownVertex): void {
    const count = this.#lookups.get(digest);
    if (count === undefined) return;
    if (count > 1) {
      this.#lookups.set(digest, count - 1);
      return;
    }
    this.#lookups.delete(digest);
    this.#tell({ kind: 'done', digest });
  }

  #begin(vertex: ShownVertex): void {
    this.#tell({ kind: 'vertexes', vertexes: [vertex] });
    this.#tell({ kind: 'started', digest: vertex.digest });
  }

  #vertex(graphDigest: string, event: VertexEvent): void {
    const digest = this.#vertexes!.shownAs(graphDigest);
    if (digest === undefined) return;
    const isImage = this.#vertexes!.isImage(digest);
    switch (event.kind) {
      case 'started':
        if (!isImage || !this.#pulled.has(digest)) this.#tell({ kind: 'started', digest });
        break;
      case 'hit':
        this.#tell({ kind: 'cached', digest });
        break;
      case 'report':
        this.#report(digest, event.event as StepReport);
        break;
      case 'done':
        if (isImage && !this.#pulled.has(digest)) this.#tell({ kind: 'cached', digest });
        this.#tell({ kind: 'done', digest });
        break;
      case 'failed':
        this.#tell({ kind: 'failed', digest, error: event.error });
        break;
      case 'executing':
      case 'executed':
        break;
      default:
        event satisfies never;
    }
  }

  #report(digest: string, report: StepReport): void {
    if (report.kind === 'output') this.#tell({ kind: 'output', digest, stream: report.stream, data: report.data });
    else if (report.kind === 'progress') this.#tell({ kind: 'progress', digest, message: report.message });
  }
}
