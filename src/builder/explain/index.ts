export { Explainer, type StepOutcome } from './explainer.ts';
export { EarlierSteps } from './nearest.ts';
