/** A condition as SQL, with its values bound: the history is filtered where it lies. */
import type { SqlValue } from '../../base/sqlite.ts';
import type { Condition } from '../query/bind.ts';
import type { TextTest } from '../query/text-test.ts';
import { columnOf } from './event-fields.ts';

export interface SqlCondition {
  readonly text: string;
  readonly values: readonly SqlValue[];
}

export function sqlOf(condition: Condition): SqlCondition {
  switch (condition.kind) {
    case 'all':
      return joined(condition.of, { with: ' AND ', none: '1' });
    case 'any':
      return joined(condition.of, { with: ' OR ', none: '0' });
    case 'not': {
      const { text, values } = sqlOf(condition.of);
      return { text: `NOT ${text}`, values };
    }
    case 'range':
      return rangeSql(condition);
    case 'text':
      return textSql(columnOf(condition.field), condition.test);
  }
}

function joined(
  of: readonly Condition[],
  { with: join, none }: { with: string; none: string },
): SqlCondition {
  if (of.length === 0) return { text: none, values: [] };
  const parts = of.map(sqlOf);
  return {
    text: `(${parts.map(({ text }) => text).join(join)})`,
    values: parts.flatMap(({ values }) => values),
  };
}

function rangeSql({ field, low, high }: Extract<Condition, { kind: 'range' }>): SqlCondition {
  const column = columnOf(field);
  const values: number[] = [];
  const bounds: string[] = [];
  if (low > Number.NEGATIVE_INFINITY) {
    bounds.push(`${column} >= ?`);
    values.push(low);
  }
  if (high < Number.POSITIVE_INFINITY) {
    bounds.push(`${column} <= ?`);
    values.push(high);
  }
  if (!(low === 0 && high === 0)) bounds.push(`${column} <> 0`);
  return { text: `(${bounds.join(' AND ')})`, values };
}

function textSql(column: string, { comparator, parts }: TextTest): SqlCondition {
  const whole = parts.join('*');
  switch (comparator) {
    case '<':
    case '<=':
    case '>':
    case '>=':
      return { text: `(${column} ${comparator} ?)`, values: [whole] };
    case ':': {
      const escaped = parts.map((part) => part.replaceAll(/[%_\\]/g, '\\$&'));
      const pattern = `%${escaped.filter((part) => part !== '').join('%')}%`;
      return { text: `(${column} LIKE ? ESCAPE '\\')`, values: [pattern] };
    }
    default: {
      if (parts.length === 1) return { text: `(${column} = ?)`, values: [whole] };
      const pattern = parts.map((part) => part.replaceAll(/[[*?]/g, '[$&]')).join('*');
      return { text: `(${column} GLOB ?)`, values: [pattern] };
    }
  }
}
