import type { Registry } from '../registry.ts';

/** Upper bounds of the times that answers take, in seconds. */
const bounds = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60] as const;

interface Timing {
  readonly counts: number[];
  sumSeconds: number;
  count: number;
}

/** Counts for `/metrics` (Prometheus text format 0.0.4). */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #timings = new Map<string, Timing>();
  readonly #startedMs = Date.now();

  observe(request: { method: string; kind: string; status: number; tookMs: number }): void {
    const { method, kind, status, tookMs } = request;
    const key = `method="${method}",kind="${kind}",code="${status}"`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
    let timing = this.#timings.get(kind);
    if (!timing) this.#timings.set(kind, (timing = { counts: bounds.map(() => 0), sumSeconds: 0, count: 0 }));
    const seconds = tookMs / 1000;
    timing.count++;
    timing.sumSeconds += seconds;
    const at = bounds.findIndex((bound) => seconds <= bound);
    if (at >= 0) timing.counts[at]!++;
  }

  text({ uploads, collector, scrub }: Registry): string {
    const { last } = scrub;
    const { rss } = process.memoryUsage();
    return [
      family('wherry_registry_requests_total', 'counter', 'Requests by method, kind and status.', [
        ...[...this.#requests].sort(([left], [right]) => (left < right ? -1 : 1)),
      ]),
      this.#histogram(),
      family('wherry_registry_uploads', 'gauge', 'Uploads in flight.', [['', uploads.size]]),
      family('wherry_registry_collected_blobs_total', 'counter', 'Blobs removed because nothing refers to them.', [
        ['', collector.total.blobs],
      ]),
      family('wherry_registry_collected_bytes_total', 'counter', 'Bytes of these.', [['', collector.total.bytes]]),
      family('wherry_registry_damaged_blobs', 'gauge', 'Blobs the last scrub found damaged or missing.', [
        ['', last?.damaged.length ?? 0],
      ]),
      family('process_resident_memory_bytes', 'gauge', 'Resident memory.', [['', rss]]),
      family('process_start_time_seconds', 'gauge', 'Start of the process.', [['', this.#startedMs / 1000]]),
    ].join('');
  }

  #histogram(): string {
    const name = 'wherry_registry_request_seconds';
    const lines = [...this.#timings].flatMap(([kind, { counts, sumSeconds, count }]) => {
      let below = 0;
      const buckets = bounds.map((bound, at) => {
        below += counts[at]!;
        return `${name}_bucket{kind="${kind}",le="${bound}"} ${below}`;
      });
      const all = `${name}_bucket{kind="${kind}",le="+Inf"} ${count}`;
      return [...buckets, all, `${name}_sum{kind="${kind}"} ${sumSeconds}`, `${name}_count{kind="${kind}"} ${count}`];
    });
    return `# HELP ${name} Time to answer.\n# TYPE ${name} histogram\n${lines.map((line) => `${line}\n`).join('')}`;
  }
}

function family(name: string, type: string, help: string, samples: readonly (readonly [string, number])[]): string {
  const lines = samples.map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

/** A few kinds, however many paths. */
export function kindOfPath(path: string): string {
  if (path.startsWith('/v2/')) {
    return /\/(blobs\/uploads|blobs|manifests|tags|referrers)(?:\/|$)/.exec(path)?.[1]?.replace('blobs/', '') ?? 'v2';
  }
  if (path.startsWith('/v1/')) return 'search';
  return path.startsWith('/wherry/') ? 'management' : 'page';
}
