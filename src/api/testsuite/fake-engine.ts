import type { Engine } from '#api-types';
import { EngineError } from '#errdefs';

/** What a fake does, by `part.method` (`images.list`, `build`). */
export type Script = Readonly<Record<string, (...args: never[]) => unknown>>;

export interface RecordedCall {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** An engine that does what a script says, records how it was called, and refuses the rest. */
export function fakeEngine(script: Script): { engine: Engine; calls: RecordedCall[] } {
  const calls: RecordedCall[] = [];
  const method =
    (name: string) =>
    (...args: unknown[]): unknown => {
      calls.push({ name, args });
      const run = script[name] as ((...args: unknown[]) => unknown) | undefined;
      if (run === undefined) throw new EngineError('not-implemented', `the script has no ${name}`);
      return run(...args);
    };
  const part = (prefix: string) => new Proxy({}, { get: (_, name) => method(`${prefix}.${String(name)}`) }) as never;
  const engine: Engine = {
    images: part('images'),
    containers: part('containers'),
    execs: part('execs'),
    networks: part('networks'),
    volumes: part('volumes'),
    system: part('system'),
    trash: part('trash'),
    build: method('build') as Engine['build'],
    buildListed: method('buildListed') as Engine['buildListed'],
    debugBuild: method('debugBuild') as Engine['debugBuild'],
    pruneBuildCache: method('pruneBuildCache') as Engine['pruneBuildCache'],
    [Symbol.asyncDispose]: async () => {},
  };
  return { engine, calls };
}
