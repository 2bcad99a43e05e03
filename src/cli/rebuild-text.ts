import type { RebuildDifference, RebuildReport, RebuiltFile, RebuiltLayer } from '#api-types';

/** One word for an image that comes out the same; else every difference, the first layer's first. */
export function rebuildText(report: RebuildReport): string {
  if (report.identical) return 'identical\n';
  const lines = [
    `${report.image} is not what the build gives: ${report.rebuilt}`,
    ...report.layers.flatMap(layerLines),
    ...report.config.flatMap(fieldLines),
  ];
  return `${lines.join('\n')}\n`;
}

function layerLines({ index, line, text, hint, files, moreFiles }: RebuiltLayer): string[] {
  const place = line === undefined ? '' : ` (line ${line}: ${text?.split('\n', 1)[0]})`;
  return [
    `layer ${index + 1}${place}${hint === undefined ? '' : `: ${hint}`}`,
    ...files.flatMap(fileLines),
    ...(moreFiles > 0 ? [`  and ${moreFiles} more files`] : []),
  ];
}

function fileLines(file: RebuiltFile): string[] {
  const cause = file.cause === undefined ? [] : [file.cause];
  const why = [...cause, ...(file.hint === undefined ? [] : [file.hint])].join(': ');
  return [`  ${file.path}: ${factOf(file)}`, ...(why === '' ? [] : [`    ${why}`])];
}

function factOf({ kind, attribute, image, rebuilt, offset }: RebuiltFile): string {
  switch (kind) {
    case 'only-in-image':
      return 'the build does not make it';
    case 'only-in-rebuild':
      return 'the image does not have it';
    case 'attribute':
      return `${attribute} ${image} in the image, ${rebuilt} in the build`;
    case 'content':
      return `differs from byte ${offset} on`;
    case 'order':
      return 'no file differs';
    default:
      return kind satisfies never;
  }
}

function fieldLines({ field, image, rebuilt, hint }: RebuildDifference): string[] {
  const fact = `${field}: ${image ?? 'absent'} in the image, ${rebuilt ?? 'absent'} in the build`;
  return [fact, ...(hint === undefined ? [] : [`  ${hint}`])];
}
