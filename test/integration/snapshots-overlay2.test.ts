import { openOverlay2, openVfs } from '#snapshots';
import { snapshotSuite } from '../../src/snapshots/testsuite/index.ts';

snapshotSuite({ name: 'overlay2', open: openOverlay2, reference: openVfs, mounts: true });
