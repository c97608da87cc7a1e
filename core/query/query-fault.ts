/** Refusals of a query: one sentence, then the text with a caret under the character that is meant. */
import { TrunklineError } from '../../base/errors.ts';

/** Of the text, what is shown on either side of the character. */
const shownBefore = 60;
const shownAfter = 30;

export interface QueryText {
  /** What it is called: "filter", "order_by". */
  readonly name: string;
  readonly text: string;
}

/** `at` counts from 0; people are told from 1. */
export function queryFault(query: QueryText, at: number, detail: string): TrunklineError {
  const [what, ...rest] = detail.split(';');
  const tail = rest.length === 0 ? '' : `;${rest.join(';')}`;
  return new TrunklineError(
    'query-invalid',
    `${query.name}: ${what} at character ${at + 1}${tail}\n${caretLines(query.text, at)}`,
  );
}

function caretLines(text: string, at: number): string {
  const start = Math.max(0, at - shownBefore);
  const shown = text.slice(start, at + shownAfter).replaceAll(/[\p{Cc}\u2028\u2029]/gu, ' ');
  const cutBefore = start > 0 ? '…' : '';
  const cutAfter = at + shownAfter < text.length ? '…' : '';
  const indent = ' '.repeat(cutBefore.length + [...text.slice(start, at)].length);
  return `  ${cutBefore}${shown}${cutAfter}\n  ${indent}^`;
}

/** "; did you mean X?", or the known names. */
export function nameHint(given: string, known: readonly string[], what: string): string {
  const near = nearestOf(given, known);
  return near === null ? `; ${what} are ${known.join(', ')}` : `; did you mean ${near}?`;
}

function nearestOf(given: string, known: readonly string[]): string | null {
  const begun = known.find((name) => given.length > 2 && name.startsWith(given));
  if (begun !== undefined) return begun;
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const name of known) {
    if (Math.abs(name.length - given.length) >= bestDistance) continue;
    const distance = editDistance(given, name);
    if (distance >= bestDistance) continue;
    best = name;
    bestDistance = distance;
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
