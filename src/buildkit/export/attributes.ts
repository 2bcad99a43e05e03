import type { Compression } from '#diff';
import { EngineError } from '#errdefs';
import { parseReference, type Reference } from '#reference';

/** The attributes of one exporter. Each is asked for once; what is left over is refused by its name. */
export class ExportAttributes {
  readonly #exporter: string;
  readonly #left: Map<string, string>;

  constructor(exporter: string, attributes: Readonly<Record<string, string>>) {
    this.#exporter = exporter;
    this.#left = new Map(Object.entries(attributes));
  }

  text(name: string): string | undefined {
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value;
  }

  /** As Go reads them. Left empty it is true. @throws `invalid-argument` */
  flag(name: string): boolean | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    if (value === '' || /^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
    if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
    throw new EngineError('invalid-argument', `non-bool value for ${name}: ${value}`);
  }

  /** @throws `invalid-argument` */
  references(): readonly Reference[] {
    const names = (this.text('name') ?? '').split(',').filter((name) => name !== '' && name !== '*');
    return names.map(parseReference);
  }

  /** Whether layers that came in another form are to be compressed anew. */
  forcesCompression(): boolean {
    return this.flag('force-compression') ?? false;
  }

  /** Undefined where nothing is said, `none` where layers stay as they are. @throws `not-implemented`, `invalid-argument` */
  compression(): Compression | 'none' | undefined {
    const format = this.text('compression');
    const level = this.text('compression-level');
    if (format === undefined && level === undefined) return undefined;
    if (format === 'uncompressed') return 'none';
    if (format !== undefined && format !== 'gzip' && format !== 'zstd') {
      if (format === 'estargz') throw new EngineError('not-implemented', `compression ${format} is not supported`);
      throw new EngineError('invalid-argument', `unsupported layer compression type ${format}`);
    }
    if (level === undefined) return { format: format ?? 'gzip' };
    const highest = format === 'zstd' ? 22 : 9;
    const number = Number(level);
    if (!/^\d+$/.test(level) || number > highest) {
      throw new EngineError('invalid-argument', `compression-level ${level}: not a number from 0 to ${highest}`);
    }
    return { format: format ?? 'gzip', level: number };
  }

  /** @throws `not-implemented` for the first that nobody asked for */
  end(): void {
    for (const name of this.#left.keys()) {
      throw new EngineError('not-implemented', `exporter ${this.#exporter}: the attribute ${name} is not supported`);
    }
  }
}
