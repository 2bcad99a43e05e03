import { EngineError } from '#errdefs';
import type { FrontendCall, RunningBuild, Solved } from '../control/running-build.ts';
import type { BuildKitHost } from '../types.ts';
import { decodeAttributes } from './attributes.ts';
import { requireOwnLanguage } from './own-language.ts';
import { answerSubrequest } from './subrequests.ts';
import { toldWhere } from './told-where.ts';
import { wishOf } from './wish.ts';

/** Runs what BuildKit calls a frontend. There is one: `dockerfile.v0`. @throws `not-implemented` for others; what a build throws */
export async function runFrontend(build: RunningBuild, host: BuildKitHost, call: FrontendCall): Promise<Solved> {
  if (call.frontend !== 'dockerfile.v0') {
    throw new EngineError('not-implemented', `frontend ${call.frontend} is not supported`);
  }
  const attributes = decodeAttributes(call.attributes);
  if (attributes.syntax !== undefined) requireOwnLanguage(attributes.syntax);
  const wish = await wishOf(build, attributes, call);
  return await toldWhere(wish.dockerfileText, async () => {
    if (wish.dockerfileText) requireOwnLanguage(wish.dockerfileText);
    if (attributes.subrequest !== undefined) return await answerSubrequest(attributes.subrequest, wish, host);
    const { id: imageID } = await host.build(wish);
    return build.resultOf(imageID);
  });
}
