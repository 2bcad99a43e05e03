import { parseReference } from '#reference';

/** Docker Hub's key in every config file there is. */
export const hubKey = 'https://index.docker.io/v1/';
const hubHosts: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);

/** `https://registry.example.com/v2/` → `registry.example.com`; Docker Hub's hosts are one; a path stays. */
export function normaliseKey(key: string): string {
  const plain = key
    .replace(/^https?:\/\//, '')
    .replace(/\/+$/, '')
    .replace(/\/v[12]$/, '');
  const [host = '', ...path] = plain.split('/');
  return [hubHosts.has(host.toLowerCase()) ? 'docker.io' : host, ...path].join('/');
}

/** What may hold a repository's credentials, the narrowest first: `host/team/app`, `host/team`, `host`. */
export function candidateKeys(reference: string): readonly string[] {
  const { domain, path } = parseReference(reference);
  const parts = [domain, ...path.split('/')];
  return parts.map((_, at) => normaliseKey(parts.slice(0, parts.length - at).join('/')));
}

/** How a helper, or the file, calls a normalised key. */
export function storedKey(key: string): string {
  return key === 'docker.io' ? hubKey : key;
}
