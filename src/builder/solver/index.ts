export { Solver } from './solver.ts';
export type * from './types.ts';
