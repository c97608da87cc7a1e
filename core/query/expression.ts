/**
 * The tree of a filter, and the tree as text again. The language is that of AIP-160, in which OR
 * binds closer than AND, and terms side by side are joined like AND but closer than both.
 */

export type Comparator = '=' | '!=' | '<' | '<=' | '>' | '>=' | ':';

export interface Value {
  /** What stands between wildcards: one part for a value without any. */
  readonly parts: readonly string[];
  /** In quotes it is text, whatever it looks like. */
  readonly isQuoted: boolean;
  /** Where it stands, from 0. */
  readonly at: number;
}

export type Expression =
  | { readonly kind: 'all'; readonly of: readonly Expression[] }
  | { readonly kind: 'any'; readonly of: readonly Expression[] }
  | { readonly kind: 'not'; readonly of: Expression }
  | {
      readonly kind: 'compare';
      readonly field: string;
      readonly comparator: Comparator;
      readonly value: Value;
      readonly at: number;
    }
  | { readonly kind: 'search'; readonly value: Value };

/** Matches everything. */
export const everything: Expression = { kind: 'all', of: [] };

/** A text that parses to the same tree. */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'all':
      return expression.of.map(grouped).join(' AND ');
    case 'any':
      return expression.of.map(grouped).join(' OR ');
    case 'not':
      return `NOT ${grouped(expression.of)}`;
    case 'compare':
      return `${expression.field} ${expression.comparator} ${printValue(expression.value)}`;
    case 'search':
      return printValue(expression.value);
  }
}

function grouped(expression: Expression): string {
  const text = printExpression(expression);
  return expression.kind === 'compare' || expression.kind === 'search' ? text : `(${text})`;
}

function printValue({ parts, isQuoted }: Value): string {
  if (!isQuoted) return parts.join('*');
  const escaped = parts.map((part) => part.replaceAll(/["\\*]/g, '\\$&'));
  return `"${escaped.join('*')}"`;
}
