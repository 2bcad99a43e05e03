import { openVfs } from '#snapshots';
import { snapshotSuite } from '../../src/snapshots/testsuite/index.ts';

snapshotSuite({ name: 'vfs', open: openVfs, reference: openVfs, mounts: false });
