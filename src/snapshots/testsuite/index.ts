/** What every snapshot driver must do; run by `test/integration/snapshots-*.test.ts`. Needs root. */
export { type DriverUnderTest, snapshotSuite } from './suite.ts';
