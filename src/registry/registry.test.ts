import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { isKind } from '#errdefs';
import { type Digest, digestOf, mediaTypes } from '#oci';
import { parseReference, type Reference } from '#reference';
import { serveRegistry } from '#registry-server';
import { type ByteSource, fromBytes, readAll } from '#streams';
import { temporaryFolder } from '#testing';
import { createRegistryClient, RegistryError, type RegistryOptions } from './index.ts';

type Before = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

const retry = { attempts: 4, firstDelayMs: 1, maxDelayMs: 5 };

async function withRegistry(
  before: Before,
  body: (parts: {
    client: ReturnType<typeof createRegistryClient>;
    reference: Reference;
    address: string;
    seen: string[];
  }) => Promise<void>,
  options: RegistryOptions = {},
) {
  await using folder = await temporaryFolder();
  const seen: string[] = [];
  await using server = await serveRegistry({
    root: folder.path,
    addr: '127.0.0.1:0',
    before: (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      return before(request, response);
    },
  });
  await using client = createRegistryClient({ retry, ...options });
  await body({ client, reference: parseReference(`${server.address}/team/app:v1`), address: server.address, seen });
}

/** A bare HTTP server for what a real registry would never say. */
async function withHttp(listener: RequestListener, body: (address: string) => Promise<void>) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function reply(
  response: ServerResponse,
  status: number,
  body: unknown = '',
  headers: Record<string, string> = {},
): true {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
  return true;
}

const blobOf = (bytes: Buffer) => ({
  digest: digestOf(bytes),
  sizeBytes: bytes.length,
  open: (): ByteSource => fromBytes(bytes),
});

async function pushImage(client: ReturnType<typeof createRegistryClient>, reference: Reference) {
  const config = Buffer.from('{}');
  const layer = randomBytes(1000);
  await client.pushBlob(reference, blobOf(config));
  await client.pushBlob(reference, blobOf(layer));
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: mediaTypes.ociLayerGzip, digest: digestOf(layer), size: layer.length }],
    }),
  );
  const digest = await client.putManifest(reference, { mediaType: mediaTypes.ociManifest, bytes });
  return { bytes, digest, layer };
}

const nobody: Before = () => false;

test('an image goes up and comes back', () =>
  withRegistry(nobody, async ({ client, reference }) => {
    const { bytes, digest, layer } = await pushImage(client, reference);
    const got = await client.manifest(reference);
    assert.deepEqual(got.bytes, bytes);
    assert.deepEqual(got.descriptor, { mediaType: mediaTypes.ociManifest, digest, size: bytes.length });
    assert.deepEqual(await client.resolve(reference), got.descriptor);
    assert.deepEqual((await client.manifest({ ...reference, digest })).bytes, bytes);
    const blob = await client.blob(reference, digestOf(layer));
    assert.deepEqual([blob.offset, blob.sizeBytes], [0, 1000]);
    assert.deepEqual(await readAll(blob.source, 2000), layer);
    const rest = await client.blob(reference, digestOf(layer), { offset: 400 });
    assert.deepEqual([rest.offset, rest.sizeBytes], [400, 1000]);
    assert.deepEqual(await readAll(rest.source, 2000), layer.subarray(400));
    assert.deepEqual(await Array.fromAsync(client.tags(reference)), ['v1']);
  }));

test('a blob is pushed, mounted or left alone', () =>
  withRegistry(nobody, async ({ client, reference, seen }) => {
    const bytes = randomBytes(300_000);
    const sent: number[] = [];
    const push = (at: Reference, options = {}) => client.pushBlob(at, blobOf(bytes), options);
    assert.equal(await push(reference, { onProgress: (count: number) => sent.push(count) }), 'pushed');
    assert.equal(sent.at(-1), bytes.length);
    assert.equal(await push(reference), 'exists');
    const other = { ...reference, path: 'team/other' };
    const from: string[] = [];
    const mount = { mountFrom: ['team/nothing', 'team/app'], onMounted: (name: string) => from.push(name) };
    assert.equal(await push(other, mount), 'mounted');
    assert.deepEqual(from, ['team/app']);
    seen.length = 0;
    assert.equal(await push({ ...reference, path: 'third' }, { mountFrom: ['team/nothing'] }), 'pushed');
    assert.equal(seen.filter((line) => line.startsWith('POST')).length, 1, 'the session a failed mount opens is used');
    assert.equal(await client.hasBlob(reference, digestOf(bytes)), true);
    assert.equal(await client.hasBlob(reference, digestOf('none'), { access: 'push' }), false);
    const fourth = { ...reference, path: 'fourth' };
    assert.equal(await client.mountBlob(fourth, digestOf(bytes), 'team/nothing'), false);
    assert.equal(await client.mountBlob(fourth, digestOf(bytes), 'third'), true);
    assert.equal(await client.hasBlob(fourth, digestOf(bytes)), true);
  }));

test('a stream is pushed whose digest is known at its end', () =>
  withRegistry(nobody, async ({ client, reference }) => {
    const chunks = [randomBytes(70_000), randomBytes(5), randomBytes(1 << 20)];
    const whole = Buffer.concat(chunks);
    let ended = false;
    await client.pushStream(
      reference,
      async function* () {
        yield* chunks;
        ended = true;
      },
      () => {
        assert.ok(ended);
        return { digest: digestOf(whole), sizeBytes: whole.length };
      },
    );
    const { source } = await client.blob(reference, digestOf(whole));
    assert.deepEqual(await readAll(source, whole.length), whole);
  }));

test('an empty blob is a blob', () =>
  withRegistry(nobody, async ({ client, reference }) => {
    assert.equal(await client.pushBlob(reference, blobOf(Buffer.alloc(0))), 'pushed');
    assert.equal(await client.hasBlob(reference, digestOf('')), true);
  }));

test('storms of 429 and 500 and cut connections pass', () => {
  let failures = 0;
  const stormy: Before = (request, response) => {
    if (request.url === '/v2/' || failures++ % 4 >= 2) return false;
    request.resume();
    if (failures % 4 === 1) return reply(response, 429, '', { 'retry-after': '0' });
    // Not the response's: that has none until the one before it is through.
    request.socket.destroy();
    return true;
  };
  return withRegistry(stormy, async ({ client, reference }) => {
    const { bytes } = await pushImage(client, reference);
    assert.deepEqual((await client.manifest(reference)).bytes, bytes);
    const blob = randomBytes(100_000);
    await client.pushStream(
      reference,
      () => fromBytes(blob),
      () => ({ digest: digestOf(blob), sizeBytes: blob.length }),
    );
    assert.equal(await client.hasBlob(reference, digestOf(blob)), true);
  });
});

test('failures that stay end with their error, after a bounded number of tries', async () => {
  let asked = 0;
  const failing: Before = (request, response) => {
    if (request.url === '/v2/') return false;
    asked++;
    return reply(response, 503, { errors: [{ code: 'UNAVAILABLE' }] });
  };
  await withRegistry(failing, async ({ client, reference }) => {
    await assert.rejects(client.manifest(reference), {
      message: 'received unexpected HTTP status: 503 Service Unavailable',
      status: 503,
    });
    assert.equal(asked, retry.attempts);
  });
});

test('a registry that asks for too much patience is shown at once', async () => {
  let asked = 0;
  const limiting: Before = (request, response) => {
    if (request.url === '/v2/') return false;
    asked++;
    const body = { errors: [{ code: 'TOOMANYREQUESTS', message: 'You have reached your pull rate limit.' }] };
    return reply(response, 429, request.method === 'HEAD' ? '' : body, { 'retry-after': '3600' });
  };
  await withRegistry(limiting, async ({ client, reference }) => {
    await assert.rejects(client.manifest(reference), {
      message: 'toomanyrequests: You have reached your pull rate limit.',
      status: 429,
    });
    assert.equal(asked, 1);
  });
});

test('refusals have the words of docker pull', () =>
  withRegistry(nobody, async ({ client, reference, address }) => {
    await pushImage(client, reference);
    await assert.rejects(client.manifest({ ...reference, tag: 'nope' }), {
      kind: 'not-found',
      message: `manifest for ${address}/team/app:nope not found: manifest unknown: manifest unknown`,
      codes: ['MANIFEST_UNKNOWN'],
    });
    await assert.rejects(client.resolve(parseReference(`${address}/none:x`)), {
      kind: 'not-found',
      message: `repository ${address}/none not found: name unknown: repository name not known to registry`,
    });
    await assert.rejects(Array.fromAsync(client.tags(parseReference(`${address}/none`))), { kind: 'not-found' });
    await assert.rejects(client.manifest(parseReference('127.0.0.1:1/x:y')), {
      message: 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
    });
  }));

test('a denied pull says what Docker says', () =>
  withHttp(
    (_, response) =>
      reply(response, 403, { errors: [{ code: 'DENIED', message: 'requested access to the resource is denied' }] }),
    async (address) => {
      await using client = createRegistryClient({ retry });
      await assert.rejects(client.manifest(parseReference(`${address}/x:y`)), {
        kind: 'not-found',
        message: `pull access denied for ${address}/x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
      });
      await assert.rejects(
        client.putManifest(parseReference(`${address}/x:y`), {
          mediaType: mediaTypes.ociManifest,
          bytes: Buffer.from('{}'),
        }),
        { kind: 'permission-denied', message: 'denied: requested access to the resource is denied' },
      );
    },
  ));

test("answers that are not a registry's become errors", () =>
  withHttp(
    (request, response) => {
      const name = request.url!.split('/')[2];
      if (name === 'html') return response.writeHead(404, { 'content-type': 'text/html' }).end('<html>no</html>');
      if (name === 'junk') return reply(response, 200, '{nope', { 'content-type': mediaTypes.ociManifest });
      if (name === 'huge')
        return response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(' '.repeat(5 << 20));
      if (name === 'endless') return endless(response);
      return reply(response, 200, '{}');
    },
    async (address) => {
      await using client = createRegistryClient({ retry });
      const get = (name: string) => client.manifest(parseReference(`${address}/${name}:x`));
      await assert.rejects(get('html'), { message: 'unknown: <html>no</html>' });
      await assert.rejects(get('junk'), { kind: 'invalid-argument' });
      await assert.rejects(get('huge'), { kind: 'out-of-range' });
      await assert.rejects(get('endless'), { kind: 'out-of-range' });
    },
  ));

function endless(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': mediaTypes.ociManifest });
  const timer = setInterval(() => response.write(' '.repeat(1 << 20)), 1);
  response.on('close', () => clearInterval(timer));
}

test('a manifest with another digest is not taken', () =>
  withHttp(
    (_, response) =>
      reply(
        response,
        200,
        { schemaVersion: 2, config: {}, layers: [] },
        { 'docker-content-digest': digestOf('other') },
      ),
    async (address) => {
      await using client = createRegistryClient({ retry });
      const reference = parseReference(`${address}/x:y`);
      const digest = digestOf('wanted');
      await assert.rejects(client.manifest(reference), { kind: 'data-loss' });
      await assert.rejects(client.manifest({ ...reference, digest }), {
        kind: 'data-loss',
        message: `manifest verification failed for digest ${digest}`,
      });
    },
  ));

test('a blob whose connection breaks says so, for the caller to resume', () => {
  const bytes = randomBytes(500_000);
  const cutting: Before = (request, response) => {
    if (request.method === 'GET' && request.url?.includes('/blobs/') && !request.headers.range) {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 200_000), () => setTimeout(() => response.socket?.destroy(), 20));
      return true;
    }
    return false;
  };
  return withRegistry(cutting, async ({ client, reference }) => {
    await client.pushBlob(reference, blobOf(bytes));
    const { source } = await client.blob(reference, digestOf(bytes));
    let got = 0;
    await assert.rejects(
      async () => {
        for await (const chunk of source) got += chunk.byteLength;
      },
      (error) => isKind(error, 'unavailable') && error instanceof RegistryError && error.retryable,
    );
    assert.equal(got, 200_000);
    const rest = await client.blob(reference, digestOf(bytes), { offset: got });
    assert.deepEqual(await readAll(rest.source, bytes.length), bytes.subarray(got));
  });
});

test('a server without ranges sends from the start, and the answer says so', () => {
  const bytes = randomBytes(1000);
  const rangeless: Before = (request) => {
    delete request.headers.range;
    return false;
  };
  return withRegistry(rangeless, async ({ client, reference }) => {
    await client.pushBlob(reference, blobOf(bytes));
    const { offset, source } = await client.blob(reference, digestOf(bytes), { offset: 10 });
    assert.equal(offset, 0);
    assert.deepEqual(await readAll(source, 2000), bytes);
  });
});

test('a registry that lacks HEAD is asked with GET', () => {
  const headless: Before = (request, response) => request.method === 'HEAD' && reply(response, 405);
  return withRegistry(headless, async ({ client, reference }) => {
    const { digest, layer } = await pushImage(client, reference).catch((error: unknown) => {
      throw error;
    });
    assert.equal((await client.resolve(reference)).digest, digest);
    assert.equal(await client.hasBlob(reference, digestOf(layer)), true);
    assert.equal(await client.hasBlob(reference, digestOf('none')), false);
  });
});

test('a redirect to another host is followed without credentials', async () => {
  const authorizations: (string | undefined)[] = [];
  const bytes = Buffer.from('stored elsewhere');
  await withHttp(
    (request, response) => {
      authorizations.push(request.headers.authorization);
      response.end(bytes);
    },
    async (storage) => {
      const redirecting: Before = (request, response) => {
        if (request.headers.authorization !== basic('me', 'secret')) {
          return reply(response, 401, '', { 'www-authenticate': 'Basic realm="x"' });
        }
        if (request.method === 'GET' && request.url?.includes('/blobs/')) {
          response.writeHead(307, { location: `http://${storage}/blob?signature=1` }).end();
          return true;
        }
        return false;
      };
      await withRegistry(redirecting, async ({ client, reference }) => {
        const auth = { username: 'me', password: 'secret' };
        const { source } = await client.blob(reference, digestOf(bytes), { auth });
        assert.deepEqual(await readAll(source, 100), bytes);
      });
    },
  );
  assert.deepEqual(authorizations, [undefined]);
});

test('redirects without end are refused', async () => {
  const looping: Before = (request, response) => {
    if (request.url === '/v2/') return false;
    response.writeHead(302, { location: request.url! }).end();
    return true;
  };
  await withRegistry(looping, async ({ client, reference }) => {
    await assert.rejects(client.manifest(reference), /stopped after 10 redirects/);
  });
});

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

test('basic credentials are sent when asked for', () => {
  const guarded: Before = (request, response) =>
    request.headers.authorization !== basic('u', 'p') &&
    reply(
      response,
      401,
      { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] },
      { 'www-authenticate': 'Basic realm="r"' },
    );
  return withRegistry(guarded, async ({ client, reference, address }) => {
    const auth = { auth: Buffer.from('u:p').toString('base64') };
    const bytes = randomBytes(10);
    assert.equal(await client.pushBlob(reference, blobOf(bytes), { auth }), 'pushed');
    await assert.rejects(client.manifest(reference), {
      message: `Get "http://${address}/v2/team/app/manifests/v1": no basic auth credentials`,
    });
    await assert.rejects(client.pushBlob(reference, blobOf(bytes)), { message: 'no basic auth credentials' });
    const wrong = { username: 'u', password: 'wrong' };
    await assert.rejects(client.manifest(reference, { auth: wrong }), {
      kind: 'unauthenticated',
      message: 'unauthorized: authentication required',
    });
    assert.deepEqual(await client.login({ username: 'u', password: 'p', serveraddress: address }), {
      status: 'Login Succeeded',
      identityToken: '',
    });
    await assert.rejects(client.login({ ...wrong, serveraddress: `http://${address}/v1/` }), {
      message: `login attempt to http://${address}/v2/ failed with status: 401 Unauthorized`,
      status: 401,
    });
    await assert.rejects(client.login({ serveraddress: address }), {
      message: `Get "http://${address}/v2/": no basic auth credentials`,
    });
  });
});

/** A registry whose tokens come from `/token` of the same server; `issued` counts and remembers how they were asked for. */
function tokenGuard(valid: Set<string>) {
  const asked: { method: string; query: URLSearchParams; authorization: string | undefined }[] = [];
  const before: Before = async (request, response) => {
    const url = new URL(request.url!, `http://${request.headers.host}`);
    if (url.pathname === '/token') {
      const form = request.method === 'POST' ? (await readAll(request, 10_000)).toString() : url.search;
      const query = new URLSearchParams(form);
      asked.push({ method: request.method!, query, authorization: request.headers.authorization });
      if (request.headers.authorization === basic('u', 'wrong')) {
        return reply(response, 401, { details: 'incorrect username or password' });
      }
      const token = `token${asked.length}`;
      valid.add(`Bearer ${token}`);
      return reply(response, 200, {
        token,
        expires_in: 300,
        ...(query.has('offline_token') ? { refresh_token: 'identity' } : {}),
      });
    }
    if (valid.has(request.headers.authorization ?? '')) return false;
    return reply(
      response,
      401,
      { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] },
      {
        'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="registry, the",scope="x"`,
      },
    );
  };
  return { before, asked };
}

test('bearer tokens are fetched per scope and kept', async () => {
  const { before, asked } = tokenGuard(new Set());
  await withRegistry(before, async ({ client, reference }) => {
    const auth = { username: 'u', password: 'p' };
    const bytes = randomBytes(10);
    await client.pushBlob(reference, blobOf(bytes), { auth });
    await client.pushBlob(reference, blobOf(randomBytes(20)), { auth });
    assert.equal(asked.length, 1);
    assert.deepEqual(asked[0]!.query.getAll('scope'), ['repository:team/app:pull,push']);
    assert.equal(asked[0]!.query.get('service'), 'registry, the');
    assert.equal(asked[0]!.query.get('account'), 'u');
    assert.equal(asked[0]!.authorization, basic('u', 'p'));
    await client.pushBlob({ ...reference, path: 'other' }, blobOf(bytes), { auth, mountFrom: ['team/app'] });
    assert.deepEqual(asked.at(-1)!.query.getAll('scope'), ['repository:other:pull,push', 'repository:team/app:pull']);
    await client.hasBlob(reference, digestOf(bytes));
    assert.equal(asked.at(-1)!.authorization, undefined, "another caller's token is not used");
  });
});

test('identity tokens are exchanged with POST, and login gives one', async () => {
  const { before, asked } = tokenGuard(new Set());
  await withRegistry(before, async ({ client, reference, address }) => {
    const { status, identityToken } = await client.login({ username: 'u', password: 'p', serveraddress: address });
    assert.deepEqual([status, identityToken], ['Login Succeeded', 'identity']);
    await client.hasBlob(reference, digestOf('x'), { auth: { identitytoken: identityToken } });
    const { method, query } = asked.at(-1)!;
    assert.equal(method, 'POST');
    assert.deepEqual(Object.fromEntries(query), {
      grant_type: 'refresh_token',
      client_id: 'docker',
      refresh_token: 'identity',
      service: 'registry, the',
      scope: 'repository:team/app:pull',
    });
    await assert.rejects(client.manifest(reference, { auth: { username: 'u', password: 'wrong' } }), {
      kind: 'unauthenticated',
      message: `Get "http://${address}/v2/team/app/manifests/v1": unauthorized: incorrect username or password`,
    });
    await assert.rejects(client.login({ username: 'u', password: 'wrong', serveraddress: address }), {
      message: `Get "http://${address}/v2/": unauthorized: incorrect username or password`,
    });
  });
});

test('an expired token is replaced, in the middle of a push, too', async () => {
  const valid = new Set<string>();
  const { before, asked } = tokenGuard(valid);
  await withRegistry(before, async ({ client, reference }) => {
    await pushImage(client, reference);
    valid.clear();
    await client.manifest(reference);
    const bytes = randomBytes(100_000);
    valid.clear();
    let opened = 0;
    await client.pushStream(
      reference,
      () => {
        if (opened++ === 0) valid.clear();
        return fromBytes(bytes);
      },
      () => ({ digest: digestOf(bytes), sizeBytes: bytes.length }),
    );
    assert.equal(opened, 2);
    assert.equal(await client.hasBlob(reference, digestOf(bytes)), true);
    assert.ok(asked.length >= 4);
  });
});

test('a registry token is sent as it is', async () => {
  const valid = new Set(['Bearer given']);
  const { before, asked } = tokenGuard(valid);
  await withRegistry(before, async ({ client, reference }) => {
    await client.hasBlob(reference, digestOf('x'), { auth: { registrytoken: 'given' } });
    assert.equal(asked.length, 0);
  });
});

test('docker.io reads go to a mirror first, without credentials', async () => {
  const authorizations = new Set<string | undefined>();
  await withRegistry(
    (request) => {
      authorizations.add(request.headers.authorization);
      return false;
    },
    async ({ client, reference, address }) => {
      const { digest } = await pushImage(client, { ...reference, path: 'library/app' });
      await using mirrored = createRegistryClient({ retry, mirrors: [`http://${address}`] });
      const auth = { username: 'u', password: 'p' };
      assert.equal((await mirrored.manifest(parseReference('app:v1'), { auth })).descriptor.digest, digest);
    },
  );
  assert.deepEqual([...authorizations], [undefined]);
});

test('an abort ends a call with its reason', () =>
  withHttp(
    (request, response) => {
      if (request.url === '/v2/') response.end('{}');
    },
    async (address) => {
      await using client = createRegistryClient({ retry });
      const controller = new AbortController();
      const reason = new Error('enough');
      setTimeout(() => controller.abort(reason), 30);
      await assert.rejects(client.manifest(parseReference(`${address}/x:y`), { signal: controller.signal }), reason);
    },
  ));

test('the same request twice asks the registry once for its endpoint', () =>
  withRegistry(nobody, async ({ client, reference, seen }) => {
    const digests = ['a', 'b', 'c'].map((text) => digestOf(text) as Digest);
    await Promise.all(digests.map((digest) => client.hasBlob(reference, digest)));
    assert.equal(seen.filter((line) => line === 'GET /v2/').length, 1);
  }));

test('search reads the v1 index', () =>
  withHttp(
    (request, response) => {
      if (!request.url?.startsWith('/v1/search')) return reply(response, 200, '{}');
      const url = new URL(request.url, 'http://x');
      assert.deepEqual([url.searchParams.get('q'), url.searchParams.get('n')], ['some/app', '2']);
      return reply(response, 200, {
        results: [{ name: 'app', star_count: 3, is_official: true }, { name: 'two' }, { name: 'three' }],
      });
    },
    async (address) => {
      await using client = createRegistryClient({ retry });
      const results = await client.search(`${address}/some/app`, { limit: 2 });
      assert.deepEqual(results, [
        { name: 'app', description: '', star_count: 3, is_official: true, is_automated: false },
        { name: 'two', description: '', star_count: 0, is_official: false, is_automated: false },
      ]);
      await assert.rejects(client.search('x', { limit: 101 }), { kind: 'invalid-argument' });
    },
  ));

test('a registry that restarts is waited for', async () => {
  const server = createServer((_, response) => response.end('{}'));
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  await using client = createRegistryClient({ retry: { attempts: 8, firstDelayMs: 20 } });
  const reference = parseReference(`127.0.0.1:${port}/x`);
  assert.equal(await client.hasBlob(reference, digestOf('x')), true);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  const answer = client.hasBlob(reference, digestOf('x'));
  setTimeout(() => void listen(port), 100);
  assert.equal(await answer, true);
  server.closeAllConnections();
  server.close();
});
