export { verifyRebuild } from './verify-rebuild.ts';
