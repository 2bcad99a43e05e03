import type { OpenDriver } from './bench.ts';
import { layerTests } from './layer-tests.ts';
import { lifecycleTests } from './lifecycle-tests.ts';
import { limitTests } from './limit-tests.ts';
import { recoveryTests } from './recovery-tests.ts';
import { writableTests } from './writable-tests.ts';

export interface DriverUnderTest {
  readonly name: string;
  readonly open: OpenDriver;
  /** Opens the driver of plain copies. */
  readonly reference: OpenDriver;
  /** False for a driver whose snapshots are there without a mount. */
  readonly mounts: boolean;
  /** Stacks that it can't do where it is tested, by name. */
  readonly refuses?: readonly string[];
}

/** Registers the whole suite for one driver. */
export function snapshotSuite(driver: DriverUnderTest): void {
  layerTests(driver);
  writableTests(driver);
  lifecycleTests(driver);
  recoveryTests(driver);
  limitTests(driver);
}
