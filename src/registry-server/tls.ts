import { readFile, stat } from 'node:fs/promises';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import { EngineError, messageOf } from '#errdefs';
import { log } from '#log';
import type { TlsConfig } from './config/config.ts';

const lookMs = 2_000;

export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** @throws `invalid-argument` when the files do not hold a certificate and its key. */
export async function readCertificate({ cert, key }: TlsConfig): Promise<Certificate> {
  try {
    const read = { cert: await readFile(cert), key: await readFile(key) };
    createSecureContext(read);
    return read;
  } catch (cause) {
    throw new EngineError('invalid-argument', `read certificate ${cert}: ${messageOf(cause)}`, { cause });
  }
}

/** Looks at the files now and then; connections made after a change get the new certificate. A bad pair changes nothing. */
export async function reloadCertificate(server: Server, config: TlsConfig): Promise<Disposable> {
  let known = await versionOf(config);
  const timer = setInterval(() => {
    void (async () => {
      const version = await versionOf(config);
      if (version === known) return;
      // Half a pair is in place for a moment: then the next look will do.
      server.setSecureContext(await readCertificate(config));
      known = version;
      log.info('read the certificate again', { path: config.cert });
    })().catch((error: unknown) => log.error('reading the certificate again failed', { path: config.cert, error }));
  }, lookMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

async function versionOf({ cert, key }: TlsConfig): Promise<string> {
  const files = await Promise.all([stat(cert), stat(key)]);
  return files.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join(' ');
}
