/**
 * A bounded set of filters that wants at least what the given ones do: when there are too many, deep
 * ones give way to their first levels.
 */
const filtersMax = 2_000;
const bytesMax = 128 * 1024;

export function widened(filters: Iterable<string>): string[] {
  let present = new Set(filters);
  for (const levels of [3, 2, 1]) {
    if (fits(present)) return [...present];
    present = new Set([...present].map((filter) => cutAt(filter, levels)));
  }
  if (fits(present)) return [...present];
  // A wildcard never stands for a first level with `$`: few such topics cross the trunk.
  const hidden = [...present].filter((filter) => filter.startsWith('$')).slice(0, filtersMax / 2);
  return ['#', ...hidden];
}

function fits(filters: ReadonlySet<string>): boolean {
  if (filters.size > filtersMax) return false;
  let bytes = 0;
  for (const filter of filters) bytes += filter.length;
  return bytes <= bytesMax;
}

function cutAt(filter: string, levels: number): string {
  const names = filter.split('/');
  if (names.length <= levels) return filter;
  return [...names.slice(0, levels), '#'].join('/');
}
