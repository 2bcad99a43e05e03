export { checkUserNamespace, idsOf, remapOf } from './container-ids.ts';
export { containerOwner, hostOwner, type IDMapping, mapText, type Owner, rootOf } from './id-mapping.ts';
export { openRemap, type Remap } from './remap.ts';
