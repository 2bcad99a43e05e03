import type { AuthConfig } from '#api-types';
import { loginDomain } from '#registry';

/**
 * Of credentials that a client sent along, those for a registry. Clients key them as in their configuration file: by host, by URL, and Docker Hub's by its
 * old index, `https://index.docker.io/v1/`. @param domain as in references: `docker.io` for Docker Hub
 */
export function givenAuth(auths: Readonly<Record<string, AuthConfig>> = {}, domain: string): AuthConfig | undefined {
  return Object.entries(auths).find(([key]) => loginDomain(key) === domain)?.[1];
}
