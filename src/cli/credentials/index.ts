/** The client's credentials: `config.json` and the helpers that it names, as the docker CLI keeps them. */
export { configPath, type Environment } from './config-file.ts';
export { dropCredentials, type Kept, keepCredentials } from './keep.ts';
export { normaliseKey } from './keys.ts';
export { credentialsFor, type FoundCredentials, findCredentials, storedCredentials } from './lookup.ts';
