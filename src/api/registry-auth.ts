import type { AuthConfig } from '#api-types';
import type { Decoder } from './decode.ts';
import { map } from './decode.ts';
import { authConfig } from './decoders/small.ts';
import { unmarshal } from './go-json.ts';

/** Headers are bounded by the server; a header this long names every registry a person could know. */
const maxHeaderChars = 1 << 20;
const authConfigs = map(authConfig);

/** `X-Registry-Auth`: base64url JSON. As dockerd, what cannot be read counts as no credentials: a public pull needs none. */
export function registryAuth(header: string | undefined): AuthConfig | undefined {
  const auth = read(header, authConfig);
  return auth === undefined || Object.keys(auth).length === 0 ? undefined : auth;
}

/** `X-Registry-Config`: credentials by registry host, for a build. */
export function registryConfig(header: string | undefined): Readonly<Record<string, AuthConfig>> | undefined {
  const auths = read(header, authConfigs);
  return auths === undefined || Object.keys(auths).length === 0 ? undefined : auths;
}

function read<T>(header: string | undefined, decoder: Decoder<T>): T | undefined {
  if (header === undefined || header === '' || header.length > maxHeaderChars) return undefined;
  try {
    return decoder.decode(unmarshal(Buffer.from(header, 'base64url').toString('utf8')), '');
  } catch {
    return undefined;
  }
}
