import type { AuthConfig } from '#api-types';
import { EngineError } from '#errdefs';
import { readAll } from '#streams';
import type { Command, CommandContext } from '../command.ts';
import { dropCredentials, keepCredentials, normaliseKey, storedCredentials } from '../credentials/index.ts';
import { UsageError } from '../flags.ts';
import { prompt } from '../prompt.ts';
import { insecureFlag, withRegistry } from '../registry-call.ts';

const maxPasswordBytes = 64 << 10;

export const loginCommand: Command = {
  name: 'login',
  usage: '[OPTIONS] [SERVER[/PATH]]',
  summary: 'Log in to a registry, or to a part of it (no daemon needed)',
  minArgs: 0,
  maxArgs: 1,
  flags: [
    insecureFlag,
    { name: 'password', short: 'p', type: 'string', help: 'Password or access token' },
    { name: 'password-stdin', type: 'toggle', help: 'Take the password or access token from standard input' },
    {
      name: 'plain-text',
      type: 'toggle',
      help: 'Keep the credentials in config.json although a credential helper is installed',
    },
    { name: 'username', short: 'u', type: 'string', help: 'Username' },
  ],
  async run(context) {
    const { environment, flags, terminal } = context;
    const server = normaliseKey(context.args[0] ?? 'docker.io');
    const given = await givenCredentials(context);
    const known = given ? undefined : await knownCredentials(context, server);
    const auth = await checkLogin(context, server, given ?? known ?? (await typedCredentials(context)));
    const isKept = known !== undefined && auth.identitytoken === known.identitytoken;
    const kept = isKept
      ? undefined
      : await keepCredentials(server, auth, { environment, plainText: flags.on('plain-text') });
    if (kept?.isPlainText) {
      terminal.stderr.write(
        `\nWARNING! Your credentials are stored unencrypted in '${kept.place}'.\nInstall a credential helper (docker-credential-pass, docker-credential-secretservice) to remove this warning.\n\n`,
      );
    }
    terminal.stdout.write('Login Succeeded\n');
    return 0;
  },
};

/** What the command line brings; `undefined` when it brings nothing. */
async function givenCredentials({ flags, terminal, signal }: CommandContext): Promise<AuthConfig | undefined> {
  const username = flags.text('username') ?? '';
  const password = flags.text('password');
  if (password !== undefined) {
    terminal.stderr.write('WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n');
    if (flags.on('password-stdin')) throw new UsageError('--password and --password-stdin are mutually exclusive', 1);
  }
  if (flags.on('password-stdin')) {
    if (username === '') throw new UsageError('Must provide --username with --password-stdin', 1);
    const text = (await readAll(terminal.stdin, maxPasswordBytes, 'password')).toString('utf8');
    return { username, password: text.replace(/[\r\n]+$/, '') };
  }
  if (username === '' && password === undefined) return undefined;
  if (username !== '' && password !== undefined) return { username, password };
  if (!terminal.stdin.isTTY) throw notInteractive();
  return {
    username: username || (await prompt(terminal, 'Username: ', { signal })),
    password: password ?? (await prompt(terminal, 'Password: ', { hidden: true, signal })),
  };
}

function notInteractive(): EngineError {
  return new EngineError('invalid-argument', 'Error: Cannot perform an interactive login from a non TTY device');
}

/** Credentials that are kept already are tried first, as the docker CLI does. */
async function knownCredentials(context: CommandContext, server: string): Promise<AuthConfig | undefined> {
  const { auth, source } = await storedCredentials(server, context.environment);
  if (source === 'none') return undefined;
  const who = auth.username ? ` [Username: ${auth.username}]` : '';
  context.terminal.stdout.write(`Authenticating with existing credentials from ${source}...${who}\n`);
  return auth;
}

async function typedCredentials({ terminal, signal }: CommandContext): Promise<AuthConfig> {
  if (!terminal.stdin.isTTY) throw notInteractive();
  return {
    username: await prompt(terminal, 'Username: ', { signal }),
    password: await prompt(terminal, 'Password: ', { hidden: true, signal }),
  };
}

/** Asks the registry; an identity token it gives is kept in place of the password. */
async function checkLogin(context: CommandContext, server: string, auth: AuthConfig): Promise<AuthConfig> {
  const host = server.split('/')[0]!;
  const known = { ...auth, serveraddress: host };
  const { identityToken } = await withRegistry(context, [`${host}/login`], ({ call }) =>
    call.registry.login(known, { signal: context.signal }),
  );
  return identityToken ? { ...known, password: '', identitytoken: identityToken } : known;
}

export const logoutCommand: Command = {
  name: 'logout',
  usage: '[SERVER[/PATH]]',
  summary: 'Log out from a registry (no daemon needed)',
  minArgs: 0,
  maxArgs: 1,
  flags: [],
  async run({ args, environment, terminal }) {
    const server = normaliseKey(args[0] ?? 'docker.io');
    terminal.stdout.write(`Removing login credentials for ${server}\n`);
    await dropCredentials(server, environment);
    return 0;
  },
};
