/**
 * Build contexts that come as a listing: names at once, contents when a step needs them and nothing is remembered of them. Knows nothing of the wire:
 * who has the files is asked through `ListedContext`.
 */
export { ContextMemory } from './context-memory.ts';
export { ListedTree } from './listed-tree.ts';
