const units: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50 };

/** `64m`, `1.5GiB`: bytes. @throws a plain Error in Docker's words. */
export function parseSize(text: string): number {
  const [, number, unit = ''] = /^(\d*\.?\d+) ?(?:b|([kmgtp])i?b?)?$/i.exec(text) ?? [];
  if (number === undefined) throw new Error(`invalid size: '${text}'`);
  return Math.trunc(Number(number) * units[unit.toLowerCase()]!);
}
