/** What is done to a broker while others use it: a mode of the load generator and its settings. */
import type { LoadSettings } from '../edge/scenarios.ts';

export interface Disturbance {
  readonly name: string;
  readonly mode: 'frozen' | 'flood' | 'replay' | 'storm';
  readonly title: string;
  /** What it does, counted by the second. */
  readonly unit: string;
  readonly load: LoadSettings;
}

export const disturbances: readonly Disturbance[] = [
  {
    name: 'frozen',
    mode: 'frozen',
    title: 'a subscriber that stops reading',
    unit: 'messages for it',
    load: { rate: 20_000, payload: 512 },
  },
  {
    name: 'flood-qos0',
    mode: 'flood',
    title: 'a flood by one publisher, QoS 0',
    unit: 'messages',
    load: { payload: 64 },
  },
  {
    name: 'flood-qos1',
    mode: 'flood',
    title: 'a flood by one publisher, QoS 1, 500 under way',
    unit: 'messages',
    load: { qos: 1, window: 500, payload: 64 },
  },
  {
    name: 'replay',
    mode: 'replay',
    title: '100,000 retained messages for `#`, again and again',
    unit: 'retained messages',
    load: { retained: 100_000, payload: 64 },
  },
  {
    name: 'storm',
    mode: 'storm',
    title: '500 clients that reconnect as fast as they can',
    unit: 'CONNECTs',
    load: { connections: 500 },
  },
];
