import type { ImageFile } from './image-files.ts';

/** What may differ of a file that two images have. `modified` is looked at on request: builds differ in it for no reason. */
export type FileAspect = 'type' | 'content' | 'mode' | 'owner' | 'xattrs' | 'target' | 'device' | 'modified';

/** One thing that differs between two images; `before` is the first one's. */
export type ImageDifference =
  /** `config.Env.PATH`, `config.Labels.a`, `config.Cmd`, `architecture`: values as JSON has them, null where an image has none. */
  | { readonly kind: 'config'; readonly field: string; readonly before: unknown; readonly after: unknown }
  | { readonly kind: 'file'; readonly change: 'added'; readonly after: ImageFile }
  | { readonly kind: 'file'; readonly change: 'removed'; readonly before: ImageFile }
  | {
      readonly kind: 'file';
      readonly change: 'changed';
      readonly aspects: readonly FileAspect[];
      readonly before: ImageFile;
      readonly after: ImageFile;
    };

export interface CompareImagesOptions {
  /** Times of files and of the images too. */
  readonly times?: boolean;
}
