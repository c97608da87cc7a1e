/** From the rounds of a disturbance to the figures of a table's row. */
import type { System } from '../edge/scenarios.ts';
import { median } from '../support/table.ts';

/** Microseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** What the bystanders saw in one window. */
export interface Window {
  readonly received: number;
  readonly lost: number;
  /** Since they connected. */
  readonly reordered: number;
  readonly qos0: Percentiles;
  readonly qos1: Percentiles;
  /** How late they were in sending: others had their core. */
  readonly lateness: Percentiles;
  readonly seconds: number;
  readonly brokerCpu: number;
  readonly loadCpu: number;
  /** The disturbance's is not in it. */
  readonly otherCpu: number;
}

export interface Measurement {
  readonly disturbance: string;
  readonly system: System;
  readonly round: number;
  readonly quiet: Window;
  readonly disturbed: Window;
  /** What the disturbance did, for a second; and the cores that it took for that. */
  readonly rate: number;
  readonly disturbanceCores: number;
}

export type Qos = 'qos0' | 'qos1';

/** Medians of the rounds; losses are of all rounds together. */
export interface Figures {
  readonly quiet: Percentiles;
  readonly disturbed: Percentiles;
  readonly rate: number;
  readonly disturbanceCores: number;
  readonly quietCores: number;
  readonly brokerCores: number;
  readonly otherCores: number;
  readonly lateness: number;
  readonly lost: number;
  readonly reordered: number;
}

export function figuresOf(rounds: readonly Measurement[], qos: Qos): Figures {
  const of = (figure: (round: Measurement) => number) => median(rounds.map(figure));
  const sum = (figure: (round: Measurement) => number) =>
    rounds.reduce((total, round) => total + figure(round), 0);
  const percentiles = (window: (round: Measurement) => Window): Percentiles => ({
    p50: of((round) => window(round)[qos].p50),
    p99: of((round) => window(round)[qos].p99),
    p999: of((round) => window(round)[qos].p999),
  });
  return {
    quiet: percentiles(({ quiet }) => quiet),
    disturbed: percentiles(({ disturbed }) => disturbed),
    rate: of(({ rate }) => rate),
    disturbanceCores: of(({ disturbanceCores }) => disturbanceCores),
    quietCores: of(({ quiet }) => quiet.brokerCpu / quiet.seconds),
    brokerCores: of(({ disturbed }) => disturbed.brokerCpu / disturbed.seconds),
    otherCores: of(({ quiet, disturbed }) =>
      Math.max(quiet.otherCpu / quiet.seconds, disturbed.otherCpu / disturbed.seconds),
    ),
    lateness: of(({ quiet, disturbed }) => Math.max(quiet.lateness.p99, disturbed.lateness.p99)),
    lost: sum(({ quiet, disturbed }) => quiet.lost + disturbed.lost),
    reordered: sum(({ disturbed }) => disturbed.reordered),
  };
}
