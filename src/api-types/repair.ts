/** One thing that was damaged, a line of `POST /wherry/v1/repair`. */
export interface RepairItem {
  readonly Subject: string;
  readonly Fault: string;
  /** What stands on it: images, containers, results of the build cache, calls that can be undone. */
  readonly Harm: readonly string[];
  /** Where the right bytes came from; absent when it is still damaged. */
  readonly RepairedFrom?: string;
  /** Why it is still damaged. */
  readonly Reason?: string;
}
