export { inputsFirst } from './inputs-first.ts';
export { type Prediction, predict } from './predict.ts';
export { Solver } from './solver.ts';
export type * from './types.ts';
