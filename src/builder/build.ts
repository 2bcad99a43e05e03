import { availableParallelism } from 'node:os';
import type { BuildStepExplanation, BuildWarning } from '#api-types';
import { EngineError, placeOf, placeText } from '#errdefs';
import { log } from '#log';
import type { Metadata } from '#metadata';
import { type Digest, parsePlatform } from '#oci';
import { familiarString, formatReference, parseReference, withDefaultTag } from '#reference';
import { foreignCache, resolveBases, resolveCopyImages } from './bases.ts';
import { builtImage, noImage, type Solved } from './built-image.ts';
import { checkBuild, requireCheckOptions, warningText } from './checks.ts';
import { type ReadContext, readContext } from './context.ts';
import { BuildPlan } from './convert/index.ts';
import { BuildSession, Recorder, type StepState, toBytes } from './executor/index.ts';
import { Explainer, listen } from './explain/index.ts';
import { atStep, failedStep } from './failed-step.ts';
import { placeFault } from './fault.ts';
import { otherFrontend } from './frontend.ts';
import { type BuildGraph, buildGraph } from './graph.ts';
import { neededFiles } from './needed-files.ts';
import { ignoredCache } from './no-cache.ts';
import { BuildWatch, ClassicProgress, type Tell } from './progress/index.ts';
import { inputsFirst, Solver, type Vertex } from './solver/index.ts';
import { buildTimes } from './source-date-epoch.ts';
import { squashImage } from './squash/index.ts';
import type { BuilderHost, BuildRequest, BuildResult, BuiltImage } from './types.ts';

/** Steps with processes or file trees that run at once, over all builds of an engine. */
const maxHeavySteps = Math.max(4, availableParallelism());

/** What a build may read again to tell a rename or a change of mode alone; beyond it they are told as what they look like. */
const maxRehashedBytes = 32 << 20;

/** One solver per store, so that builds running at the same time share steps. */
const solvers = new WeakMap<Metadata, Solver<StepState>>();

function solverOf(host: BuilderHost): Solver<StepState> {
  let solver = solvers.get(host.metadata);
  if (!solver) solvers.set(host.metadata, (solver = new Solver(maxHeavySteps)));
  return solver;
}

/**
 * Builds an image; progress is what dockerd's classic builder prints. Nothing runs when the Dockerfile has a fault. Steps that finished before a
 * failure or an abort stay as cached images; no snapshot, mount or file does.
 * @throws LocationError (`invalid-argument`) for faults in the Dockerfile; ExitError when a RUN fails; EngineError in Docker's words
 */
export async function buildImage(host: BuilderHost, request: BuildRequest): Promise<BuildResult> {
  return await build(host, solverOf(host), request);
}

/** What a build stands on before its first step: context, plan, and a lease that keeps what it makes. Dispose lets go of all. */
export interface StartedBuild extends AsyncDisposable {
  readonly read: ReadContext;
  readonly plan: BuildPlan;
  readonly recorder: Recorder;
  readonly session: BuildSession;
}

/** @throws EngineError, LocationError for faults of the context or the Dockerfile */
export async function startBuild(
  host: BuilderHost,
  request: BuildRequest,
  how: { allStages?: boolean; checkOnly?: boolean } = {},
): Promise<StartedBuild> {
  const networkMode = networkModeOf(request.networkMode);
  await using held = new AsyncDisposableStack();
  const read = await readContext(host, request);
  held.use(read.contexts);
  const plan = planOf(host, request, read, { networkMode, ...how });
  const lease = held.use(await host.metadata.lease());
  const times = buildTimes(request.buildArgs, host);
  const foreign = await foreignCache(host, request.cacheFrom);
  const recorder = new Recorder(host, lease, { foreign, times, keepsNothing: request.inspect !== undefined });
  held.defer(() => recorder.settle());
  const session = held.use(
    new BuildSession({ host, request, contexts: read.contexts, ignored: read.ignored, recorder, times }),
  );
  const all = held.move();
  return { read, plan, recorder, session, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

function planOf(
  host: BuilderHost,
  request: BuildRequest,
  read: ReadContext,
  how: { networkMode: string; allStages?: boolean; checkOnly?: boolean },
): BuildPlan {
  const { target, labels, buildArgs } = request;
  const targetPlatform = request.platform ? parsePlatform(request.platform) : host.platform;
  try {
    requireCheckOptions(read, buildArgs);
    return new BuildPlan(read.dockerfile, {
      ...{ target, labels, buildArgs, targetPlatform, ...how },
      buildPlatform: host.platform,
      contexts: request.contexts,
      handedOver: request.handedOver !== undefined,
    });
  } catch (error) {
    placeFault(error, read.text);
    throw error;
  }
}

/** Context, plan, bases, graph, solve, tag. */
async function build(host: BuilderHost, solver: Solver<StepState>, request: BuildRequest): Promise<BuildResult> {
  const names = request.tags.map(tagName);
  const startedMs = Date.now();
  await using started = await startBuild(host, request);
  const { read, plan, recorder, session } = started;
  const classic = new ClassicProgress(request, plan);
  const watch = request.onStatus && new BuildWatch(request.onStatus, request.shownPlatform ?? '');
  const tell: Tell = (event) => {
    classic.on(event);
    watch?.on(event);
  };
  const explainer = newExplainer(host, request, recorder, read, startedMs);
  let warnings: readonly BuildWarning[] = [];
  try {
    const { warnings: readWarnings } = read.dockerfile;
    tell({ kind: 'planned', plan, warnings: readWarnings, remark: otherFrontend(read.dockerfile) });
    const bases = await resolveBases(host, request, plan, tell);
    const checked = checkBuild(host, request, read, { plan, bases });
    tell({ kind: 'checked', warnings: checked.warnings, text: read.text });
    if (checked.failure) {
      request.onProgress({ stream: warningText(checked.warnings), warnings: checked.warnings });
      throw checked.failure;
    }
    warnings = checked.warnings;
    const stages = plan.convert(bases);
    for (const [name, paths] of neededFiles(stages)) read.contexts.need(name, paths);
    const images = await resolveCopyImages(host, request, stages, tell);
    const graph = buildGraph(session, stages, images);
    tell({ kind: 'graph', graph, stages });
    const ignoreCache = ignoredCache(request, plan, graph);
    const built = await solve(solver, { request, recorder, tell, graph, explainer, ignoreCache });
    const end = request.squash ? await squashed(session, built, request, classic) : built.end;
    await recorder.flush();
    const image = builtImage(end, graph, built);
    await request.inspect?.(image);
    request.onBuilt?.(image.id);
    const explanations = await explain(explainer, request, image);
    return { ...(await finish(host, request, classic, { plan, end, names, warnings })), explanations };
  } catch (error) {
    const step = failedStep(error) ?? 0;
    placeFault(error, read.text, { plan, ...classic.remainsOf(step) });
    classic.fail(step);
    printPlace(request, error, warnings);
    await explain(explainer, request);
    throw error;
  }
}

/** For clients that print what they are sent; the message of the error itself stays what others look for. */
function printPlace({ onProgress, signal }: BuildRequest, error: unknown, warnings: readonly BuildWarning[]): void {
  const place = placeOf(error);
  if (!place || signal.aborted) return;
  onProgress({ stream: `\n${placeText(place)}\n`, fault: place, ...(warnings.length > 0 ? { warnings } : {}) });
}

function newExplainer(
  host: BuilderHost,
  request: BuildRequest,
  recorder: Recorder,
  { contexts, ignored }: ReadContext,
  startedMs: number,
): Explainer {
  let leftBytes = maxRehashedBytes;
  return new Explainer({
    records: host.metadata.buildCache.list(),
    startedMs,
    noCache: request.noCache,
    linesOf: (content) => host.fileLists.find(content),
    lost: (key) => (recorder.hadImage(key) ? 'image-removed' : host.wasPruned(key) ? 'pruned' : undefined),
    async digestAs(path, { name, mode }) {
      const context = await contexts.get();
      const sizeBytes = (await context.lstat(toBytes(path)))?.sizeBytes ?? 0;
      if (sizeBytes > leftBytes) return undefined;
      leftBytes -= sizeBytes;
      return await context.digestAs(toBytes(path), {
        ...(name === undefined ? {} : { name: toBytes(name) }),
        ...(mode === undefined ? {} : { mode }),
      });
    },
    ignoredBy: (path) => {
      const rule = ignored.decide(path);
      return rule && !rule.exception ? rule.pattern : undefined;
    },
  });
}

/** A build is as good without: what goes wrong here is logged. */
async function explain(
  explainer: Explainer,
  request: BuildRequest,
  image?: BuiltImage,
): Promise<readonly BuildStepExplanation[]> {
  if (request.signal.aborted) return [];
  try {
    const explanations = withLayers(await explainer.explain(), image);
    if (request.explain) for (const one of explanations) request.onProgress({ explain: one });
    return explanations;
  } catch (error) {
    log.warn('could not explain a build', { error });
    return [];
  }
}

/** Each step with the layer it left, where that is in the image. */
function withLayers(steps: readonly BuildStepExplanation[], image: BuiltImage | undefined) {
  const layers = new Map(
    [...(image?.steps ?? [])].map(([at, { line, text }]) => [`${line} ${text}`, image!.config.rootfs.diff_ids[at]!]),
  );
  return steps.map((step) => {
    const layer = layers.get(`${step.line} ${step.text}`);
    return layer === undefined ? step : { ...step, layer };
  });
}

interface Solving {
  readonly request: BuildRequest;
  readonly recorder: Recorder;
  readonly tell: Tell;
  readonly graph: BuildGraph;
  readonly explainer: Explainer;
  readonly ignoreCache: ReturnType<typeof ignoredCache>;
}

async function squashed(
  session: BuildSession,
  built: Solved,
  request: BuildRequest,
  classic: ClassicProgress,
): Promise<StepState> {
  const image = await squashImage(session, built, request);
  if (image.imageID) classic.squashed(image.imageID);
  return image;
}

/** Runs the graph. */
async function solve(solver: Solver<StepState>, work: Solving): Promise<Solved> {
  const { request, recorder, graph, explainer, tell, ignoreCache } = work;
  const states = new Map<string, StepState>();
  const results = await solver.solve(guarded(graph), {
    signal: request.signal,
    cache: recorder,
    ignoreCache,
    onEvent: ({ digest }, event) => {
      listen(explainer, graph, digest, event);
      tell({ kind: 'vertex', digest, event });
    },
    onResult: ({ digest }, state) => {
      states.set(digest, state);
      tell({ kind: 'result', digest, state });
    },
  });
  return { states, end: results.at(-1)!, base: states.get(graph.starts.at(-1)!.digest) };
}

/** The same graph, its errors marked with their steps; answers its ends. */
function guarded(graph: BuildGraph): Vertex<StepState>[] {
  const known = new Map<string, Vertex<StepState>>();
  for (const vertex of inputsFirst(graph.ends)) {
    const step = graph.byDigest.get(vertex.digest)?.[0]?.step ?? 0;
    const { op } = vertex;
    known.set(vertex.digest, {
      ...vertex,
      inputs: vertex.inputs.map(({ digest }) => known.get(digest)!),
      op: {
        cacheKey: (inputs, work) => atStep(step, () => op.cacheKey(inputs, work)),
        execute: (inputs, work) => atStep(step, () => op.execute(inputs, work)),
      },
    });
  }
  return graph.ends.map(({ digest }) => known.get(digest)!);
}

interface Finished {
  readonly plan: BuildPlan;
  readonly end: StepState;
  readonly names: readonly string[];
  readonly warnings: readonly BuildWarning[];
}

async function finish(
  host: BuilderHost,
  request: BuildRequest,
  classic: ClassicProgress,
  { plan, end, names, warnings }: Finished,
): Promise<Omit<BuildResult, 'explanations'>> {
  const imageID = end.imageID ?? noImage();
  classic.built(imageID, plan, warnings);
  const tagged: { name: string; previous?: Digest }[] = [];
  for (const name of names) {
    const shown = familiarString(parseReference(name));
    const previous = await host.metadata.images.tag(imageID, name, host.metadata.journal.keeping('build', shown));
    tagged.push({ name, ...(previous ? { previous } : {}) });
    classic.tagged(shown);
  }
  if (request.quiet) request.onProgress({ stream: `${imageID}\n` });
  return { id: imageID, tagged };
}

function tagName(text: string): string {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest) {
    throw new EngineError('invalid-argument', 'build tag cannot contain a digest');
  }
  return formatReference(reference);
}

/** What a step is connected to is the engine's to find, when the first step runs. */
function networkModeOf(mode: string): string {
  return mode === '' || mode === 'bridge' ? 'default' : mode;
}
