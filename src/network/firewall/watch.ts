import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { helperPath } from '#sys';

/** Tells when somebody else has changed the ruleset of this network namespace. Its process ends with this one. */
export class RulesetWatch implements Disposable {
  readonly #changed: () => void;
  #child: ChildProcess | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Does nothing while it watches. */
  start(): void {
    if (this.#child) return;
    const child = spawn(helperPath('netns'), ['watch'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const gone = () => {
      if (this.#child === child) this.#child = undefined;
    };
    child.on('error', gone).on('exit', gone);
    child.stdin!.on('error', () => {});
    child.stdout!.on('data', () => this.#changed());
    // Nobody stays for it.
    child.unref();
    for (const stream of [child.stdin, child.stdout]) (stream as Socket).unref();
    this.#child = child;
  }

  [Symbol.dispose](): void {
    const child = this.#child;
    this.#child = undefined;
    child?.stdout?.removeAllListeners('data');
    child?.stdin?.end();
  }
}
