import { type Instruction, LocationError } from '#dockerfile';
import { EngineError } from '#errdefs';

/**
 * Refuses what is understood but not executed, before anything runs.
 * @throws EngineError `not-implemented` that names the line
 */
export function checkSupported(instructions: readonly Instruction[], has: { readonly handedOver: boolean }): void {
  for (const instruction of instructions) {
    const feature = unsupportedFeature(instruction, has.handedOver);
    if (feature === undefined) continue;
    const line = instruction.range.startLine;
    throw new EngineError('not-implemented', `dockerfile line ${line}: ${feature} is not supported`, {
      cause: new LocationError(feature, instruction.range),
    });
  }
}

function unsupportedFeature(instruction: Instruction, handedOver: boolean): string | undefined {
  return instruction.kind === 'run' ? unsupportedRun(instruction, handedOver) : undefined;
}

function unsupportedRun(instruction: Extract<Instruction, { kind: 'run' }>, handedOver: boolean): string | undefined {
  if (instruction.devices.length > 0) return 'RUN --device';
  if (instruction.security !== 'sandbox') return 'RUN --security=insecure';
  if (handedOver) return undefined;
  const session = instruction.mounts.find((mount) => /(^|,)"?type=(secret|ssh)\b/i.test(mount));
  return session === undefined ? undefined : `RUN --mount=${session}`;
}
