/**
 * Where a worker's entry file is: beside the caller in the sources (`./x.worker.ts`), beside the bundle's chunks
 * when bundled (`./x.worker.js`; the bundle is flat, so worker file names are unique in the project).
 */
export function workerEntry(importMetaUrl: string, sourcePath: `./${string}.worker.ts`): URL {
  const bundled = importMetaUrl.endsWith('.js');
  return new URL(bundled ? sourcePath.replace(/\.ts$/, '.js') : sourcePath, importMetaUrl);
}
