import type { HistoryEntry, ImageConfig } from '#oci';

/** Every step's image tells all the steps before it: in memory they tell them with the same words, or the steps of a long file would take the square of their number. */
export function withSharedHistory(config: ImageConfig, { history: before = [] }: ImageConfig): ImageConfig {
  const { history = [] } = config;
  // To the order of the fields, which counts for the IDs of the images to come.
  const isSame = (entry: HistoryEntry, at: number) => JSON.stringify(entry) === JSON.stringify(history[at]);
  if (before.length === 0 || !before.every(isSame)) return config;
  return { ...config, history: [...before, ...history.slice(before.length)] };
}
