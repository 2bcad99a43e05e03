import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { GrpcServer } from '#grpc';
import { FileSync } from '../proto/filesync_pb.ts';
import type { Packet, PacketSchema } from '../proto/fsutil_pb.ts';
import { ClientSession } from './client-session.ts';
import { packetType } from './packets.ts';
import { readFiles, SyncedFolder } from './synced-folder.ts';

type Sent = MessageInitShape<typeof PacketSchema>;
type Client = (packets: AsyncIterable<Packet>) => AsyncIterable<Sent>;

const folder = 0x80000000 + 0o755;
const end: Sent = { type: packetType.stat };
const file = (path: string, size: number, more: object = {}): Sent => {
  return { type: packetType.stat, stat: { path, mode: 0o644, size: BigInt(size), modTime: 5_000_000_000n, ...more } };
};
const data = (id: number, text: string): Sent => ({ type: packetType.data, id, data: Buffer.from(text) });

async function withClient(client: Client, work: (session: ClientSession) => Promise<void>): Promise<void> {
  const [near, far] = duplexPair();
  using server = new GrpcServer((router) => {
    router.service(FileSync, { diffCopy: (packets) => client(packets) });
  });
  void server.serve(far);
  const headers = { 'x-docker-expose-session-uuid': 'u', 'x-docker-expose-session-sharedkey': 'k' };
  const session = new ClientSession(near, headers, ['/moby.filesync.v1.FileSync/DiffCopy']);
  try {
    await work(session);
  } finally {
    session.peer.close();
    near.destroy();
    far.destroy();
  }
}

/** Lists, then answers each request. */
function listing(stats: readonly Sent[], answer: (packet: Packet) => readonly Sent[] = () => []): Client {
  return async function* (packets) {
    yield* stats;
    yield end;
    for await (const packet of packets) {
      if (packet.type === packetType.end) return yield { type: packetType.end };
      yield* answer(packet);
    }
  };
}

const signal = AbortSignal.timeout(20_000);

test('a folder is a listing, and contents in the order they are wanted however they come', async () => {
  const stats = [
    file('a', 3),
    { type: packetType.stat, stat: { path: 'd', mode: folder } },
    file('d/b', 2, { mode: 2 ** 23 + 0o755 }),
    file('d/l', 0, { mode: 2 ** 27 + 0o777, linkName: '../a' }),
    file('e', 0, { linkName: 'a' }),
    file('s', 0, { mode: 2 ** 24 + 0o755 }),
    file('z', 1, { modTime: -1n }),
  ];
  const requested: Packet[] = [];
  const client = listing(stats, (packet) => {
    requested.push(packet);
    // Both at once, mixed, when the second one was asked for.
    return packet.id === 6 ? [data(0, 'ab'), data(6, 'z'), data(6, ''), data(0, 'c'), data(0, '')] : [];
  });
  await withClient(client, async (session) => {
    await using synced = await SyncedFolder.open(session, { name: 'context' }, { signal });
    assert.deepEqual(
      synced.entries.map(({ type, path, mode }) => [type, path, mode.toString(8)]),
      [
        ['file', 'a', '644'],
        ['directory', 'd', '755'],
        ['file', 'd/b', '4755'],
        ['symlink', 'd/l', '777'],
        ['hardlink', 'e', '644'],
        ['file', 'z', '644'],
      ],
    );
    assert.deepEqual(
      synced.entries.map((entry) => ('stamp' in entry ? entry.stamp : null)),
      ['0 0 5000000000 5000000000', null, '0 0 5000000000 5000000000', null, null, null],
    );
    const report = () => {};
    const bytes = Buffer.concat(await Array.fromAsync(synced.listed().send([0, 5], { report, signal })));
    const head = (entry: number, size: number) => Buffer.from([0, 0, 0, entry, 0, 0, 0, 0, 0, 0, 0, size]);
    const wanted = [head(0, 3), Buffer.from('abc\0'), head(5, 1), Buffer.from('z\0')];
    assert.deepEqual(bytes, Buffer.concat(wanted));
    assert.deepEqual(
      requested.map(({ id }) => id),
      [0, 6],
    );
  });
});

test('files by name, those that are there', async () => {
  const client = listing([file('Dockerfile', 4)], ({ id }) => [data(id, 'FROM'), data(id, '')]);
  await withClient(client, async (session) => {
    const files = await readFiles(session, { name: 'd', followPaths: ['Dockerfile', 'x'] }, { limitBytes: 4, signal });
    assert.deepEqual(
      [...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString()]),
      [['Dockerfile', 'FROM']],
    );
    const small = readFiles(session, { name: 'd', followPaths: ['Dockerfile'] }, { limitBytes: 3, signal });
    await assert.rejects(small, /Dockerfile has 4 bytes, 3 are read at most/);
  });
});

test('what a client may not list', async () => {
  for (const [stats, fault] of [
    [[{ type: packetType.data, id: 0 }], /no listing/],
    [[{ type: packetType.error, data: Buffer.from('went wrong') }], /error from sender: went wrong/],
    [[file('a', -1)], /a size of -1 bytes/],
    [[file('a', 0, { size: 2n ** 62n })], /a size of/],
  ] as [Sent[], RegExp][]) {
    await withClient(listing(stats), async (session) => {
      await assert.rejects(SyncedFolder.open(session, { name: 'context' }, { signal }), fault);
    });
  }
});

test('a listing without an end is given up', async () => {
  const long = 'x'.repeat(1 << 20);
  const client: Client = async function* () {
    for (let at = 0; ; at++) yield file(`${at}${long}`, 0);
  };
  await withClient(client, async (session) => {
    await assert.rejects(SyncedFolder.open(session, { name: 'context' }, { signal }), /more names than a build takes/);
  });
});

test('contents that are not what was listed, or were not asked for', async () => {
  const stats = [file('a', 3), file('b', 1)];
  for (const [answer, fault] of [
    [[data(0, 'abcd')], /a changed while the image was built/],
    [[data(0, 'ab'), data(0, '')], /a changed while the image was built/],
    [[data(1, 'b')], /invalid file request 1/],
    [[data(7, 'b')], /invalid file request 7/],
    [[data(0, 'abc'), data(0, ''), data(0, 'd')], undefined],
    [[{ type: packetType.error, data: Buffer.from('no such file') }], /error from sender: no such file/],
    [[{ type: packetType.end }], /invalid file request 0/],
  ] as [Sent[], RegExp | undefined][]) {
    await withClient(
      listing(stats, () => answer),
      async (session) => {
        await using synced = await SyncedFolder.open(session, { name: 'context' }, { signal });
        const got = Array.fromAsync(synced.listed().send([0], { report: () => {}, signal }));
        if (fault) await assert.rejects(got, fault);
        else await got;
      },
    );
  }
});

test('a client that goes away, and one whose build ends', async () => {
  const client: Client = async function* () {
    yield file('a', 3);
    await new Promise(() => {});
  };
  await withClient(client, async (session) => {
    const opening = SyncedFolder.open(session, { name: 'context' }, { signal });
    setTimeout(() => session.peer.close(), 50);
    await assert.rejects(opening, /the client of the build has gone away/);
  });
  await withClient(client, async (session) => {
    const stop = new AbortController();
    const opening = SyncedFolder.open(session, { name: 'context' }, { signal: stop.signal });
    setTimeout(() => stop.abort(), 50);
    await assert.rejects(opening, { name: 'AbortError' });
  });
});
