/** A server for a test, and what is pushed to it. */
import assert from 'node:assert/strict';
import { digestOf, mediaTypes } from '#oci';
import { temporaryFolder } from '#testing';
import { type RegistryServer, type RegistryServerOptions, serveRegistry } from '../index.ts';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export type Call = (
  method: string,
  path: string,
  options?: { body?: string | Uint8Array; headers?: Record<string, string>; redirect?: 'manual' },
) => Promise<Reply>;

export interface Fixture {
  readonly call: Call;
  readonly server: RegistryServer;
  readonly root: string;
}

export function callTo(server: RegistryServer, headers: Record<string, string> = {}): Call {
  return async (method, path, options = {}) => {
    const url = path.startsWith('http') ? path : `http://${server.address}${path}`;
    const all = { ...headers, ...options.headers };
    const answer = await fetch(url, { method, ...options, headers: all } as RequestInit);
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
}

export async function withServer(
  body: (fixture: Fixture) => Promise<void>,
  options: Partial<RegistryServerOptions> = {},
): Promise<void> {
  await using folder = await temporaryFolder();
  await using server = await serveRegistry({ root: folder.path, addr: '127.0.0.1:0', ...options });
  await body({ call: callTo(server), server, root: folder.path });
}

export async function pushBlob(call: Call, name: string, bytes: string | Uint8Array): Promise<string> {
  const digest = digestOf(bytes);
  const begun = await call('POST', `/v2/${name}/blobs/uploads/`);
  assert.equal(begun.status, 202, begun.text);
  const put = await call('PUT', `${begun.headers.get('location')}?digest=${digest}`, { body: bytes });
  assert.equal(put.status, 201, put.text);
  assert.equal(put.headers.get('docker-content-digest'), digest);
  return digest;
}

export function codeOf(reply: Reply): string {
  return (JSON.parse(reply.text) as { errors: { code: string }[] }).errors[0]!.code;
}

export interface ImageParts {
  readonly layer?: string;
  readonly config?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export async function pushImage(
  call: Call,
  name: string,
  tag: string,
  parts: ImageParts = {},
): Promise<{ digest: string; text: string }> {
  const { layer = 'layer', config = '{}', annotations } = parts;
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: mediaTypes.ociConfig, digest: await pushBlob(call, name, config), size: config.length },
    layers: [{ mediaType: mediaTypes.ociLayerGzip, digest: await pushBlob(call, name, layer), size: layer.length }],
    ...(annotations ? { annotations } : {}),
  });
  await pushManifest(call, name, tag, text);
  return { digest: digestOf(text), text };
}

export async function pushManifest(call: Call, name: string, reference: string, text: string): Promise<Reply> {
  const type = (JSON.parse(text) as { mediaType?: string }).mediaType ?? mediaTypes.ociManifest;
  const put = await call('PUT', `/v2/${name}/manifests/${reference}`, {
    body: text,
    headers: { 'content-type': type },
  });
  assert.equal(put.status, 201, put.text);
  return put;
}
