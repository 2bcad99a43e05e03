/**
 * The type among `types` that an `Accept` header names outright and prefers: by its `q`, then by its place in the header. Wildcards are for those who do
 * not care, and mean none. RFC 9110, section 12.5.1.
 */
export function acceptedType<T extends string>(accept: string | undefined, types: readonly T[]): T | undefined {
  const wanted = (accept ?? '').split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    return { type, quality: quality === undefined ? 1 : Number(quality) };
  });
  const known = wanted.filter(({ type, quality }) => quality > 0 && types.some((one) => one === type));
  // The sort is stable: what is wanted alike stays in the header's order.
  const best = known.sort((left, right) => right.quality - left.quality)[0];
  return types.find((type) => type === best?.type);
}
