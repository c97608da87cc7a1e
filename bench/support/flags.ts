/** Values of flags, checked, with sentences that say what would be right. */

/** What a flag names, with commas between; null when it is not given. */
export function named<T extends string>(
  flag: string,
  text: string | undefined,
  known: readonly T[],
): readonly T[] | null {
  if (text === undefined) return null;
  return text.split(',').map((name) => {
    const found = known.find((one) => one === name);
    if (found !== undefined) return found;
    throw new Error(`--${flag}: ${JSON.stringify(name)} is not one of ${known.join(', ')}.`);
  });
}

export function positive(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${flag} is ${JSON.stringify(text)}; give a whole number above 0.`);
}

/** Names for a help text, a few a line, under each other. */
export function wrapped(names: readonly string[]): string {
  const lines = [''];
  for (const name of names) {
    const last = lines.at(-1) ?? '';
    if (last.length + name.length > 80) lines.push(name);
    else lines[lines.length - 1] = last === '' ? name : `${last}, ${name}`;
  }
  return lines.join(',\n           ');
}
