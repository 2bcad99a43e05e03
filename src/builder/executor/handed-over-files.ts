import { EngineError } from '#errdefs';
import type { AgentOperation, RunOperation, SecretOperation } from '../convert/index.ts';
import type { Work } from '../solver/index.ts';
import type { StepMount } from '../types.ts';
import type { BuildSession } from './session.ts';

/** What may be handed over counts for the key of a step, what it holds does not. */
export function handedOverKey({ secrets, agents }: RunOperation): Readonly<Record<string, unknown>> {
  return { ...(secrets.length > 0 ? { secrets } : {}), ...(agents.length > 0 ? { agents } : {}) };
}

/** Secrets and agents of one RUN, there until it is disposed. */
export class HandedOverFiles implements AsyncDisposable {
  readonly mounts: readonly StepMount[];
  readonly env: readonly string[];
  readonly #held: AsyncDisposableStack;

  private constructor(mounts: readonly StepMount[], env: readonly string[], held: AsyncDisposableStack) {
    this.mounts = mounts;
    this.env = env;
    this.#held = held;
  }

  /** @throws `not-found` in BuildKit's words for what is required and not there */
  static async lend(session: BuildSession, operation: RunOperation, work: Work): Promise<HandedOverFiles> {
    await using held = new AsyncDisposableStack();
    const mounts: StepMount[] = [];
    const env: string[] = [];
    const bind = (source: string, target: string, readOnly: boolean) =>
      mounts.push({ kind: 'bind', source, target, readOnly });
    for (const secret of operation.secrets) {
      const content = await secretOf(session, secret, work);
      if (!content) continue;
      if (secret.env !== undefined) env.push(`${secret.env}=${Buffer.from(content).toString()}`);
      if (secret.target === undefined) continue;
      bind(held.use(await session.host.lendSecret(content, secret)).path, secret.target, true);
    }
    const sockets: string[] = [];
    for (const agent of operation.agents) {
      if (!(await hasAgent(session, agent, work))) continue;
      const { signal } = work;
      const serve = (socket: Parameters<Parameters<typeof session.host.lendSocket>[0]>[0]) => {
        const talk = session.request.handedOver!.connectAgent(agent.id, socket, { signal });
        talk.catch(() => {}).finally(() => socket.destroy());
      };
      bind(held.use(await session.host.lendSocket(serve, agent)).path, agent.target, false);
      sockets.push(agent.target);
    }
    const isSet = operation.env.some((entry) => entry.startsWith('SSH_AUTH_SOCK='));
    if (sockets[0] !== undefined && !isSet) env.push(`SSH_AUTH_SOCK=${sockets[0]}`);
    return new HandedOverFiles(mounts, env, held.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held.disposeAsync();
  }
}

async function secretOf(
  { request }: BuildSession,
  { id, required }: SecretOperation,
  { signal }: Work,
): Promise<Uint8Array | undefined> {
  const content = await request.handedOver?.secret(id, { signal });
  if (!content && required) throw new EngineError('not-found', `secret ${id}: not found`);
  return content;
}

async function hasAgent(
  { request }: BuildSession,
  { id, required }: AgentOperation,
  { signal }: Work,
): Promise<boolean> {
  try {
    if (!request.handedOver) throw new EngineError('not-found', `no SSH key "${id}" forwarded from the client`);
    await request.handedOver.requireAgent(id, { signal });
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (required) throw error;
    return false;
  }
}
