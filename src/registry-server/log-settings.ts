import { EngineError } from '#errdefs';
import { logLevels, setLevel, setSink, writeJson } from '#log';

/** How a server of its own process writes its log. @throws `invalid-argument`. */
export function setLog({ format, level }: { format: string; level: string }): void {
  const known = logLevels.find((name) => name === level);
  if (!known) throw new EngineError('invalid-argument', `unknown log level ${level}: want ${logLevels.join(', ')}`);
  setLevel(known);
  if (format === 'json') setSink(writeJson);
  else if (format !== 'text')
    throw new EngineError('invalid-argument', `unknown log format ${format}: want text or json`);
}
