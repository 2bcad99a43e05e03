/** What the clients of a crash test do: each job is a small story about names of its own. */
import type { Engine } from '#api-types';
import { type Clients, drain, inPieces, tarOf } from './crash-fixture.ts';

export type Job = (clients: Clients, engine: Engine) => Promise<void>;

const base = 'base:latest';
const sleeper = ['sh', '-c', 'trap "exit 7" TERM; echo up; sleep 1000 & wait'];

async function idOf(engine: Engine, name: string): Promise<string> {
  return (await engine.images.inspect(name)).Id;
}

async function untag(clients: Clients, engine: Engine, name: string): Promise<void> {
  await clients.tag('rmi', name, async () => {
    await engine.images.remove(name);
    return undefined;
  });
}

/** Archives of images with a name each, loaded and removed in turn. */
export function loads(archives: ReadonlyMap<string, Buffer>): Job {
  const names = [...archives.keys()];
  return async (clients, engine) => {
    const name = names[clients.below(names.length)]!;
    await clients.tag('load', name, async () => {
      await drain(engine.images.load(inPieces(archives.get(name)!)));
      return await idOf(engine, name);
    });
    if (clients.below(2) === 0) await untag(clients, engine, name);
  };
}

export function pulls(references: readonly string[]): Job {
  return async (clients, engine) => {
    const name = references[clients.below(references.length)]!;
    await clients.tag('pull', name, async () => {
      await drain(engine.images.pull(name));
      return await idOf(engine, name);
    });
    await untag(clients, engine, name);
  };
}

export const builds: Job = async (clients, engine) => {
  const name = `built-${clients.below(3)}:latest`;
  const dockerfile = `FROM ${base}\nCOPY data /data\nRUN echo ${clients.fresh('step')} > /step && sleep 0.0${clients.below(9)}\n`;
  await clients.tag('build', name, async () => {
    const context = tarOf({ Dockerfile: dockerfile, data: 'x'.repeat(clients.below(200_000)) });
    for await (const { stream = '' } of engine.build(inPieces(context), { t: [name] })) {
      const id = /Running in ([0-9a-f]{12})/.exec(stream)?.[1];
      if (id) clients.saw(id);
    }
    return await idOf(engine, name);
  });
  if (clients.below(3) === 0) await untag(clients, engine, name);
};

/** A layer of its own each time, compressed for the push. */
export function pushes(registry: string): Job {
  return async (clients, engine) => {
    const name = `${registry}/crash/pushed-${clients.below(3)}:latest`;
    await clients.tag('build to push', name, async () => {
      const data = `${clients.fresh('pushed')}${'x'.repeat(clients.below(2_000_000))}`;
      const context = tarOf({ Dockerfile: `FROM ${base}\nCOPY data /data\n`, data });
      await drain(engine.build(inPieces(context), { t: [name] }));
      return await idOf(engine, name);
    });
    await drain(engine.images.push(name));
    if (clients.below(2) === 0) await untag(clients, engine, name);
  };
}

export const tags: Job = async (clients, engine) => {
  const name = `tagged-${clients.below(3)}:latest`;
  await clients.tag('tag', name, async () => {
    await engine.images.tag(base, name.split(':')[0]!, 'latest');
    return await idOf(engine, base);
  });
  await untag(clients, engine, name);
};

/** A name and a container that go, and are brought back; on a disk that is too full nothing is kept. */
export const undos: Job = async (clients, engine) => {
  const bringBack = async (subject: string) => {
    const item = (await engine.trash.list()).find(({ Subject }) => Subject.replace(/^\//, '') === subject);
    if (item) await engine.trash.undo({ number: item.Number });
    return item !== undefined;
  };
  const name = `${clients.fresh('undone-')}:latest`;
  await clients.tag('tag', name, async () => {
    await engine.images.tag(base, name.split(':')[0]!, 'latest');
    return await idOf(engine, base);
  });
  await untag(clients, engine, name);
  await clients.tag('undo', name, async () => ((await bringBack(name)) ? await idOf(engine, name) : undefined));
  await untag(clients, engine, name);

  const container = clients.fresh('undone-');
  const known = { id: '', running: false };
  await clients.container('create', container, async () => {
    const config = { Image: base, Cmd: sleeper, Volumes: { '/own': {} } };
    known.id = (await engine.containers.create(config, { name: container })).Id;
    return known;
  });
  const remove = () =>
    clients.container('rm', container, async () => {
      await engine.containers.remove(known.id, { volumes: true });
      return undefined;
    });
  await remove();
  await clients.container('undo', container, async () => ((await bringBack(container)) ? known : undefined));
  if (clients.containers.has(container)) await remove();
};

/** A container's whole life, and an image of it; the tags are this client's alone, or nobody could say which commit came last. */
export const lives =
  (client: string): Job =>
  async (clients, engine) => {
    const name = clients.fresh('life-');
    let id = '';
    await clients.container('create', name, async () => {
      const config = { Image: base, Cmd: sleeper, Volumes: { '/own': {} } };
      id = (await engine.containers.create(config, { name })).Id;
      return { id, running: false };
    });
    await clients.container('start', name, async () => {
      await engine.containers.start(id);
      return { id, running: true };
    });
    await clients.container('exec', name, async () => {
      const exec = await engine.execs.create(id, { Cmd: ['sh', '-c', 'echo hi > /made'], AttachStdout: true });
      await using streams = await engine.execs.start(exec.Id, { detach: false, tty: false });
      if (streams) await drain(streams.output);
      return { id, running: true };
    });
    const image = `committed-${client}-${clients.below(3)}:latest`;
    await clients.tag('commit', image, async () => {
      return (await engine.images.commit(id, { repo: image.split(':')[0]!, tag: 'latest' })).Id;
    });
    if (clients.below(4) === 0 && clients.containers.size < 6) return;
    await clients.container('stop', name, async () => {
      await engine.containers.stop(id, { timeoutSeconds: 2 });
      return { id, running: false };
    });
    await clients.container('rm', name, async () => {
      await engine.containers.remove(id, { volumes: true });
      return undefined;
    });
  };

/** `docker run --rm`: gone when it has ended, however the daemon fares meanwhile. */
export const runs: Job = async (clients, engine) => {
  const name = clients.fresh('run-');
  await clients.container('run', name, async () => {
    const config = {
      Image: base,
      Cmd: ['sh', '-c', 'echo out'],
      HostConfig: { AutoRemove: true },
      Volumes: { '/v': {} },
    };
    const { Id } = await engine.containers.create(config, { name });
    clients.saw(Id);
    const { result } = await engine.containers.wait(Id, { condition: 'removed' });
    await engine.containers.start(Id);
    await result;
    return undefined;
  });
};

/** A network of its own, a container that joins it and another and leaves again. */
export const networks: Job = async (clients, engine) => {
  const network = clients.fresh('net-');
  await clients.network('network create', network, async () => (await engine.networks.create({ Name: network })).Id);
  const name = clients.fresh('joined-');
  let id = '';
  await clients.container('create', name, async () => {
    const HostConfig = { NetworkMode: network };
    id = (await engine.containers.create({ Image: base, Cmd: sleeper, HostConfig }, { name })).Id;
    return { id, running: false };
  });
  const running = { running: true };
  await clients.container('start', name, async () => {
    await engine.containers.start(id);
    return { id, ...running };
  });
  await clients.container('connect', name, async () => {
    await engine.networks.connect('bridge', { Container: id });
    return { id, ...running };
  });
  await clients.container('disconnect', name, async () => {
    await engine.networks.disconnect(clients.below(2) === 0 ? 'bridge' : network, { Container: id });
    return { id, ...running };
  });
  if (clients.below(4) === 0) return;
  await clients.container('rm', name, async () => {
    await engine.containers.remove(id, { force: true, volumes: true });
    return undefined;
  });
  await clients.network('network rm', network, async () => {
    await engine.networks.remove(network);
    return undefined;
  });
};

/** What nobody names goes: images that lost their name to another, records of builds, volumes of nobody. */
export const prunes: Job = async (clients, engine) => {
  await engine.images.prune({ filters: { dangling: ['true'] } });
  if (clients.below(3) === 0) await engine.pruneBuildCache({});
  await engine.volumes.prune();
};
