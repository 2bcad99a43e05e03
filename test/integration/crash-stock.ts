/** What the clients of a crash test find. */
import { connect } from '#client';
import { baseImageTar } from '../../scripts/base-image.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { drain, inPieces, noise, tarOf } from './crash-fixture.ts';

/** Base image, archives to load, images in the registry to pull. */
export async function stock(daemon: TestDaemon, registry: string) {
  await using engine = connect(daemon.host);
  const changes = ['ENV PATH=/bin'];
  await drain(engine.images.import(inPieces(baseImageTar()), { repo: 'base', changes }));
  const archives = new Map<string, Buffer>();
  const references: string[] = [];
  for (let index = 0; index < 3; index++) {
    const name = `loaded-${index}:latest`;
    const remote = `${registry}/crash/pulled-${index}:latest`;
    const context = tarOf({ Dockerfile: 'FROM base\nCOPY a /a\nCOPY b /b\n', a: noise(6 << 20), b: noise(3 << 20) });
    await drain(engine.build(inPieces(context), { t: [name, remote] }));
    archives.set(name, Buffer.concat(await Array.fromAsync(engine.images.save([name]))));
    await drain(engine.images.push(remote));
    await engine.images.remove(name);
    await engine.images.remove(remote);
    references.push(remote);
  }
  await engine.pruneBuildCache({ all: true });
  return { archives, references, base: (await engine.images.inspect('base')).Id };
}
