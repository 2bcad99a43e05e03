import { withTaskGroup } from '#concurrency';
import { EngineError } from '#errdefs';
import { formatPlatform, type Platform, parsePlatform } from '#oci';
import { importCaches } from '../cache/index.ts';
import type { BuiltImage, FrontendCall, RunningBuild, Solved } from '../control/running-build.ts';
import type { BuildKitHost, BuildWish } from '../types.ts';
import { type DecodedAttributes, decodeAttributes } from './attributes.ts';
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
    const { cachefrom = [] } = wish.options;
    const imported = await importCaches(build, host, wish, attributes.cacheImports);
    const cached = { ...wish, options: { ...wish.options, cachefrom: [...cachefrom, ...imported] } };
    return build.resultOf(await buildAll(host, cached, attributes), attributes.isForSeveral);
  });
}

/** One platform beside the other: what they share is done once. */
async function buildAll(
  host: BuildKitHost,
  wish: BuildWish,
  { platforms, isForSeveral }: DecodedAttributes,
): Promise<readonly BuiltImage[]> {
  const { signal, options } = wish;
  if (!isForSeveral) return [{ id: (await host.build(wish)).id, platform: platformOf(host, options.platform) }];
  if (wish.files.kind === 'tar' && platforms.length > 1) {
    throw new EngineError(
      'not-implemented',
      'a build for several platforms of a context that comes as a tar is not supported',
    );
  }
  return await withTaskGroup(
    async (group) => {
      const all = [...new Set(platforms.length > 0 ? platforms : [formatPlatform(host.platforms[0]!)])];
      const builds = all.map((platform) =>
        group.run(async (within) => {
          const one = { ...wish, options: { ...options, platform }, shownPlatform: platform, signal: within };
          return { id: (await host.build(one)).id, platform: parsePlatform(platform) };
        }),
      );
      return await Promise.all(builds);
    },
    { signal },
  );
}

function platformOf(host: BuildKitHost, platform: string | undefined): Platform {
  return platform === undefined ? host.platforms[0]! : parsePlatform(platform);
}
