import { constants } from 'node:os';
import { SyntaxFault } from './location.ts';

/** Checks a STOPSIGNAL: a number but 0, or a name with or without `SIG`. @throws SyntaxFault in Docker's words. */
export function checkSignal(signal: string): void {
  if (/^[+-]?\d+$/.test(signal)) {
    if (Number(signal) === 0) throw new SyntaxFault(`invalid signal: ${signal}`);
    return;
  }
  const name = signal.toUpperCase().replace(/^SIG/, '');
  if (
    !Object.hasOwn(constants.signals, `SIG${name}`) &&
    !/^(CLD|RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?)$/.test(name)
  ) {
    throw new SyntaxFault(`invalid signal: ${signal}`);
  }
}
