/** Indexes a tar in a worker, as drivers do, and tells how many bytes of memory that took at most beyond an idle thread. */
import { SnapshotWorkers } from '../../src/snapshots/workers.ts';

const [small, large, folder] = process.argv.slice(2) as [string, string, string];
await using workers = new SnapshotWorkers();
const index = (tar: string) =>
  workers.run({ kind: 'index', tar, tag: 'layer', index: `${folder}/${tar.length}.erofs` });
await index(small);
const idle = process.resourceUsage().maxRSS;
const { inodes } = await index(large);
console.log(JSON.stringify({ inodes, tookBytes: (process.resourceUsage().maxRSS - idle) * 1024 }));
