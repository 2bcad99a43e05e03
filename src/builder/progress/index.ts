export { ClassicProgress } from './classic.ts';
export { silently, type Tell } from './events.ts';
export { failureText } from './failure-text.ts';
export { contextVertex, definitionVertex, ignoreVertex, named as namedVertex } from './shown-vertexes.ts';
export type { BuildStatus, OnStatus, ShownVertex } from './types.ts';
export { BuildWatch } from './watch.ts';
