/**
 * Where a worker's entry file is: beside the caller in the sources (`./x.worker.ts`), beside the bundle's chunks
 * when bundled (`./x.worker.cjs`; the bundle is flat, so worker file names are unique in the project).
 */
export function workerEntry(importMetaUrl: string, sourcePath: `./${string}.worker.ts`): URL {
  const bundled = /\.c?js$/.test(importMetaUrl);
  return new URL(bundled ? sourcePath.replace(/\.ts$/, '.cjs') : sourcePath, importMetaUrl);
}
