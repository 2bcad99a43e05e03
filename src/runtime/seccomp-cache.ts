import { readFileSync } from 'node:fs';
import { isErrno } from '#errdefs';
import type { OciSpec } from './spec.ts';

const annotation = 'run.oci.seccomp_bpf_data';
/** Distinct profiles come from distinct capability sets: a handful on any machine. */
const limit = 64;

/**
 * Compiling the default profile costs crun more than the rest of a create. It leaves the compiled filter beside a container's
 * state and takes one back by annotation, so each profile is compiled once in a daemon's life. The profile stays in the
 * spec: a crun that does not know the annotation compiles it as ever.
 */
export class SeccompCache {
  readonly #filters = new Map<string, string>();

  /** The spec with the filter for its profile, when it is known. */
  apply(spec: OciSpec): OciSpec {
    const filter = spec.linux.seccomp && this.#filters.get(keyOf(spec));
    if (filter === undefined) return spec;
    return { ...spec, annotations: { ...spec.annotations, [annotation]: filter } };
  }

  /** Remembers what crun made of a spec that {@link apply} could not help; `path` is its `seccomp.bpf`. */
  learn(spec: OciSpec, path: string): void {
    if (spec.linux.seccomp === undefined || this.#filters.size >= limit) return;
    const key = keyOf(spec);
    if (this.#filters.has(key)) return;
    try {
      const filter = readFileSync(path);
      if (filter.length > 0) this.#filters.set(key, filter.toString('base64'));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}

const keyOf = (spec: OciSpec) => JSON.stringify(spec.linux.seccomp);
