import type { RebuildDifference } from '#api-types';
import type { ImageConfig } from '#oci';

/** Fields of two configurations that differ, the history entry by entry up to the first step that is another one. Layers are compared elsewhere. */
export function compareConfigs(image: ImageConfig, rebuilt: ImageConfig): RebuildDifference[] {
  const { history: before = [], rootfs: _layers, config: runBefore = {}, ...own } = image;
  const { history: after = [], rootfs: _newLayers, config: runAfter = {}, ...again } = rebuilt;
  const differences = [...fieldsOf('', own, again), ...fieldsOf('config.', runBefore, runAfter)];
  for (let at = 0; at < Math.max(before.length, after.length); at++) {
    differences.push(...fieldsOf(`history[${at}].`, before[at] ?? {}, after[at] ?? {}));
    // From here on the two tell of different steps.
    if (before[at]?.created_by !== after[at]?.created_by) break;
  }
  return differences.map((difference) => ({ ...difference, ...hintOf(difference, image) }));
}

function fieldsOf(prefix: string, before: object, after: object): RebuildDifference[] {
  const [old, now] = [before as Record<string, unknown>, after as Record<string, unknown>];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].flatMap((name) => {
    const [image, rebuilt] = [shown(old[name]), shown(now[name])];
    return image === rebuilt ? [] : [{ field: prefix + name, image, rebuilt }];
  });
}

function shown(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function hintOf({ field }: RebuildDifference, image: ImageConfig): { hint?: string } {
  if (!/(^|\.)created$/.test(field)) return {};
  const sec = Math.floor(Date.parse(image.created ?? '') / 1000);
  if (field !== 'created' || Number.isNaN(sec)) return {};
  return { hint: `built at another moment, or on another base image: try --build-arg SOURCE_DATE_EPOCH=${sec}` };
}
