import { EngineError } from '#errdefs';
import type { Solved } from '../control/running-build.ts';
import type { BuildKitHost, BuildWish } from '../types.ts';
import { lintAnswer } from './lint.ts';
import { outlineAnswer } from './outline.ts';
import { type SubrequestAnswer, table } from './subrequest-answer.ts';
import { targetsAnswer } from './targets.ts';

const version = '1.0.0';

/** `--call` of buildx: something about a Dockerfile in place of an image. @throws `not-implemented` for a call that is not known */
export async function answerSubrequest(name: string, wish: BuildWish, host: BuildKitHost): Promise<Solved> {
  const { json, text, status } = await answerOf(name, wish, host);
  const metadata = {
    'result.json': JSON.stringify(json, null, 2),
    'result.txt': text,
    ...(status === undefined ? {} : { 'result.statuscode': String(status) }),
    version,
  };
  const bytes = Object.entries(metadata).map(([key, value]) => [key, Buffer.from(value)] as const);
  return { ref: '', images: [], metadata: Object.fromEntries(bytes) };
}

async function answerOf(name: string, wish: BuildWish, host: BuildKitHost): Promise<SubrequestAnswer> {
  const text = wish.dockerfileText;
  if (!text) throw new EngineError('not-implemented', `${name} needs a Dockerfile of the client's own`);
  const target = wish.options.target ?? '';
  switch (name) {
    case 'frontend.lint':
      return await lintAnswer(text, () => host.check(wish));
    case 'frontend.outline':
      return outlineAnswer(text.bytes, target, wish.options.buildargs ?? {});
    case 'frontend.targets':
      return targetsAnswer(text.bytes, target);
    case 'frontend.subrequests.describe':
      return describeAnswer();
    default:
      throw new EngineError('not-implemented', `unsupported request ${name}`);
  }
}

const described: readonly (readonly [name: string, description: string])[] = [
  ['frontend.outline', 'List all parameters current build target supports'],
  ['frontend.targets', 'List all targets current build supports'],
  ['frontend.subrequests.describe', 'List available subrequest types'],
];

function describeAnswer(): SubrequestAnswer {
  const metadata = [{ name: 'result.json' }, { name: 'result.txt' }];
  const json = described.map(([name, description]) => ({ name, version, type: 'rpc', description, metadata }));
  return {
    json,
    text: table(
      ['NAME', 'VERSION', 'DESCRIPTION'],
      described.map(([name, text]) => [name, version, text]),
    ),
  };
}
