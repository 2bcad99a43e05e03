export { squashImage } from './squash-image.ts';
export { type SquashSource, squashedTar } from './squashed-tar.ts';
