import { EngineError } from '#errdefs';

/** Seconds since the epoch with an optional fraction; clients turn other spellings into that. @throws `unknown`, in dockerd's words. */
export function checkSeconds(text: string): void {
  if (/^-?\d+(\.\d+)?$/.test(text)) return;
  const number = JSON.stringify(text.split('.')[0]);
  throw new EngineError('unknown', `strconv.ParseInt: parsing ${number}: invalid syntax`);
}
