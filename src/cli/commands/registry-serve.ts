import type { Command } from '../command.ts';
import { UsageError } from '../flags.ts';

export const registryServeCommand: Command = {
  name: 'registry serve',
  usage: '--root DIR [--addr HOST:PORT]',
  summary: 'Serve a registry from a folder',
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'addr', type: 'string', help: 'Address to listen on (default 127.0.0.1:5000)' },
    { name: 'root', type: 'string', help: 'Folder that keeps blobs and repositories' },
  ],
  async run({ flags, terminal, signal }) {
    const root = flags.text('root');
    if (root === undefined) throw new UsageError('flag --root is required');
    const { serveRegistry } = await import('#registry-server');
    await using server = await serveRegistry({ root, addr: flags.text('addr') ?? '127.0.0.1:5000' });
    terminal.stderr.write(`registry listening on ${server.address}, keeping its data in ${root}\n`);
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      process.once('SIGTERM', () => resolve());
    });
    return 0;
  },
};
