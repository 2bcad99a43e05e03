import { openErofs, openVfs } from '#snapshots';
import { snapshotSuite } from '../../src/snapshots/testsuite/index.ts';

snapshotSuite({ name: 'erofs', open: (options) => openErofs(options), reference: openVfs, mounts: true });
