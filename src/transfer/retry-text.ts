import { RegistryError } from '#registry';

/** dockerd's words; a registry that asked for patience is named as the reason. */
export function retryText(delayMs: number, why: Error): string {
  const seconds = Math.max(1, Math.round(delayMs / 1000));
  const text = `Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`;
  return why instanceof RegistryError && why.status === 429 ? `${text} (the registry limits requests)` : text;
}
