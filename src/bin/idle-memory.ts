import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sys } from '#sys';

/** Less processor time than this between two looks is idleness. */
const idleMs = 10;
/** Work that leaves enough behind to be worth a collection. */
const worthMs = 200;
const lookMs = 250;
/** How often a daemon that has nothing to give back looks whether it worked meanwhile. */
const restMs = 1000;

export interface IdleMemoryOptions {
  /** Processor time of this process since its start, in milliseconds. */
  readonly usedMs?: () => number;
  /** Work is under way that takes the time of other processes: what it has made so far is needed, and a collection would be in its way. */
  readonly isBusy?: () => boolean;
  readonly collect?: () => void;
}

/**
 * Gives memory back once work is done: V8 keeps what its start or a build took, and collects only when more is asked for. One full
 * collection follows each stretch of work, a moment after its end, when nobody waits for an answer. Ends with its disposal.
 */
export function collectWhenIdle(options: IdleMemoryOptions = {}): Disposable {
  const { usedMs = processorMs, isBusy = () => false, collect = fullCollection() } = options;
  let seenMs = usedMs();
  // The start itself is work.
  let workMs = worthMs;
  let timer = setTimeout(look, lookMs);
  timer.unref();

  function look(): void {
    const nowMs = usedMs();
    const spentMs = nowMs - seenMs;
    seenMs = nowMs;
    workMs += spentMs;
    if (workMs >= worthMs && spentMs < idleMs && !isBusy()) {
      collect();
      seenMs = usedMs();
      workMs = 0;
    }
    timer = setTimeout(look, workMs >= worthMs ? lookMs : restMs);
    timer.unref();
  }

  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/**
 * V8's own function, which Node hides without a flag on the command line. The first collection, after the start, is of the flavor `last-resort`, which
 * also shrinks what is left; it throws compiled code away too, so that after work a plain one follows: the next load or build took a fifth longer
 * otherwise. Compilers, parsers and databases take their memory from the C library, which keeps what they freed: up to 50 MB after a start.
 */
function fullCollection(): () => void {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (options: { type: 'major'; flavor: 'last-resort' | 'regular' }) => void;
  let flavor: 'last-resort' | 'regular' = 'last-resort';
  return () => {
    gc({ type: 'major', flavor });
    flavor = 'regular';
    sys.trimMemory();
  };
}
