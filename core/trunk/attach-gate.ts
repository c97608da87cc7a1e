/**
 * Whether one more edge may attach now: asked before anything is made for it, so that a fleet which
 * comes back at once does not keep the core from those that it has.
 */
import { status } from '@grpc/grpc-js';
import type { Clock } from '../../base/clock.ts';
import { retryAfterMsMax } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import type { CounterFamily, Metrics } from '../../base/metrics.ts';
import { metadataOfRetry } from '../../proto/trunk-metadata.ts';
import type { Backplane } from '../backplane/backplane.ts';
import type { CallStatus } from '../grpc/status.ts';
import type { Drain } from './drain.ts';
import { TokenBucket } from './token-bucket.ts';

/** One line tells of all that were refused meanwhile. */
const logEveryMs = 1_000;

export interface AttachGateParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly drain: Drain;
  readonly backplane: Pick<Backplane, 'fault'>;
}

export interface AttachGateOptions {
  /** Edges in a second. */
  readonly rate: number;
  readonly burst: number;
}

type Reason = 'rate' | 'draining' | 'engine-away';

export class AttachGate {
  readonly #parts: AttachGateParts;
  readonly #options: AttachGateOptions;
  readonly #bucket: TokenBucket;
  readonly #refused: CounterFamily;
  #unlogged = 0;
  #loggedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: AttachGateParts, options: AttachGateOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#bucket = new TokenBucket(parts.clock, {
      perSecond: options.rate,
      burst: options.burst,
      waitMsMax: retryAfterMsMax,
    });
    this.#refused = parts.metrics.counters(
      'trunkline_attaches_refused_total',
      'Edges that were told to come again later or to go elsewhere, by reason.',
      'reason',
    );
  }

  /** Null for one that may attach; else the end of its stream. */
  refusal(): CallStatus | null {
    if (this.#parts.drain.isDraining) {
      this.#count('draining');
      return { code: status.UNAVAILABLE, details: 'This core drains: go to another one.' };
    }
    const { fault } = this.#parts.backplane;
    if (fault !== '') {
      this.#count('engine-away');
      return { code: status.UNAVAILABLE, details: `This core cannot use its engine: ${fault}.` };
    }
    const waitMs = this.#bucket.take();
    if (waitMs === 0) return null;
    this.#count('rate');
    const details = `More edges come than trunk.attach_rate = ${this.#options.rate} a second: come again in ${Math.ceil(waitMs)} ms.`;
    return { code: status.RESOURCE_EXHAUSTED, details, metadata: metadataOfRetry(waitMs) };
  }

  #count(reason: Reason): void {
    this.#refused.by(reason).add();
    this.#unlogged++;
    const now = this.#parts.clock.elapsed();
    if (now - this.#loggedAt < logEveryMs) return;
    this.#parts.log.warn({ reason, count: this.#unlogged }, 'edges refused for now');
    this.#unlogged = 0;
    this.#loggedAt = now;
  }
}
