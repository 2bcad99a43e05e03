import { EngineError } from '#errdefs';

/** What a client may require of the frontend (`frontend.caps`). */
const known = ['inputs', 'subrequests', 'contexts', 'gitquerystring'].map((name) => `moby.buildkit.frontend.${name}`);

/** @throws `not-implemented` naming what is not there */
export function requireCapabilities(list: string): void {
  const wanted = list.split(',').filter(Boolean);
  const missing = wanted.map((name) => name.replace(/\+forward$/, '')).find((name) => !known.includes(name));
  if (missing !== undefined) throw new EngineError('not-implemented', `unsupported frontend capability ${missing}`);
}
