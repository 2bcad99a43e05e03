import { EngineError } from '#errdefs';

/** Which compressed forms of layers stay beside the layers: all, or those of some repositories (`host` or `host/path`). */
export type Retain = 'both' | readonly string[];

/** `--retain` and `--retain-repository`. @throws `invalid-argument`. */
export function readRetain(mode = 'uncompressed', repositories: readonly string[] = []): Retain {
  if (mode !== 'uncompressed' && mode !== 'both')
    throw new EngineError('invalid-argument', `invalid retain: ${mode}: it is uncompressed or both`);
  return mode === 'both' ? 'both' : repositories;
}

/** A registry's host, and a path below it or none: no tag, and nothing that Docker would complete. */
export function checkRetainedRepository(value: string): void {
  const [host = '', ...path] = value.split('/');
  const isHost =
    host === 'localhost' ||
    /^(\[[0-9a-fA-F:]+\]|[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9.-]+:\d+)(:\d+)?$/.test(host);
  if (!isHost)
    throw new Error(`invalid repository to retain: ${value}: it begins with a registry's host, docker.io say`);
  if (!path.every((part) => /^[a-z0-9]+([._-]+[a-z0-9]+)*$/.test(part)))
    throw new Error(`invalid repository to retain: ${value}: it is HOST or HOST/PATH, without a tag`);
}
