import type { Command } from '../command.ts';
import { UsageError } from '../flags.ts';

/** What is under way when the server is told to end gets so long. */
const graceMs = 30_000;

export const registryServeCommand: Command = {
  name: 'registry serve',
  usage: '--root DIR [--addr HOST:PORT] [--config FILE]',
  summary: 'Serve a registry from a folder',
  minArgs: 0,
  maxArgs: 0,
  flags: [
    { name: 'addr', type: 'string', help: 'Address to listen on (default 127.0.0.1:5000)' },
    { name: 'config', type: 'string', help: 'File of JSON: accounts, TLS, limits and more' },
    { name: 'log-format', type: 'string', help: 'How log lines are written: text or json (default text)' },
    { name: 'log-level', type: 'string', help: 'Lines below it are dropped: debug, info, warn, error (default info)' },
    { name: 'root', type: 'string', help: 'Folder that keeps blobs and repositories' },
  ],
  async run({ flags, terminal, signal }) {
    const root = flags.text('root');
    if (root === undefined) throw new UsageError('flag --root is required');
    const { readConfig, serveRegistry, setLog } = await import('#registry-server');
    setLog({ format: flags.text('log-format') ?? 'text', level: flags.text('log-level') ?? 'info' });
    const path = flags.text('config');
    const config = path === undefined ? {} : await readConfig(path);
    await using server = await serveRegistry({ root, addr: flags.text('addr') ?? '127.0.0.1:5000', config });
    terminal.stderr.write(`registry listening on ${server.address}, keeping its data in ${root}\n`);
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      process.once('SIGTERM', () => resolve());
    });
    await server.close(graceMs);
    return 0;
  },
};
