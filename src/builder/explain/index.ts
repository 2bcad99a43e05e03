export { Explainer, type StepOutcome } from './explainer.ts';
export { listen } from './listen.ts';
export { EarlierSteps } from './nearest.ts';
