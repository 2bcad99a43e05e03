/** `POST /build?version=2`: BuildKit asked for with one call, as clients do that have no gRPC. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fromBinary } from '@bufbuild/protobuf';
import { HttpClient, parseHost } from '#http';
import { readAll } from '#streams';
import { type StatusResponse, StatusResponseSchema } from '../../src/buildkit/proto/control_pb.ts';
import { Secrets } from '../../src/buildkit/proto/secrets_pb.ts';
import { BuildKitClient } from '../support/buildkit-client.ts';
import { containerSetup } from './containers-fixture.ts';
import { tarOf } from './images-fixture.ts';

interface Line {
  readonly id?: string;
  readonly aux?: unknown;
  readonly stream?: string;
  readonly error?: string;
  readonly message?: string;
}

test('builds with BuildKit by one call', async (t) => {
  await using setup = await containerSetup(t);
  if (!setup) return;
  const { docker, daemon } = setup;
  const client = new HttpClient(parseHost(daemon.host));
  const post = async (files: Record<string, string>, query: string) => {
    const headers = { 'Content-Type': 'application/x-tar' };
    const path = `/v1.51/build?version=2&networkmode=none&${query}`;
    const answer = await client.request({ method: 'POST', path, headers, body: tarOf(files) });
    const text = (await readAll(answer.body, 8 << 20, 'answer')).toString();
    const lines = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [JSON.parse(line) as Line]));
    const traces = lines.filter(({ id }) => id === 'moby.buildkit.trace');
    const told = traces.map(({ aux }) => fromBinary(StatusResponseSchema, Buffer.from(String(aux), 'base64')));
    return { status: answer.status, lines, told };
  };
  const namesIn = (told: readonly StatusResponse[]) =>
    new Set(told.flatMap(({ vertexes }) => vertexes.map(({ name }) => name)));
  const output = (told: readonly StatusResponse[]) =>
    Buffer.concat(told.flatMap(({ logs }) => logs.map(({ message }) => message))).toString();

  await t.test('the context is the body, progress is BuildKit’s, the result has its names', async () => {
    const files = { Dockerfile: 'FROM base\nARG A\nCOPY a /a\nRUN cat /a && echo arg $A\n', a: 'from the body\n' };
    const args = encodeURIComponent('{"A":"given"}');
    const { status, lines, told } = await post(files, `t=one:1&t=two&buildargs=${args}`);
    assert.equal(status, 200);
    assert.ok(namesIn(told).has('[2/3] COPY a /a'), [...namesIn(told)].join('\n'));
    assert.match(output(told), /from the body\narg given\n/);
    const last = lines.at(-1)!;
    assert.equal(last.id, 'moby.image.id');
    const { ID } = last.aux as { ID: string };
    for (const name of ['one:1', 'two:latest'])
      assert.equal((await docker.ok('image', 'inspect', '-f', '{{.Id}}', name)).trim(), ID);
    assert.deepEqual((await post(files, `q=1&buildargs=${args}`)).lines, [{ stream: `${ID}\n` }]);
  });

  await t.test('a session beside the body hands over what the body has not', async () => {
    await using asking = await BuildKitClient.connect(daemon.host);
    const session = await asking.serve([Secrets], (router) => {
      router.service(Secrets, { getSecret: () => ({ data: Buffer.from('hush') }) });
    });
    const step = 'RUN --mount=type=secret,id=s,target=/s echo "$(cat /a) and $(cat /s)"';
    const files = { Dockerfile: `FROM base\nCOPY a /a\n${step}\n`, a: 'the body' };
    const { lines, told } = await post(files, `session=${session}`);
    assert.equal(lines.at(-1)!.id, 'moby.image.id', JSON.stringify(lines.at(-1)));
    assert.match(output(told), /the body and hush\n/);
  });

  await t.test('what fails is told as BuildKit tells it', async () => {
    const failed = await post({ Dockerfile: 'FROM base\nRUN exit 7\n' }, 't=none');
    const message = 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7';
    assert.equal(failed.lines.at(-1)!.error, message);
    const broken = await post({ Dockerfile: 'FRM base\n' }, 't=none');
    assert.match(broken.lines.at(-1)!.message!, /^dockerfile parse error on line 1: unknown instruction: FRM/);
    assert.equal((await docker.run(['image', 'inspect', 'none'])).status, 1);
  });

  await t.test('a build is cancelled by the ID its client gave it', async () => {
    const running = post({ Dockerfile: 'FROM base\nRUN echo begun; sleep 100\n' }, 'buildid=mine');
    const cancel = () => client.request({ method: 'POST', path: '/v1.51/build/cancel?id=mine', headers: {} });
    const timer = setInterval(() => void cancel().then(({ body }) => readAll(body, 1024, 'answer')), 500);
    const ended = await Promise.race([running, wait(30_000, undefined, { ref: false })]);
    clearInterval(timer);
    assert.ok(ended, 'it ended');
    const { error, message } = ended.lines.at(-1)!;
    assert.equal(error ?? message, 'context canceled');
    assert.equal((await docker.ok('ps', '-aq')).trim(), '');
  });
});
