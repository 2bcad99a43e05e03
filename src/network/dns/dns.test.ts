import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { type DecodedPacket, decode, encode, type RecordType } from 'dns-packet';
import { answerLocally, encodeAnswer, failure, parseQuery } from './answer.ts';
import { framed, frames } from './framing.ts';
import { NetworkNames } from './names.ts';
import { askUpstream } from './upstream.ts';

const names = new NetworkNames();
names.add('10.0.0.2', ['web', 'Alias', '0123456789ab']);
names.add('10.0.0.3', ['db', 'alias']);
names.add('', ['nobody']);
names.add('fd00::3', ['db', 'six']);
const view = {
  addressesOf: (name: string) => names.addressesOf(name),
  nameOf: (address: string) => {
    const name = names.nameOf(address);
    return name === undefined ? undefined : `${name}.net`;
  },
};

function query(name: string, type: RecordType, options: { udpPayloadSize?: number } = {}): DecodedPacket {
  const bytes = encode({
    type: 'query',
    id: 77,
    flags: 0x100,
    questions: [{ name, type }],
    ...(options.udpPayloadSize
      ? {
          additionals: [
            {
              type: 'OPT',
              name: '.',
              udpPayloadSize: options.udpPayloadSize,
              flags: 0,
              extendedRcode: 0,
              ednsVersion: 0,
              flag_do: false,
              options: [],
            },
          ],
        }
      : {}),
  });
  return parseQuery(bytes)!;
}

/** What a client reads of the answer. */
function asked(name: string, type: RecordType) {
  const question = query(name, type);
  const answer = answerLocally(question, view);
  return answer && decode(encodeAnswer(answer, question, 'udp'));
}

const data = (packet: DecodedPacket | undefined) =>
  packet?.answers?.map((answer) => ('data' in answer ? answer.data : undefined)).sort();

test('names are known in any case, with all addresses that share them', () => {
  assert.deepEqual(data(asked('web', 'A')), ['10.0.0.2']);
  assert.deepEqual(data(asked('WEB', 'A')), ['10.0.0.2']);
  assert.deepEqual(data(asked('alias', 'A')), ['10.0.0.2', '10.0.0.3']);
  const answer = asked('db', 'A')!;
  assert.deepEqual(
    [answer.id, answer.type, answer.flags! & 15, answer.flag_rd, answer.flag_ra],
    [77, 'response', 0, true, true],
  );
});

test('who shares a name is first now and then', () => {
  const firsts = new Set(
    Array.from({ length: 100 }, () => (asked('alias', 'A')!.answers![0] as { data: string }).data),
  );
  assert.equal(firsts.size, 2);
});

test('a known name without such an address is an empty answer, an unknown one is for others', () => {
  assert.deepEqual(asked('web', 'AAAA')?.answers, []);
  assert.deepEqual(asked('web', 'MX')?.answers, []);
  assert.equal(asked('web', 'TXT'), undefined);
  assert.equal(asked('nobody', 'A'), undefined);
  assert.equal(asked('example.org', 'A'), undefined);
});

test('a name has addresses of both families, each of them asked for by itself', () => {
  assert.deepEqual(data(asked('db', 'A')), ['10.0.0.3']);
  assert.deepEqual(data(asked('db', 'AAAA')), ['fd00::3']);
  assert.deepEqual(asked('six', 'A')?.answers, []);
  const pointer = `3.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`;
  assert.deepEqual(data(asked(pointer, 'PTR')), ['db.net']);
  assert.equal(asked(pointer.replace('3', '4'), 'PTR'), undefined);
});

test('addresses lead back to names', () => {
  assert.deepEqual(data(asked('2.0.0.10.in-addr.arpa', 'PTR')), ['web.net']);
  assert.equal(asked('9.0.0.10.in-addr.arpa', 'PTR'), undefined);
  assert.equal(asked('x.in-addr.arpa', 'PTR'), undefined);
});

test('a name that is gone is not answered', () => {
  const some = new NetworkNames();
  some.add('10.0.0.9', ['a']);
  some.remove('10.0.0.9');
  assert.deepEqual(some.addressesOf('a'), []);
  assert.equal(some.nameOf('10.0.0.9'), undefined);
});

test('an answer too large for the asker is cut and says so', () => {
  const many = { addressesOf: () => Array.from({ length: 100 }, (_, i) => `10.0.1.${i}`), nameOf: () => undefined };
  const small = query('many', 'A');
  const cut = encodeAnswer(answerLocally(small, many)!, small, 'udp');
  assert.ok(cut.length <= 512);
  assert.equal(decode(cut).flag_tc, true);
  const large = query('many', 'A', { udpPayloadSize: 4096 });
  assert.equal(decode(encodeAnswer(answerLocally(large, many)!, large, 'udp')).answers?.length, 100);
  assert.equal(decode(encodeAnswer(answerLocally(small, many)!, small, 'tcp')).answers?.length, 100);
});

test('garbage is not answered', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.from('hello'), Buffer.alloc(12), Buffer.alloc(600, 0xff)]) {
    assert.equal(parseQuery(bytes), undefined);
  }
  assert.equal(parseQuery(encode({ type: 'response', id: 1, questions: [{ name: 'a', type: 'A' }] })), undefined);
});

test('a failure names the question', () => {
  const question = query('x', 'A');
  const answer = decode(encodeAnswer(failure(question), question, 'udp'));
  assert.deepEqual([answer.flags! & 15, answer.id, answer.questions?.[0]?.name], [2, 77, 'x']);
});

test('messages on a connection are told apart however they arrive', async () => {
  const bytes = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two')), Buffer.from([0, 9, 1])]);
  const pieces = Array.from(bytes, (byte) => Buffer.from([byte]));
  async function* arriving(chunks: readonly Buffer[]) {
    yield* chunks;
  }
  for (const chunks of [pieces, [bytes]]) {
    const found = (await Array.fromAsync(frames(arriving(chunks)))).map(String);
    assert.deepEqual(found, ['one', 'two']);
  }
});

/** A name server on a loopback address that answers everything with one code. */
async function nameServer(address: string, port: number, rcode: number) {
  const udp = createSocket('udp4');
  udp.on('message', (bytes, from) => {
    const reply = Buffer.from(bytes);
    reply[2] = 0x84;
    reply[3] = rcode;
    udp.send(reply, from.port, from.address);
  });
  udp.bind(port, address);
  await once(udp, 'listening');
  return { port: (udp.address() as AddressInfo).port, [Symbol.dispose]: () => udp.close() };
}

test('servers are asked in turn: one that fails or is not there is passed over', async () => {
  using failing = await nameServer('127.0.0.1', 0, 2);
  using _good = await nameServer('127.0.0.2', failing.port, 0);
  const question = encode({ type: 'query', id: 5, questions: [{ name: 'a.b', type: 'A' }] });
  const options = { transport: 'udp', signal: AbortSignal.timeout(10_000), port: failing.port } as const;
  const ask = (servers: readonly string[]) => askUpstream(question, { ...options, servers });
  assert.equal((await ask(['127.0.0.1', '127.0.0.2']))?.[3], 0);
  assert.equal((await ask(['127.0.0.3', '127.0.0.2']))?.[3], 0);
  assert.equal((await ask(['127.0.0.1']))?.[3], 2);
  assert.equal(await ask([]), undefined);
});

test('what came over TCP goes on over TCP', async () => {
  const server = createServer(async (socket) => {
    for await (const bytes of frames(socket)) socket.write(framed(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const question = encode({ type: 'query', id: 6, questions: [{ name: 'a.b', type: 'A' }] });
  const signal = AbortSignal.timeout(10_000);
  assert.deepEqual(await askUpstream(question, { servers: ['127.0.0.1'], transport: 'tcp', signal, port }), question);
  server.close();
});
