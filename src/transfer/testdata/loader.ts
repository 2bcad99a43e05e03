/** Loads one archive into a data root: a process to be killed. */
import { createReadStream, writeSync } from 'node:fs';
import { loadImages } from '../load.ts';
import { transferFixture } from '../testsuite-load.ts';

const [root, archive] = process.argv.slice(2) as [string, string];
await using fixture = await transferFixture(root);
writeSync(1, 'ready\n');
await loadImages(fixture.stores, createReadStream(archive));
