/** A filter evaluated over one session the slow and obvious way: an oracle for the engine. */
import type { Expression, Value } from '../../core/query/expression.ts';
import { momentMs, spanMs } from '../../core/query/literals.ts';
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';

type Read = (one: Session) => readonly string[];

const texts = new Map<string, Read>([
  ['client_id', (one) => [one.clientId]],
  ['edge_id', (one) => [one.edgeId]],
  ['username', (one) => [one.username]],
  ['region', (one) => [one.region]],
  ['state', (one) => [one.state === SessionState.KEPT ? 'kept' : 'connected']],
  ['subscriptions', (one) => one.subscriptions.map(({ filter }) => filter)],
]);

const numbers = new Map<string, (one: Session, now: number) => number>([
  ['queue_messages', (one) => one.queueMessages],
  ['received_rate', (one) => one.receivedRate],
  ['keep_alive', (one) => one.keepAliveSeconds * 1_000],
  ['clean_start', (one) => Number(one.cleanStart)],
  ['connected_time', (one) => one.connectedAtMs || Number.NaN],
  ['disconnected_time', (one) => one.disconnectedAtMs || Number.NaN],
  [
    'disconnected_for',
    (one, now) => (one.disconnectedAtMs ? now - one.disconnectedAtMs : Number.NaN),
  ],
]);

export function matchesNaively(tree: Expression, one: Session, now: number): boolean {
  switch (tree.kind) {
    case 'all':
      return tree.of.every((part) => matchesNaively(part, one, now));
    case 'any':
      return tree.of.some((part) => matchesNaively(part, one, now));
    case 'not':
      return !matchesNaively(tree.of, one, now);
    case 'search': {
      const { clientId, edgeId, gatewayId, region, remoteAddress, username } = one;
      const all = [clientId, edgeId, gatewayId, region, remoteAddress, username];
      return all.some((text) => isInside(text, tree.value));
    }
    case 'compare':
      return compares(tree, one, now);
  }
}

function compares(
  { field, comparator, value }: Extract<Expression, { kind: 'compare' }>,
  one: Session,
  now: number,
): boolean {
  const number = numbers.get(field)?.(one, now);
  const text = value.parts.join('*');
  if (number !== undefined) return comparesNumber(number, comparator, { text, now });
  const all = texts.get(field)?.(one) ?? [];
  const some = all.length === 0 ? [''] : all;
  if (comparator === '!=') return !some.some((each) => glob(each, value));
  if (comparator === ':') {
    return text === '*'
      ? some.some((each) => each !== '')
      : some.some((each) => isInside(each, value));
  }
  if (comparator === '=') return some.some((each) => glob(each, value));
  return some.some((each) => (comparator === '>' ? each > text : false));
}

function comparesNumber(
  number: number,
  comparator: string,
  { text, now }: { text: string; now: number },
): boolean {
  if (text === '*') return !Number.isNaN(number);
  const [low, high] = text.split('..');
  if (high !== undefined) return number >= Number(low) && number <= Number(high);
  const flag = text === 'true' ? 1 : null;
  const given = flag ?? spanMs(text) ?? momentMs(text, now) ?? Number(text);
  switch (comparator) {
    case '>':
      return number > given;
    case '<':
      return number < given;
    case '>=':
      return number >= given;
    case '<=':
      return number <= given;
    default:
      return number === given;
  }
}

function patternOf({ parts }: Value): string {
  return parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*');
}

const globs = new WeakMap<Value, RegExp>();
const insides = new WeakMap<Value, RegExp>();

function glob(text: string, value: Value): boolean {
  const pattern = globs.get(value) ?? new RegExp(`^${patternOf(value)}$`);
  globs.set(value, pattern);
  return pattern.test(text);
}

function isInside(text: string, value: Value): boolean {
  const pattern = insides.get(value) ?? new RegExp(patternOf(value), 'i');
  insides.set(value, pattern);
  return pattern.test(text);
}
