/** What is run, by name: the loads of one broker, and the systems that carry them. */

/** Beside `port` and `pid`, what the load generator is told. */
export type LoadSettings = Readonly<Record<string, number>>;

export type Kind = 'closed' | 'paced' | 'connect' | 'memory';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly kind: Kind;
  readonly qos: 0 | 1 | 2;
  readonly load: LoadSettings;
}

const pairs = { publishers: 100, subscribers: 100 };

function closed(name: string, title: string, qos: 0 | 1 | 2, load: LoadSettings): Scenario {
  return { name, title, kind: 'closed', qos, load: { ...load, qos } };
}

function paced(qos: 0 | 1, rate: number): Scenario {
  const name = `paced-qos${qos}-${rate / 1000}k`;
  const title = `QoS ${qos}, ${rate.toLocaleString('en-US')} msg/s`;
  return { name, title, kind: 'paced', qos, load: { ...pairs, qos, rate } };
}

export const scenarios: readonly Scenario[] = [
  closed('qos0-pairs', 'QoS 0, 100 pairs, 32 at once', 0, { ...pairs, window: 32 }),
  closed('qos0-sliding', 'QoS 0, 100 pairs, 32 sliding', 0, { ...pairs, window: 32, slide: 1 }),
  closed('qos0-fan-in', 'QoS 0, 200 to 1, 32 at once', 0, {
    ...{ publishers: 200, subscribers: 1, window: 32 },
  }),
  closed('qos0-fan-out', 'QoS 0, 1 to 1,000, 32 at once', 0, {
    ...{ publishers: 1, subscribers: 1000, window: 32 },
  }),
  closed('qos0-topics', 'QoS 0, 8 topics each, 32 at once', 0, {
    ...{ ...pairs, window: 32, topics: 8 },
  }),
  closed('qos0-topics-512', 'the same, 512 B', 0, {
    ...{ ...pairs, window: 32, topics: 8, payload: 512 },
  }),
  closed('qos1-pairs', 'QoS 1, 100 pairs, 20 at once', 1, { ...pairs, window: 20 }),
  closed('qos2-pairs', 'QoS 2, 100 pairs, 20 at once', 2, { ...pairs, window: 20 }),
  closed('qos0-one', 'QoS 0, 100 pairs, one in flight', 0, { ...pairs, window: 1 }),
  closed('qos1-one', 'QoS 1, 100 pairs, one in flight', 1, { ...pairs, window: 1 }),
  paced(0, 5_000),
  paced(0, 20_000),
  paced(1, 5_000),
  paced(1, 20_000),
  { name: 'connect', title: 'CONNECTs', kind: 'connect', qos: 0, load: {} },
  { name: 'memory', title: 'idle connections', kind: 'memory', qos: 0, load: { subscribe: 1 } },
];

export const systems = ['mosquitto', 'mosquitto-nodelay', 'trunkline', 'trunkline-memory'] as const;

export type System = (typeof systems)[number];

export function isMosquitto(system: System): boolean {
  return system === 'mosquitto' || system === 'mosquitto-nodelay';
}

/** QoS 0 is never on disk; a connection that is idle or only opened sends nothing to delay. */
export function carries(system: System, scenario: Scenario): boolean {
  const isIdle = scenario.kind === 'connect' || scenario.kind === 'memory';
  if (system === 'mosquitto-nodelay') return !isIdle;
  if (system === 'trunkline-memory') return scenario.qos > 0;
  return true;
}
