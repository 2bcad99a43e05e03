import { writeFile } from 'node:fs/promises';
import type {
  BuildOptions,
  BuildStepExplanation,
  BuildStepPrediction,
  BuildWarning,
  CallOptions,
  ProgressMessage,
} from '#api-types';
import { messageOf, placeOf } from '#errdefs';
import { parseReference } from '#reference';
import { imageFlags, imageOptions } from '../build-arguments.ts';
import { announced, buildContext } from '../build-source.ts';
import { checkText, warningsText } from '../build-warnings.ts';
import type { Command, Terminal } from '../command.ts';
import { explanationText, planText } from '../explanation.ts';
import { UsageError } from '../flags.ts';
import { drawProgress } from '../progress.ts';
import { shellOnFail } from '../shell-on-fail.ts';

export const buildCommand: Command = {
  name: 'build',
  usage: '[OPTIONS] PATH | -',
  summary: 'Build an image from a Dockerfile',
  aliases: ['image build', 'builder build'],
  minArgs: 1,
  maxArgs: 1,
  flags: [
    ...imageFlags,
    { name: 'check', type: 'toggle', help: 'Only say what the build checks find in the Dockerfile' },
    { name: 'explain', type: 'toggle', help: 'Say of every step why it was or was not taken from the cache' },
    { name: 'explain-file', type: 'string', help: 'Write what --explain says to the file, as JSON' },
    { name: 'force-rm', type: 'toggle', help: 'Always remove intermediate containers' },
    { name: 'iidfile', type: 'string', help: 'Write the image ID to the file' },
    { name: 'keep-failed', type: 'toggle', help: 'Keep the container of a step that fails, for build debug' },
    { name: 'no-cache', type: 'toggle', help: 'Do not use cache when building the image' },
    { name: 'plan', type: 'toggle', help: 'Only say which steps would run, and what they took the last time' },
    { name: 'pull', type: 'toggle', help: 'Always attempt to pull a newer version of the image' },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Suppress the build output and print image ID on success' },
    { name: 'rm', type: 'toggle', help: 'Remove intermediate containers after a successful build (default true)' },
    { name: 'shell-on-fail', type: 'toggle', help: 'Run a shell in the container of a step that fails' },
    { name: 'tag', short: 't', type: 'list', help: 'Name and optionally a tag in the "name:tag" format' },
  ],
  async run(commandContext) {
    const { flags, args, engine, terminal, environment, signal } = commandContext;
    if (flags.on('shell-on-fail') && (args[0] === '-' || flags.text('file') === '-')) {
      throw new UsageError('--shell-on-fail needs standard input for the shell');
    }
    for (const tag of flags.list('tag')) checkTag(tag);
    const context = await buildContext(args[0]!, flags.text('file'), terminal.stdin);
    const quiet = flags.on('quiet');
    const source =
      quiet || flags.on('plan') || flags.on('check') ? context.source : announced(context.source, terminal.stdout);
    const isExplained = flags.on('explain') || flags.has('explain-file');
    const options: BuildOptions & CallOptions = {
      dockerfile: context.dockerfile,
      t: flags.list('tag'),
      ...imageOptions(flags, environment),
      nocache: flags.on('no-cache'),
      pull: flags.on('pull'),
      q: quiet,
      ...(isExplained ? { explain: true } : {}),
      ...(flags.on('plan') ? { plan: true } : {}),
      ...(flags.on('check') ? { check: true } : {}),
      rm: flags.has('rm') ? flags.on('rm') : true,
      forcerm: flags.on('force-rm') && !flags.on('shell-on-fail'),
      ...(flags.on('shell-on-fail') || flags.on('keep-failed') ? { keepfailed: true } : {}),
      signal,
    };
    const messages = 'listing' in source ? engine().buildListed(source, options) : engine().build(source, options);
    if (flags.on('plan')) {
      terminal.stdout.write(planText(await planOf(messages)));
      return 0;
    }
    if (flags.on('check')) {
      const warnings = (await Array.fromAsync(messages)).flatMap((message) => message.warnings ?? []);
      terminal.stdout.write(checkText(warnings));
      return warnings.length > 0 ? 1 : 0;
    }
    const steps: BuildStepExplanation[] = [];
    const warnings: BuildWarning[] = [];
    const shown = withoutAsides(messages, { steps, warnings });
    const drawn = quiet ? drawQuietly(shown, terminal) : drawAloud(shown, terminal);
    let aux: { ID?: string } | undefined;
    try {
      aux = (await drawn.finally(async () => {
        await report(steps, flags.on('explain') ? terminal : undefined, flags.text('explain-file'));
        terminal.stderr.write(warningsText(warnings));
      })) as { ID?: string } | undefined;
    } catch (error) {
      if (!flags.on('shell-on-fail')) throw error;
      return await shellOnFail(commandContext, error);
    }
    const iidfile = flags.text('iidfile');
    if (iidfile !== undefined && aux?.ID !== undefined) await writeFile(iidfile, aux.ID);
    return 0;
  },
};

async function planOf(messages: AsyncIterable<ProgressMessage>): Promise<BuildStepPrediction[]> {
  const steps: BuildStepPrediction[] = [];
  for await (const { plan } of messages) if (plan) steps.push(plan);
  return steps;
}

/** Sets explanations and warnings aside until the build has ended, however it ends; where it failed is told with its error. */
async function* withoutAsides(
  messages: AsyncIterable<ProgressMessage>,
  { steps, warnings }: { steps: BuildStepExplanation[]; warnings: BuildWarning[] },
): AsyncGenerator<ProgressMessage> {
  for await (const message of messages) {
    if (message.explain) steps.push(message.explain);
    if (message.warnings) warnings.push(...message.warnings);
    if (!message.explain && !message.warnings && !message.fault) yield message;
  }
}

async function report(
  steps: readonly BuildStepExplanation[],
  terminal: Terminal | undefined,
  file: string | undefined,
): Promise<void> {
  terminal?.stdout.write(explanationText(steps));
  if (file !== undefined) await writeFile(file, `${JSON.stringify(steps, undefined, 2)}\n`);
}

function checkTag(tag: string): void {
  try {
    parseReference(tag);
  } catch (error) {
    throw new UsageError(`invalid argument "${tag}" for "-t, --tag" flag: ${messageOf(error)}`);
  }
}

/** Where standard output is kept elsewhere, what a command said last stands above the error of it. */
async function drawAloud(messages: AsyncIterable<ProgressMessage>, { stdout, stderr }: Terminal): Promise<unknown> {
  try {
    return await drawProgress(messages, stdout);
  } catch (error) {
    const output = stdout.isTTY ? undefined : placeOf(error)?.output;
    if (output) stderr.write(`${output}\n`);
    throw error;
  }
}

/** Nothing but the image's ID; when it fails, what it printed so far goes to standard error. */
async function drawQuietly(messages: AsyncIterable<ProgressMessage>, { stdout, stderr }: Terminal): Promise<unknown> {
  const held: string[] = [];
  const out = { write: (text: string) => held.push(text) > 0, isTTY: false } as unknown as NodeJS.WriteStream;
  try {
    const aux = await drawProgress(messages, out);
    stdout.write(held.join(''));
    return aux;
  } catch (error) {
    stderr.write(held.join(''));
    throw error;
  }
}
