/** A made-up fleet in a session index, told in batches as edges do, and its changes. */

import { nameOnly } from '../../core/fleet/session-watch.ts';
import type { SessionIndex } from '../../core/sessions/session-index.ts';
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';

const batchSessions = 500;
const edges = 100;
const tickMs = 10;
const regions = ['eu-central', 'us-east', 'us-west', 'ap-south', 'sa-east'];
const kinds = ['meter', 'tracker', 'thermostat', 'pump', 'valve', 'gateway', 'camera', 'lock'];
const reasons = ['disconnected', 'keep-alive-timeout', 'closed-by-client', 'socket-error'];

interface Change {
  readonly edgeId: string;
  readonly session: Session;
  readonly isGone: boolean;
}

const blank = nameOnly('');

export class FleetMaker {
  readonly #index: SessionIndex;
  readonly #sessions: number;
  #seed = 7;
  changes = 0;

  constructor(index: SessionIndex, sessions: number) {
    this.#index = index;
    this.#sessions = sessions;
  }

  /** CPU time of one change, when there is nothing else to do. */
  microsPerChange(): number {
    const changes = Array.from({ length: 20_000 }, () => this.#changed());
    const cpu = process.cpuUsage();
    for (const change of changes) this.#apply(change);
    const { user, system } = process.cpuUsage(cpu);
    return (user + system) / changes.length;
  }

  /** Answers the time that the index took. */
  fill(): number {
    let spent = 0;
    for (let edge = 0; edge < edges; edge++) {
      const edgeId = edgeName(edge);
      const region = regions[edge % regions.length] ?? '';
      this.#index.edgeAttached({ edgeId, region, softwareVersion: 'bench' });
    }
    for (let from = 0; from < this.#sessions; from += batchSessions) {
      const end = Math.min(this.#sessions, from + batchSessions);
      const batch = Array.from({ length: end - from }, (_, i) => this.#session(from + i));
      const edge = Math.floor(from / batchSessions) % edges;
      const began = performance.now();
      this.#index.upsert(edgeName(edge), batch);
      spent += performance.now() - began;
    }
    return spent;
  }

  /** The returned function stops it. */
  keepChanging(perSecond: number): () => void {
    let owed = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      owed += ((now - last) / 1_000) * perSecond;
      last = now;
      const count = Math.floor(owed);
      owed -= count;
      for (let i = 0; i < count; i++) this.#apply(this.#changed());
      this.changes += count;
    }, tickMs);
    return () => clearInterval(timer);
  }

  #apply({ edgeId, session, isGone }: Change): void {
    if (isGone) this.#index.remove(edgeId, [session.clientId]);
    else this.#index.upsert(edgeId, [session]);
  }

  /** Most tell figures, some that a device went or came. */
  #changed(): Change {
    const number = this.#random(this.#sessions);
    const edgeId = edgeName(Math.floor(number / batchSessions) % edges);
    return { edgeId, session: this.#session(number), isGone: this.#random(10) === 0 };
  }

  #session(number: number): Session {
    const kind = kinds[number % kinds.length] ?? '';
    const isKept = this.#random(10) === 0;
    const now = Date.now();
    const queue = this.#random(20) === 0 ? this.#random(10_000) : 0;
    const reason = isKept ? (reasons[this.#random(reasons.length)] ?? '') : '';
    return {
      ...blank,
      clientId: `${kind}-${String(number).padStart(7, '0')}`,
      edgeId: '',
      gatewayId: '',
      region: '',
      state: isKept ? SessionState.KEPT : SessionState.CONNECTED,
      protocol: number % 3 === 0 ? '5' : '3.1.1',
      listener: number % 5 === 0 ? 'mqtts' : 'mqtt',
      remoteAddress: `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}:${20_000 + this.#random(40_000)}`,
      username: `tenant-${Math.floor(number / 10)}`,
      cleanStart: !isKept,
      keepAliveSeconds: 30 * (1 + (number % 4)),
      connectedAtMs: now - this.#random(86_400_000),
      disconnectedAtMs: isKept ? now - this.#random(3_600_000) : 0,
      disconnectReason: reason,
      subscriptions: [{ filter: `fleet/${kind}/${number}/command`, qos: 1 }],
      subscriptionCount: 1,
      queueMessages: queue,
      inflightMessages: this.#random(4),
      receivedMessages: this.#random(1_000_000),
      deliveredMessages: this.#random(100_000),
      droppedMessages: 0,
      sessionExpirySeconds: isKept ? 3_600 : 0,
      willPresent: number % 2 === 0,
      receiveMaximum: 65_535,
      disconnectedBy: isKept ? 'device' : '',
      queueOldestAtMs: queue > 0 ? now - this.#random(600_000) : 0,
      receivedRate: this.#random(1_000) / 100,
      deliveredRate: this.#random(1_000) / 100,
      keepAliveMarginMs: 1 + this.#random(30_000),
      drops: [],
      updatedAtMs: 0,
      authMethod: 'password',
      willTopic: number % 2 === 0 ? `fleet/${kind}/${number}/gone` : '',
      willQos: 1,
      receivedBytes: this.#random(1_000_000_000),
      sentBytes: this.#random(100_000_000),
      queueBytes: queue * 100,
      connectionCount: 1 + this.#random(9),
      roundTripUs: 1_000 + this.#random(500_000),
      receivedByteRate: this.#random(100_000) / 100,
      sentByteRate: this.#random(100_000) / 100,
    };
  }

  #random(below: number): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * below);
  }
}

function edgeName(edge: number): string {
  return `edge-${String(edge).padStart(3, '0')}`;
}
