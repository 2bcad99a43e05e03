import { EngineError } from '#errdefs';
import type { StoredLayer } from '#image';
import { type ImageConfig, parsePlatform } from '#oci';
import type {
  ConfigOperation,
  CopyOperation,
  ImageOperation,
  Operation,
  RunOperation,
  ScratchOperation,
  StageOperation,
  WorkdirOperation,
} from '../convert/index.ts';
import type { Op } from '../solver/index.ts';
import { makeWorkdir } from './copy.ts';
import { CopyOp } from './copy-op.ts';
import { HandedOverFiles, handedOverKey } from './handed-over-files.ts';
import { clampAt, timeAt } from './moment.ts';
import { runCommand } from './run.ts';
import { mountsKey, RunMounts } from './run-mounts.ts';
import type { BuildSession } from './session.ts';
import type { StepState } from './state.ts';
import { stepKey, timePart } from './step-key.ts';

type StepOp = Op<StepState>;

/** The operation that does a step. Its first input is the state before it; COPY of another stage has that as its second. */
export function opFor(session: BuildSession, operation: Operation): StepOp {
  switch (operation.kind) {
    case 'scratch':
      return scratchOp(session, operation);
    case 'image':
      return imageOp(session, operation);
    case 'stage':
      return stageOp(operation);
    case 'config':
      return configOp(session, operation);
    case 'workdir':
      return workdirOp(session, operation);
    case 'run':
      return runOp(session, operation);
    case 'copy':
      return new CopyOp(session, operation satisfies CopyOperation);
    default:
      return operation satisfies never;
  }
}

/** Processes and file trees count against the limit on parallel work. */
export function isHeavy(operation: Operation): boolean {
  return operation.kind === 'run' || operation.kind === 'copy' || operation.kind === 'workdir';
}

function withConfig(image: ImageConfig, config: ImageConfig['config']): ImageConfig {
  return { ...image, ...(config ? { config } : {}) };
}

const never = async () => undefined;

function scratchOp(session: BuildSession, operation: ScratchOperation): StepOp {
  const { request, host } = session;
  const { os, architecture, variant } = request.platform ? parsePlatform(request.platform) : host.platform;
  const platform = { os, architecture, ...(variant ? { variant } : {}) };
  const config = { ...platform, config: operation.config, rootfs: { type: 'layers', diff_ids: [] } } as const;
  return { cacheKey: never, execute: async () => ({ imageID: undefined, config, layers: [] }) };
}

function imageOp(session: BuildSession, operation: ImageOperation): StepOp {
  return {
    cacheKey: never,
    async execute() {
      const layers = operation.image.rootfs.diff_ids.map((diffID): StoredLayer => {
        const layer = session.host.metadata.layers.get(diffID);
        if (!layer) throw new EngineError('data-loss', `image ${operation.id}: layer ${diffID} is missing`);
        return { diffID, sizeBytes: layer.sizeBytes };
      });
      const state = { imageID: operation.id, config: withConfig(operation.image, operation.config), layers };
      await session.recorder.hold(state);
      return state;
    },
  };
}

function stageOp(operation: StageOperation): StepOp {
  return {
    cacheKey: never,
    execute: async ([end]) => ({ ...end!, config: withConfig(end!.config, operation.config) }),
  };
}

function configOp(session: BuildSession, operation: ConfigOperation): StepOp {
  return {
    cacheKey: async ([parent]) =>
      stepKey(
        parent!,
        operation.createdBy,
        {
          operation: 'config',
          ...timePart(session.momentOf([parent!])),
          createdBy: operation.createdBy,
          config: operation.config,
        },
        operation.written,
      ),
    execute: async ([parent]) => session.recorder.next(parent!, { ...operation, moment: session.momentOf([parent!]) }),
  };
}

function workdirOp(session: BuildSession, operation: WorkdirOperation): StepOp {
  return {
    cacheKey: async ([parent]) =>
      stepKey(
        parent!,
        operation.createdBy,
        {
          operation: 'workdir',
          ...timePart(session.momentOf([parent!])),
          createdBy: operation.createdBy,
          config: operation.config,
        },
        operation.written,
      ),
    async execute([parent], work) {
      const draft = await session.draft(parent!, work);
      const moment = session.momentOf([parent!]);
      const made = await makeWorkdir(draft, operation.path, timeAt(moment ?? Math.floor(Date.now() / 1000)));
      const packed = () => draft.pack({ signal: work.signal, clamp: clampAt(moment) });
      const layer = made ? await session.ingest(packed(), work) : undefined;
      return session.recorder.next(parent!, { ...operation, moment, ...(layer ? { layer } : {}) });
    },
  };
}

function runOp(session: BuildSession, operation: RunOperation): StepOp {
  return {
    cacheKey: async (inputs, work) =>
      stepKey(
        inputs[0]!,
        operation.createdBy,
        {
          operation: 'run',
          ...timePart(session.momentOf(inputs.slice(0, 1))),
          createdBy: operation.createdBy,
          args: operation.args,
          networkMode: operation.networkMode,
          ...(operation.script ? { script: operation.script } : {}),
          ...handedOverKey(operation),
          ...(await mountsKey(session, operation, inputs, work)),
        },
        operation.written,
      ),
    async execute(inputs, work) {
      const parent = inputs[0]!;
      await session.recorder.hold(parent);
      await using mounts = await RunMounts.prepare(session, operation, inputs, work);
      await using handed = await HandedOverFiles.lend(session, operation, work);
      const moment = session.momentOf([parent]);
      const layer = await runCommand(
        session,
        parent,
        { ...operation, made: [...mounts.mounts, ...handed.mounts], secretEnv: handed.env, kept: mounts.kept, moment },
        work,
      );
      return session.recorder.next(parent, { ...operation, moment, ...(layer ? { layer } : {}) });
    },
  };
}
