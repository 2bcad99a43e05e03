import type { ProgressMessage, RebuildReport } from '#api-types';
import { EngineError } from '#errdefs';
import { imageFlags, imageOptions } from '../build-arguments.ts';
import { buildContext } from '../build-source.ts';
import type { Command } from '../command.ts';
import { UsageError } from '../flags.ts';
import { drawProgress } from '../progress.ts';
import { rebuildText } from '../rebuild-text.ts';

export const imageVerifyCommand: Command = {
  name: 'image verify',
  usage: '[OPTIONS] IMAGE [PATH | -]',
  summary: 'Build an image again and say what differs',
  minArgs: 1,
  maxArgs: 2,
  flags: [
    ...imageFlags,
    { name: 'json', type: 'toggle', help: 'Print what differs as JSON' },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Suppress the build output' },
    { name: 'rebuild', type: 'toggle', help: 'Build without the cache, and compare file by file' },
  ],
  async run({ flags, args, engine, terminal, environment, signal }) {
    if (!flags.on('rebuild'))
      throw new UsageError('"wherry image verify" needs --rebuild: an image is verified by building it again');
    const [image = '', path = '.'] = args;
    const { source, dockerfile } = await buildContext(path, flags.text('file'), terminal.stdin);
    const options = { ...imageOptions(flags, environment), rebuild: image, dockerfile, signal };
    const messages = 'listing' in source ? engine().buildListed(source, options) : engine().build(source, options);
    const kept: { report?: RebuildReport } = {};
    await drawProgress(withoutReport(messages, kept), terminal.stderr, { quiet: flags.on('quiet') });
    const { report } = kept;
    if (!report) throw new EngineError('unknown', `verify ${image}: the daemon sent no report`);
    terminal.stdout.write(flags.on('json') ? `${JSON.stringify(report, undefined, 2)}\n` : rebuildText(report));
    return report.identical ? 0 : 1;
  },
};

async function* withoutReport(
  messages: AsyncIterable<ProgressMessage>,
  kept: { report?: RebuildReport },
): AsyncGenerator<ProgressMessage> {
  for await (const message of messages) {
    if (message.rebuild) kept.report = message.rebuild;
    else if (message.warnings === undefined || message.stream !== undefined) yield message;
  }
}
