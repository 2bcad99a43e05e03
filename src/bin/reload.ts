import type { ReloadableEngine } from '#engine';
import { messageOf } from '#errdefs';
import { log, setLevel } from '#log';
import { readInvocation } from './daemon-config.ts';
import { engineOptions } from './engine-options.ts';

/**
 * SIGHUP, as dockerd takes it: the flags and the file are read again, and what may change in a running engine does. A file that cannot be used is told
 * of and changes nothing.
 */
export async function reload(args: readonly string[], engine: ReloadableEngine): Promise<void> {
  log.info('Got signal to reload configuration');
  try {
    const invocation = await readInvocation(args);
    if (invocation.kind !== 'run') return;
    setLevel(invocation.config.logLevel);
    engine.reload(engineOptions(invocation.config));
    log.info('Reloaded configuration');
  } catch (error) {
    log.error('the configuration stays as it was', { error: messageOf(error) });
  }
}
