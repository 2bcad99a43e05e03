export { Explainer, type StepOutcome } from './explainer.ts';
