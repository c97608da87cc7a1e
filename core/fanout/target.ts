/**
 * What the fan-out offers to those who publish and subscribe at the core: edges by their trunk,
 * gateways by the front door.
 */
import type { Publication } from '../../base/publication.ts';

/** Where matching publications go. */
export interface FanoutTarget {
  /** Unique among the targets of the core; a publication never goes to the target it came from. */
  readonly id: string;
  /** Called in log order per lane. Must not wait: enqueue in a bounded place or drop and count. */
  deliver(publications: readonly Publication[]): void;
}

export interface FanoutAttachment {
  /** Publications that match `filter` from now on; true when it was not wanted before. */
  want(filter: string): boolean;
  unwant(filter: string): boolean;
  /** Retained messages that match, as publications with `retain` true. */
  retained(filter: string): readonly Publication[];
  /** Whether it is still what `retained` answers. */
  isRetained(publication: Publication): boolean;
  detach(): void;
}

export interface Fanout {
  /**
   * Takes publications that enter at the core itself (front door, wills). Resolves when those of
   * QoS above 0, and retained ones, are durable, and all are routed. Keeps their order.
   * Throws `store-failing` when the log cannot take them; nothing was accepted then.
   */
  publish(publications: readonly Publication[]): Promise<void>;
  /** Live delivery of every QoS to a target inside this process. */
  attach(target: FanoutTarget): FanoutAttachment;
}
