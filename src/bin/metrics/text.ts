/** The text format of Prometheus, version 0.0.4. */
export const contentType = 'text/plain; version=0.0.4; charset=utf-8';

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly Sample[];
}

export interface Sample {
  /** What follows the metric's name: `_sum`, `_count`, `_bucket`. */
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export function formatMetrics(metrics: readonly Metric[]): string {
  return metrics.map(formatMetric).join('');
}

function formatMetric({ name, help, type, samples }: Metric): string {
  const lines = samples.map(
    ({ suffix = '', labels = {}, value }) => `${name}${suffix}${formatLabels(labels)} ${value}\n`,
  );
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([key, value]) => `${key}="${value.replace(/[\\"\n]/g, (one) => escapes[one]!)}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Seconds, counted by how many they are. */
export class Histogram {
  readonly #labels: Readonly<Record<string, string>>;
  readonly #counts = bounds.map(() => 0);
  #count = 0;
  #sum = 0;

  constructor(labels: Readonly<Record<string, string>>) {
    this.#labels = labels;
  }

  add(seconds: number): void {
    this.#count++;
    this.#sum += seconds;
    for (const [at, bound] of bounds.entries()) if (seconds <= bound) this.#counts[at]!++;
  }

  samples(): Sample[] {
    const buckets = [
      ...bounds.map((bound, at) => [String(bound), this.#counts[at]!] as const),
      ['+Inf', this.#count] as const,
    ];
    return [
      ...buckets.map(([le, value]) => ({ suffix: '_bucket', labels: { ...this.#labels, le }, value })),
      { suffix: '_sum', labels: this.#labels, value: this.#sum },
      { suffix: '_count', labels: this.#labels, value: this.#count },
    ];
  }
}
