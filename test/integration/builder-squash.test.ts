/** `--squash`: one layer that leaves the files of several, in an image that remembers them all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requireRoot } from '#testing';
import { openWorkshop, type Workshop } from './builder-fixture.ts';

const dockerfile = [
  'FROM tiny AS first',
  'RUN mkdir /d /d/deep && echo 1 > /d/f && echo tmp > /tmp/gone',
  'FROM first',
  'LABEL a=b',
  'RUN rm -r /d && mkdir /d && echo new > /d/new && rm /bin/ls /tmp/gone && chmod 700 /usr',
  'COPY f /f',
  'RUN ln /f /g && ln -s f /h && rm -r /etc && mkdir /etc && echo x:x:0: > /etc/group',
  'CMD ["x"]',
  '',
].join('\n');

async function squashTwice(workshop: Workshop): Promise<void> {
  const files = { Dockerfile: dockerfile, f: 'f' };
  const whole = await workshop.build({ files });
  const { id, output, messages } = await workshop.build({ files, squash: true, tags: ['squashed'] });
  assert.deepEqual(messages.find((message) => message.id === 'moby.image.id')?.aux, { ID: id });
  assert.match(output, new RegExp(`Successfully built ${id.slice(7, 19)}\n`));
  assert.deepEqual(await workshop.files(id), await workshop.files(whole.id));
  const [own, before] = [await workshop.config(id), await workshop.config(whole.id)];
  assert.deepEqual(own.config, before.config);
  assert.deepEqual(own.rootfs.diff_ids.slice(0, -1), before.rootfs.diff_ids.slice(0, 2), 'the layers of FROM stay');
  const { images } = workshop.host.metadata;
  const tiny = images.byName('docker.io/library/tiny:latest')!;
  const base = images.list().find((image) => image.parent === tiny.id)!;
  const history = before.history!.map((entry, at) => (at < 2 ? entry : { ...entry, empty_layer: true }));
  const merged = { created: own.created, comment: `merge ${whole.id} to ${base.id}` };
  assert.deepEqual(own.history, [...history, merged]);
  assert.equal(images.get(id)!.parent, undefined);
  assert.equal((await workshop.build({ files, squash: true, noCache: true })).id, id, 'the same again');
}

test('over an image: files, configuration and history are those of the layers, on either driver', async (t) => {
  if (!requireRoot(t)) return;
  for (const driver of ['overlay2', 'vfs'] as const) {
    await using workshop = await openWorkshop(driver);
    await squashTwice(workshop);
  }
});

test('over nothing, and where nothing is to be squashed', async (t) => {
  if (!requireRoot(t)) return;
  await using workshop = await openWorkshop();
  const scratch = { Dockerfile: 'FROM scratch\nCOPY f /f\nCOPY f /g\n', f: 'f' };
  const whole = await workshop.build({ files: scratch });
  const { id } = await workshop.build({ files: scratch, squash: true });
  const config = await workshop.config(id);
  assert.equal(config.rootfs.diff_ids.length, 1);
  assert.equal(config.history!.at(-1)!.comment, `create new from ${whole.id}`);
  assert.deepEqual(
    config.history!.map((entry) => Boolean(entry.empty_layer)),
    [true, true, false],
  );
  const plain = { Dockerfile: 'FROM tiny\nLABEL a=b\n' };
  const built = await workshop.build({ files: plain });
  assert.equal((await workshop.build({ files: plain, squash: true })).id, built.id);
  const undone = { Dockerfile: 'FROM tiny\nRUN echo > /x\nRUN rm /x\n' };
  const empty = await workshop.build({ files: undone, squash: true });
  assert.equal((await workshop.config(empty.id)).rootfs.diff_ids.length, 2);
});
