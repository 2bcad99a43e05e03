import type { BuildOptions, CallOptions, ProgressMessage, RebuildReport } from '#api-types';
import { EngineError } from '#errdefs';
import { buildArgs, splitPair } from '../build-arguments.ts';
import { buildContext } from '../build-source.ts';
import type { Command } from '../command.ts';
import type { Flags } from '../flags.ts';
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
    { name: 'add-host', type: 'list', help: 'Add a custom host-to-IP mapping (host:ip)' },
    { name: 'build-arg', type: 'list', help: 'Set build-time variables, as for the build that made the image' },
    { name: 'file', short: 'f', type: 'string', help: 'Name of the Dockerfile (Default is "PATH/Dockerfile")' },
    { name: 'json', type: 'toggle', help: 'Print what differs as JSON' },
    { name: 'label', type: 'list', help: 'Set metadata for an image' },
    { name: 'network', type: 'string', help: 'Set the networking mode for the RUN instructions during build' },
    { name: 'platform', type: 'string', help: 'Set platform if server is multi-platform capable' },
    { name: 'quiet', short: 'q', type: 'toggle', help: 'Suppress the build output' },
    { name: 'rebuild', type: 'toggle', help: 'Build without the cache, and compare file by file' },
    { name: 'squash', type: 'toggle', help: 'Squash newly built layers into a single new layer' },
    { name: 'target', type: 'string', help: 'Set the target build stage to build' },
  ],
  async run({ flags, args, engine, terminal, environment, signal }) {
    if (!flags.on('rebuild'))
      throw new UsageError('"wherry image verify" needs --rebuild: an image is verified by building it again');
    const [image = '', path = '.'] = args;
    const { source, dockerfile } = await buildContext(path, flags.text('file'), terminal.stdin);
    const options = { ...optionsOf(flags, environment), rebuild: image, dockerfile, signal };
    const messages = 'listing' in source ? engine().buildListed(source, options) : engine().build(source, options);
    const kept: { report?: RebuildReport } = {};
    await drawProgress(withoutReport(messages, kept), terminal.stderr, { quiet: flags.on('quiet') });
    const { report } = kept;
    if (!report) throw new EngineError('unknown', `verify ${image}: the daemon sent no report`);
    terminal.stdout.write(flags.on('json') ? `${JSON.stringify(report, undefined, 2)}\n` : rebuildText(report));
    return report.identical ? 0 : 1;
  },
};

function optionsOf(
  flags: Flags,
  environment: Readonly<Record<string, string | undefined>>,
): BuildOptions & CallOptions {
  const text = (name: string) => flags.text(name);
  return {
    buildargs: buildArgs(flags.list('build-arg'), environment),
    labels: Object.fromEntries(flags.list('label').map(splitPair)),
    ...(flags.on('squash') ? { squash: true } : {}),
    ...(text('target') ? { target: text('target')! } : {}),
    ...(text('platform') ? { platform: text('platform')! } : {}),
    ...(text('network') ? { networkmode: text('network')! } : {}),
    ...(flags.list('add-host').length > 0 ? { extrahosts: flags.list('add-host') } : {}),
  };
}

async function* withoutReport(
  messages: AsyncIterable<ProgressMessage>,
  kept: { report?: RebuildReport },
): AsyncGenerator<ProgressMessage> {
  for await (const message of messages) {
    if (message.rebuild) kept.report = message.rebuild;
    else if (message.warnings === undefined || message.stream !== undefined) yield message;
  }
}
