/** The language of filters: what parses to what, and where a refusal points. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bindFilter } from '../../core/query/bind.ts';
import { type Expression, printExpression } from '../../core/query/expression.ts';
import { momentMs, spanMs } from '../../core/query/literals.ts';
import { parseFilter } from '../../core/query/parse.ts';
import { sessionCatalog } from '../../core/sessions/session-fields.ts';

const shape = (text: string) => printExpression(parseFilter(text));

test('OR binds closer than AND, and terms side by side closer than AND', () => {
  assert.equal(shape('a = 1 AND b = 2 OR c = 3'), 'a = 1 AND (b = 2 OR c = 3)');
  assert.equal(shape('one two AND three'), 'one AND two AND three');
  assert.equal(shape('one two OR three'), 'one AND (two OR three)');
  assert.equal(shape('(a=1 AND b=2) OR -c=3'), '(a = 1 AND b = 2) OR (NOT c = 3)');
  assert.equal(shape('NOT (a=1 OR b=2)'), 'NOT (a = 1 OR b = 2)');
});

test('a list in parentheses compares the field with each', () => {
  assert.equal(shape('edge = (a OR b*)'), 'edge = a OR edge = b*');
  assert.equal(shape('edge : (a AND -b)'), 'edge : a AND (NOT edge : b)');
});

test('a value goes up to the next space or parenthesis, in quotes to the closing one', () => {
  assert.equal(shape('(address=10.0.0.1:5000)'), 'address = 10.0.0.1:5000');
  assert.equal(shape('user = "a \\"b\\" \\* (c)"'), 'user = "a \\"b\\" \\* (c)"');
  assert.equal(shape('"two words"'), '"two words"');
  assert.equal(shape('t>=now-5m'), 't >= now-5m');
});

const word = fc
  .stringMatching(/^[a-z][a-z0-9._/+#-]{0,8}$/)
  .filter((text) => !/^(and|or|not)$/.test(text));
const value = fc.record({
  parts: fc.array(
    fc.string({ maxLength: 6 }).map((text) => text.replaceAll('\0', '')),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
  isQuoted: fc.constant(true),
  at: fc.constant(0),
});
const bare = fc.record({ parts: fc.tuple(word), isQuoted: fc.constant(false), at: fc.constant(0) });
const comparator = fc.constantFrom('=', '!=', '<', '<=', '>', '>=', ':') as fc.Arbitrary<'='>;

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'tree' },
    fc.record({
      kind: fc.constant('compare' as const),
      field: word,
      comparator,
      value: fc.oneof(value, bare),
      at: fc.constant(0),
    }),
    fc.record({ kind: fc.constant('search' as const), value: fc.oneof(value, bare) }),
    fc.record({ kind: fc.constant('not' as const), of: tie('expression') }),
    fc.record({
      kind: fc.constantFrom('all' as const, 'any' as const),
      of: fc.array(tie('expression'), { minLength: 2, maxLength: 3 }),
    }),
  ),
}));

/** Without places, and with what is joined the same way in one level, as the parser has it. */
function bareTree(tree: Expression): unknown {
  switch (tree.kind) {
    case 'all':
    case 'any': {
      const { kind } = tree;
      const of = tree.of.map(bareTree) as { kind: string; of: unknown[] }[];
      return { kind, of: of.flatMap((one) => (one.kind === kind ? one.of : [one])) };
    }
    case 'not':
      return { kind: 'not', of: bareTree(tree.of) };
    case 'compare':
      return { ...tree, at: 0, value: { ...tree.value, at: 0 } };
    case 'search':
      return { kind: 'search', value: { ...tree.value, at: 0 } };
  }
}

test('whatever is printed parses to the same tree', () => {
  fc.assert(
    fc.property(expression, (tree) => {
      const text = printExpression(tree);
      fc.pre(text.length <= 2_000);
      assert.deepEqual(bareTree(parseFilter(text)), bareTree(tree));
    }),
    { numRuns: 500 },
  );
});

test('no text makes the parser do anything but answer or refuse', () => {
  const pieces = fc.constantFrom(
    '(',
    ')',
    ' ',
    'AND',
    'OR',
    'NOT',
    '-',
    '=',
    '!',
    '"',
    'a',
    '*',
    ':',
    '\\',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 30 }), (some) => {
      try {
        parseFilter(some.join(''));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'query-invalid');
        assert.match((error as Error).message, /at character \d+/);
      }
    }),
    { numRuns: 2_000 },
  );
});

function refusal(text: string): string {
  try {
    bindFilter(parseFilter(text), sessionCatalog, { text, now: 0 });
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'query-invalid');
    return (error as Error).message;
  }
  throw new Error(`${text} was taken`);
}

for (const [filter, message] of [
  [
    'state = connected AND stat = 1',
    /^filter: unknown field 'stat' at character 23; did you mean state\?/,
  ],
  ['zzzzzzzz = 1', /unknown field 'zzzzzzzz' at character 1; fields are client_id, edge_id/],
  ['= 1', /expected a field or a word to search for at character 1/],
  ['client_id =', /expected a value for 'client_id' at character 12; "" stands for an empty one/],
  ['client_id = "a', /the value has no closing quote at character 13/],
  ['(client_id = a', /the parenthesis is not closed at character 1/],
  ['client_id = a)', /expected the end, AND or OR, but there is a "\)" at character 14/],
  ['state = online', /unknown state 'online' at character 9; states are connected and kept/],
  ['client_id = a AND', /expected a term after AND at character 18/],
  ['a or b', /'or' stands alone at character 3; write OR to join terms/],
  [
    'queue_messages > many',
    /'many' is no value for 'queue_messages' at character 18; give a number/,
  ],
  [
    'connected_time > 5m',
    /'5m' is no value for 'connected_at_ms' at character 18; give a time such as/,
  ],
  ['keep_alive > x', /give a span such as 90s/],
  ['clean_start = yes', /give true or false/],
  ['queue_messages = 1*', /'queue_messages' takes no wildcard at character 18/],
] as const) {
  test(`"${filter}" is refused with the place of the fault`, () => {
    assert.match(refusal(filter), message);
  });
}

test('a refusal shows the text with a caret under the character', () => {
  const lines = refusal('state = connected AND colour = blue').split('\n');
  assert.equal(lines[1], '  state = connected AND colour = blue');
  assert.equal(lines[2], `  ${' '.repeat(22)}^`);
});

test('a filter without bounds is refused', () => {
  const many = Array.from({ length: 101 }, () => 'a').join(' AND ');
  assert.throws(() => parseFilter(many), /more than 100 terms at character/);
  assert.throws(() => parseFilter(' '.repeat(2_001)), /at most 2000 are taken/);
  assert.throws(() => parseFilter('('.repeat(21)), /more than 20 levels/);
});

test('times and spans are read in the forms that people write', () => {
  assert.equal(spanMs('1h30m'), 5_400_000);
  assert.equal(spanMs('1.5s'), 1_500);
  assert.equal(spanMs('5'), null);
  const now = Date.UTC(2026, 0, 31, 3, 12);
  assert.equal(momentMs('now-5m', now), now - 300_000);
  assert.equal(momentMs('2026-01-31T03:12:00Z', 0), now);
  assert.equal(momentMs('2026-01-31T04:12:00+01:00', 0), now);
  assert.equal(momentMs('2026-01-31T03:12', 0), now);
  assert.equal(momentMs('2026-01-31', 0), Date.UTC(2026, 0, 31));
  assert.equal(momentMs('yesterday', now), null);
});
