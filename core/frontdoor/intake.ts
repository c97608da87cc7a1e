/**
 * The way in for publications of gateways: checks what came, hands it to the fan-out and keeps the
 * books. Everything that enters here has the core as its origin, so that a device behind a gateway
 * reaches every other one, and itself, as in MQTT.
 */
import type { Clock } from '../../base/clock.ts';
import type { Ledger, RefusedReason } from '../../base/ledger.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import type { Grants } from '../../base/rights/grants.ts';
import { refusalText } from '../../base/rights/refusal-text.ts';
import { topicNameFault } from '../../base/topic.ts';
import type { Publication as Row } from '../../proto/gen/trunkline/v1/publication.ts';
import type { Fanout } from '../fanout/target.ts';
import { propertiesFault } from './property-check.ts';

/** Stable words that gateways may act upon. */
export type Refusal =
  | 'topic-invalid'
  | 'not-authorized'
  | 'qos-invalid'
  | 'too-large'
  | 'properties-invalid';

export interface Refused {
  readonly refusal: Refusal;
  /** For a sentence that begins with the path of the publication: ".topic has a wildcard". */
  readonly detail: string;
}

export type Admission = Publication | Refused;

const books: Record<Refusal, RefusedReason> = {
  'topic-invalid': 'topic-invalid',
  'not-authorized': 'not-authorized',
  'qos-invalid': 'malformed',
  'too-large': 'too-large',
  'properties-invalid': 'malformed',
};

export class Intake {
  readonly #clock: Clock;
  readonly #ledger: Ledger;
  readonly #fanout: Fanout;
  readonly #origin: string;
  readonly #packetBytesMax: number;
  readonly #pending = new Set<Promise<void>>();

  constructor(
    parts: { clock: Clock; ledger: Ledger; fanout: Fanout },
    options: { coreId: string; packetBytesMax: number },
  ) {
    this.#clock = parts.clock;
    this.#ledger = parts.ledger;
    this.#fanout = parts.fanout;
    this.#origin = `core:${options.coreId}`;
    this.#packetBytesMax = options.packetBytesMax;
  }

  /** The publication as it may go on, or why not; a refusal is counted. `kind`: how it is published. */
  admit(row: Row, grants: Grants, kind: 'now' | 'will' = 'now'): Admission {
    const refused = this.#check(row) ?? rightsFault(row, grants, kind);
    if (refused !== null) {
      this.#ledger.refused(books[refused.refusal]);
      return refused;
    }
    return {
      topic: row.topic,
      payload: row.payload,
      qos: row.qos as Qos,
      retain: row.retain,
      properties: row.properties.length === 0 ? null : row.properties,
      acceptedAt: this.#clock.now(),
      origin: this.#origin,
    };
  }

  /** Resolves when they are durable or routed. Throws what the fan-out throws: none was taken. */
  async publish(publications: readonly Publication[]): Promise<void> {
    if (publications.length === 0) return;
    const work = this.#fanout.publish(publications);
    this.#pending.add(work);
    try {
      await work;
    } catch (error) {
      this.#ledger.refused('overloaded', publications.length);
      throw error;
    } finally {
      this.#pending.delete(work);
    }
    for (const { qos } of publications) this.#ledger.accepted[qos].add();
  }

  /** Resolves when nothing that was handed to the fan-out is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#pending);
  }

  #check(row: Row): Refused | null {
    const topicFault = topicNameFault(row.topic);
    if (topicFault !== null) {
      return { refusal: 'topic-invalid', detail: `.topic ${topicFault}` };
    }
    if (row.qos > 2) {
      return { refusal: 'qos-invalid', detail: `.qos is ${row.qos}; give 0, 1 or 2` };
    }
    const bytes = Buffer.byteLength(row.topic) + row.payload.length + row.properties.length;
    if (bytes > this.#packetBytesMax) {
      const detail = ` has ${bytes} bytes; at most ${this.#packetBytesMax} are taken`;
      return { refusal: 'too-large', detail };
    }
    const propertyFault = propertiesFault(row.properties);
    if (propertyFault !== null) {
      return { refusal: 'properties-invalid', detail: `.properties ${propertyFault}` };
    }
    return null;
  }
}

function rightsFault(row: Row, grants: Grants, kind: 'now' | 'will'): Refused | null {
  const manner = { qos: row.qos as Qos, retain: row.retain, will: kind === 'will' };
  const decision = grants.publish(row.topic, manner);
  if (decision.isAllowed) return null;
  return {
    refusal: 'not-authorized',
    detail: `.topic ${shown(row.topic)} ${refusalText(decision)}`,
  };
}

export function isRefused(admission: Admission): admission is Refused {
  return 'refusal' in admission;
}

function shown(topic: string): string {
  return JSON.stringify(topic.length > 100 ? `${topic.slice(0, 100)}…` : topic);
}
