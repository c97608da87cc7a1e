/** From the rounds of each system to the figures of a table's row. */
import { median } from '../support/table.ts';
import type { HoldResult, LoadResult } from './load.ts';
import type { Scenario, System } from './scenarios.ts';

export interface Measurement {
  readonly scenario: string;
  readonly system: System;
  readonly round: number;
  readonly load?: LoadResult;
  readonly hold?: HoldResult;
}

/** What one system did in one scenario: medians of its rounds, losses of all of them together. */
export interface Figures {
  readonly perSecond: number;
  /** CPU microseconds of the broker for each message delivered. */
  readonly cpu: number;
  /** Cores that broker, generator and everything else took. */
  readonly brokerCores: number;
  readonly loadCores: number;
  readonly otherCores: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly lost: number;
  readonly reordered: number;
}

export function figuresOf(rounds: readonly LoadResult[]): Figures {
  const of = (figure: (round: LoadResult) => number) => median(rounds.map(figure));
  const sum = (figure: (round: LoadResult) => number) =>
    rounds.reduce((total, round) => total + figure(round), 0);
  return {
    perSecond: of(({ delivered, seconds }) => delivered / seconds),
    cpu: of(({ brokerCpu, delivered }) => (brokerCpu / delivered) * 1e6),
    brokerCores: of(({ brokerCpu, seconds }) => brokerCpu / seconds),
    loadCores: of(({ loadCpu, seconds }) => loadCpu / seconds),
    otherCores: of(({ otherCpu, seconds }) => otherCpu / seconds),
    p50: of(({ p50 = Number.NaN }) => p50),
    p99: of(({ p99 = Number.NaN }) => p99),
    p999: of(({ p999 = Number.NaN }) => p999),
    lost: sum(({ lost }) => lost),
    reordered: sum(({ reordered }) => reordered),
  };
}

/** Each figure by itself the better of two settings, the harder standard for who is compared; but
 * what makes a figure doubtful is the worse of them. */
export function bestOf(all: readonly Figures[]): Figures {
  const highest = (figure: (one: Figures) => number) => Math.max(...all.map(figure));
  const lowest = (figure: (one: Figures) => number) => Math.min(...all.map(figure));
  return {
    perSecond: highest(({ perSecond }) => perSecond),
    cpu: lowest(({ cpu }) => cpu),
    brokerCores: highest(({ brokerCores }) => brokerCores),
    loadCores: highest(({ loadCores }) => loadCores),
    otherCores: highest(({ otherCores }) => otherCores),
    p50: lowest(({ p50 }) => p50),
    p99: lowest(({ p99 }) => p99),
    p999: lowest(({ p999 }) => p999),
    lost: highest(({ lost }) => lost),
    reordered: highest(({ reordered }) => reordered),
  };
}

export interface HoldFigures {
  readonly perSecond: number;
  /** CPU microseconds of the broker for each connection. */
  readonly cpu: number;
  readonly bytes: number;
}

export function holdFiguresOf(rounds: readonly HoldResult[]): HoldFigures {
  const of = (figure: (round: HoldResult) => number) => median(rounds.map(figure));
  return {
    perSecond: of(({ connections, seconds }) => connections / seconds),
    cpu: of(({ brokerCpu, connections }) => (brokerCpu / connections) * 1e6),
    bytes: of(({ bytes, connections }) => bytes / connections),
  };
}

/** Rounds of one system in one scenario; empty when it did not run. */
export function roundsOf(
  all: readonly Measurement[],
  { name }: Scenario,
  system: System,
): readonly Measurement[] {
  return all.filter((one) => one.scenario === name && one.system === system);
}
