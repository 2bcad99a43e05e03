import { randomBytes } from 'node:crypto';
import { duplexPair } from 'node:stream';
import { Code, ConnectError } from '@connectrpc/connect';
import type { AuthConfig } from '#api-types';
import { GrpcServer } from '#grpc';
import type { ByteSource } from '#streams';
import { Auth } from '../proto/filesync_pb.ts';
import { Upload } from '../proto/upload_pb.ts';
import { ClientSession } from '../session/client-session.ts';
import type { Sessions } from '../session/sessions.ts';

/** What a call brings in its body and headers, in place of a client that serves. */
export interface PostedFiles {
  /** A tar; read once. */
  readonly body: ByteSource;
  /** By the names of registries. */
  readonly auths: Readonly<Record<string, AuthConfig>>;
}

const methods = [`/${Upload.typeName}/Pull`, `/${Auth.typeName}/Credentials`];

/** A session of this process with itself, so that a build finds what was posted where it finds what a client has. Dispose ends it. */
export class PostedSession implements Disposable {
  readonly id = randomBytes(16).toString('hex');
  readonly #server: GrpcServer;

  constructor(sessions: Sessions, files: PostedFiles) {
    const [ours, theirs] = duplexPair();
    this.#server = new GrpcServer((router) => {
      router.service(Upload, { pull: () => packets(files.body) });
      router.service(Auth, { credentials: ({ host }) => credentialsFor(files.auths, host) });
    });
    void this.#server.serve(theirs);
    void sessions.hold(new ClientSession(ours, { 'x-docker-expose-session-uuid': this.id }, methods));
  }

  /** Where a frontend finds the tar. */
  get url(): string {
    return `http://buildkit-session/${this.id}`;
  }

  [Symbol.dispose](): void {
    this.#server[Symbol.dispose]();
  }
}

async function* packets(body: ByteSource): AsyncGenerator<{ data: Uint8Array<ArrayBuffer> }> {
  for await (const chunk of body) yield { data: new Uint8Array(chunk) };
}

/** Docker Hub goes by three names here. */
const hubNames = ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io'];

function credentialsFor(auths: PostedFiles['auths'], host: string): { username: string; secret: string } {
  const names = host === 'registry-1.docker.io' ? hubNames : [host, `https://${host}`];
  const found = names.map((name) => auths[name]).find((auth) => auth !== undefined);
  if (!found) throw new ConnectError(`no credentials for ${host}`, Code.NotFound);
  if (found.identitytoken) return { username: '', secret: found.identitytoken };
  return { username: found.username ?? '', secret: found.password ?? '' };
}
