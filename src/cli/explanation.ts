import type { BuildCause, BuildStepExplanation, BuildStepPrediction } from '#api-types';
import { humanSize } from './table.ts';

/** Causes shown of one step; a rewritten tree has thousands. */
const maxShown = 10;

/** One block per step: what it did, and below it every reason that it could not be taken from the cache. */
export function explanationText(steps: readonly BuildStepExplanation[]): string {
  return steps.map(stepText).join('');
}

/** A line per step, with what it took the last time, and a sum. */
export function planText(steps: readonly BuildStepPrediction[]): string {
  const lines = steps.map((step) => {
    const expected =
      step.expectedMs === undefined ? [] : [`  (${seconds(step.expectedMs)}, ${humanSize(step.expectedBytes ?? 0)})`];
    const emulated = step.emulated ? [`  emulated: ${step.platform}`] : [];
    return [`${outcomeText(step.outcome)}  step ${step.step}: ${firstLine(step.text)}`, ...expected, ...emulated].join(
      '',
    );
  });
  const running = steps.filter((step) => step.outcome === 'run');
  const known = running.filter((step) => step.expectedMs !== undefined);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const took = `${seconds(sum(known.map((step) => step.expectedMs!)))}, ${humanSize(sum(known.map((step) => step.expectedBytes ?? 0)))}`;
  const unknown = running.length - known.length;
  const estimate = known.length === 0 ? [] : [`they took ${took} the last time`];
  const rest = unknown === 0 ? [] : [`${unknown} of them ${unknown === 1 ? 'is' : 'are'} new`];
  return `${[...lines, [`${running.length} of ${steps.length} steps would run`, ...estimate, ...rest].join('; ')].join('\n')}\n`;
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
const outcomeText = (outcome: 'cached' | 'run') => (outcome === 'cached' ? 'cached' : 'run   ');

function stepText({ step, text, outcome, causes, tookMs, commandMs }: BuildStepExplanation): string {
  const head = `${outcomeText(outcome)}  step ${step}: ${firstLine(text)}${timeText(tookMs, commandMs)}\n`;
  const shown = causes.slice(0, maxShown).map((cause) => `          ${causeText(cause)}\n`);
  const more = causes.length > maxShown ? [`          and ${causes.length - maxShown} more\n`] : [];
  return [head, ...shown, ...more].join('');
}

/** What a step took, and how much of it around its command: preparing, starting, reading what it left. */
function timeText(tookMs: number | undefined, commandMs: number | undefined): string {
  if (tookMs === undefined) return '';
  const around = commandMs === undefined ? '' : `, ${Math.max(tookMs - commandMs, 0)} ms of it around the command`;
  return `  (${tookMs < 1000 ? `${tookMs} ms` : seconds(tookMs)}${around})`;
}

function causeText(cause: BuildCause): string {
  switch (cause.kind) {
    case 'no-cache':
      return 'the build was told to use no cache';
    case 'new':
      return 'nothing like it was built here before';
    case 'pruned':
      return 'its result was pruned from the build cache';
    case 'image-removed':
      return 'the image it had made was removed';
    case 'base':
      return `the image that the stage starts from was ${shortID(cause.before)}, is ${shortID(cause.after)}`;
    case 'step-before':
      return `step ${cause.step} left another result`;
    case 'platform':
      return `the platform was ${cause.before}, is ${cause.after}`;
    case 'instruction':
      return `the line was: ${firstLine(cause.before)}`;
    case 'variable':
      return `${cause.name} was ${valueText(cause.before)}, is ${valueText(cause.after)}`;
    case 'files':
      return 'files it copies have changed (more than are named)';
    case 'setting':
      return settingText(cause.name);
    case 'file':
      return fileText(cause);
    default:
      return cause satisfies never;
  }
}

const settingTexts: Readonly<Record<string, string>> = {
  buildTime: 'another SOURCE_DATE_EPOCH, or an image that it copies from is of another date',
  fileTimes: 'files that it copies are of another date',
};

function settingText(name: string): string {
  return settingTexts[name] ?? `another ${name}`;
}

function fileText({ change, path, before, after, ignoredBy }: Extract<BuildCause, { kind: 'file' }>): string {
  switch (change) {
    case 'added':
      return `${path} is new`;
    case 'removed':
      return ignoredBy === undefined ? `${path} is gone` : `${path} is hidden by .dockerignore: ${ignoredBy}`;
    case 'renamed':
      return `${before} is now ${after}`;
    case 'content':
      return `${path} has another content`;
    default:
      return `${path}: ${change} was ${before}, is ${after}`;
  }
}

const valueText = (value: string | null) => (value === null ? 'unset' : JSON.stringify(value));
const firstLine = (text: string) => text.split('\n', 1)[0]!;
const shortID = (id: string) => id.replace(/^sha256:/, '').slice(0, 12);
