import type { SourceRange } from '../location.ts';
import { rules } from './rules.ts';
import type { Warnings } from './warnings.ts';

/** How a port of EXPOSE is written. */
export function checkExposed(port: string, range: SourceRange, warnings: Warnings): void {
  const parts = port.split(':');
  const protocol = parts.at(-1)!.split('/')[1] ?? '';
  if (protocol !== protocol.toLowerCase()) {
    const detail = `Defined protocol '${port}' in EXPOSE instruction should be lowercase`;
    warnings.add(rules.exposeProtoCasing, range, detail);
  }
  if (parts.slice(0, -1).some((part) => part !== '')) {
    const detail = `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`;
    warnings.add(rules.exposeInvalidFormat, range, detail);
  }
}
