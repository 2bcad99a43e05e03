import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildStepExplanation } from '#api-types';
import { EngineError, isErrno } from '#errdefs';
import { writeAtomic } from '#files';
import { type Digest, digestHex } from '#oci';
import type { EngineContext } from './context.ts';
import { resolveImage } from './images/resolve.ts';

/** Reports of builds that are kept; the oldest go first. */
const maxReports = 200;

const folderOf = (ctx: EngineContext) => join(ctx.root, 'builds');
const pathOf = (ctx: EngineContext, image: Digest) => join(folderOf(ctx), `${digestHex(image)}.json`);

/** Keeps what the build that ended in `image` says of its steps, in place of an earlier one of that image. */
export async function keepBuildReport(
  ctx: EngineContext,
  image: Digest,
  steps: readonly BuildStepExplanation[],
): Promise<void> {
  await mkdir(folderOf(ctx), { recursive: true, mode: 0o700 });
  await writeAtomic(pathOf(ctx, image), JSON.stringify(steps), { durable: false });
  const names = await readdir(folderOf(ctx));
  if (names.length <= maxReports) return;
  const dated = await Promise.all(
    names.map(async (name) => ({ name, ms: await modifiedMs(join(folderOf(ctx), name)) })),
  );
  const old = dated.sort((a, b) => b.ms - a.ms).slice(maxReports);
  for (const { name } of old) await rm(join(folderOf(ctx), name), { force: true });
}

/** What the last build that ended in an image said of its steps. @throws `not-found` */
export async function buildReport(ctx: EngineContext, name: string): Promise<readonly BuildStepExplanation[]> {
  const report = await knownReport(ctx, resolveImage(ctx, name).id);
  if (!report) throw new EngineError('not-found', `no build of ${name} is remembered`);
  return report;
}

/** The same; undefined when no build of it is remembered. */
export async function knownReport(
  ctx: EngineContext,
  image: Digest,
): Promise<readonly BuildStepExplanation[] | undefined> {
  try {
    return JSON.parse(await readFile(pathOf(ctx, image), 'utf8')) as BuildStepExplanation[];
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function modifiedMs(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0;
    throw error;
  }
}
