/**
 * Brings each publication to everyone who wants it. QoS 0 goes straight through; QoS above 0, and
 * what is retained, goes to the log first and out in log order. Targets inside this process are
 * handed what matches; edges read the log at their own pace and are only woken.
 */
import { isCanary } from '../../base/canary.ts';
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import { batchBytesTarget, batchMessagesMax, laneCount } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import { type Publication, publicationBytes } from '../../base/publication.ts';
import { laneOf, topicNameFault } from '../../base/topic.ts';
import { TopicIndex } from '../../base/topic-index.ts';
import type { Backplane, LogAppend, LogBatch } from '../backplane/backplane.ts';
import { LogTail } from '../log/log-tail.ts';
import { LogTrimmer } from '../log/log-trimmer.ts';
import { RetainedStore } from '../log/retained-store.ts';
import { PeerInterest } from './peer-interest.ts';
import type { Fanout, FanoutAttachment, FanoutTarget } from './target.ts';
import { WantedFilters } from './wanted-filters.ts';

/** Decoded batches kept per lane for readers that keep up. */
const tailBytesMax = 8 * 1024 * 1024;

/** One that reads the log itself; `deliver` brings it QoS 0 alone. */
export interface LogReader extends FanoutTarget {
  /** There is more in the log of the lane. */
  wake(lane: number): void;
  /** The position of the lane up to which it needs the log no more. */
  readThrough(lane: number): number;
  /** The position of the lane up to which it has taken the log; Infinity while it takes nothing. */
  takenThrough(lane: number): number;
}

export interface FanOutParts {
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly backplane: Backplane;
}

export interface FanOutOptions {
  readonly logBytes: number;
  readonly logSeconds: number;
}

/** 'reader': reads the log itself. 'peer': another core, which does so, too. */
type MemberKind = 'target' | 'reader' | 'peer';

interface Member {
  readonly target: FanoutTarget;
  readonly filters: Set<string>;
  readonly kind: MemberKind;
}

export class FanOut implements Fanout {
  readonly tail = new LogTail({ bytesMax: tailBytesMax });
  readonly wanted = new WantedFilters();
  readonly #parts: FanOutParts;
  readonly #index = new TopicIndex<Member, null>();
  readonly #retained = new RetainedStore();
  readonly #readers = new Set<LogReader>();
  readonly #peers: PeerInterest | null;
  /** Filters of targets that take what is logged as it comes. */
  #targetFilters = 0;
  readonly #trimmer: LogTrimmer;
  /** QoS 0 of calls that also wait for the log: how many, and the end of the last. */
  #liveWaiting = 0;
  #liveTurn: Promise<unknown> = Promise.resolve();

  private constructor(parts: FanOutParts, options: FanOutOptions) {
    this.#parts = parts;
    this.#trimmer = new LogTrimmer(parts, { ...options, readers: this.#readers });
    parts.metrics.gauge(
      'trunkline_retained',
      'Retained messages of the core.',
      () => this.#retained.size,
    );
    const { peers } = parts.backplane;
    parts.backplane.onAppended((batches) => this.#appended(batches));
    parts.backplane.onChanged((what) => {
      // Positions of another log mean other publications.
      if (what === 'epoch') this.tail.clear();
    });
    this.#peers =
      peers === null
        ? null
        : new PeerInterest(peers, {
            attach: (target) => this.#attach({ target, filters: new Set(), kind: 'peer' }),
            route: (publications) => this.#deliver(publications, (kind) => kind !== 'peer'),
          });
  }

  /** Loads the retained messages. One for each backplane. */
  static async open(parts: FanOutParts, options: FanOutOptions): Promise<FanOut> {
    const fanout = new FanOut(parts, options);
    for await (const publications of parts.backplane.readRetained()) {
      for (const publication of publications) fanout.#retained.set(publication);
    }
    await parts.backplane.start(() => fanout.#retained.all());
    fanout.#trimmer.start();
    return fanout;
  }

  async publish(publications: readonly Publication[]): Promise<void> {
    for (const { topic } of publications) {
      const fault = topicNameFault(topic);
      if (fault !== null) throw new TrunklineError('topic-invalid', `The topic ${fault}.`);
    }
    const live = publications.filter((publication) => !isLogged(publication));
    const logged = publications.filter(isLogged);
    const isLive = live.length > 0;
    const appended = logged.length > 0 ? this.#parts.backplane.append(appendsOf(logged)) : null;
    if (!isLive) await appended;
    else if (appended === null && this.#liveWaiting === 0) this.route(live);
    else await this.#routeInTurn(live, appended);
  }

  attach(target: FanoutTarget): FanoutAttachment {
    return this.#attach({ target, filters: new Set(), kind: 'target' });
  }

  attachReader(reader: LogReader): FanoutAttachment {
    this.#readers.add(reader);
    const attachment = this.#attach({ target: reader, filters: new Set(), kind: 'reader' });
    const detach = () => {
      attachment.detach();
      this.#readers.delete(reader);
    };
    return { ...attachment, detach };
  }

  /** QoS 0, not retained: to everyone who wants it now. */
  route(publications: readonly Publication[]): void {
    this.#deliver(publications, () => true);
  }

  /** Whether those who write to the topic have to hear what they wrote: several do. */
  isContended(topic: string): boolean {
    return this.#retained.isContended(topic);
  }

  async close(): Promise<void> {
    await this.#trimmer.close();
  }

  /** After the call's place in the log, and after QoS 0 of the calls before it. */
  async #routeInTurn(live: readonly Publication[], appended: Promise<unknown> | null) {
    this.#liveWaiting++;
    const turn = Promise.all([appended, this.#liveTurn]).then(() => this.route(live));
    const rested = () => {
      this.#liveWaiting--;
    };
    this.#liveTurn = turn.then(rested, rested);
    await turn;
  }

  #appended(batches: readonly LogBatch[]): void {
    const lanes = new Set<number>();
    for (let lane = 0; lane < laneCount; lane++) this.tail.release(lane, this.#takenThrough(lane));
    for (const batch of batches) {
      this.tail.push(batch);
      lanes.add(batch.lane);
      if (batch.hasRetained) this.#noteRetained(batch.publications);
      if (this.#targetFilters > 0) this.#deliverLogged(batch.publications);
    }
    for (const reader of this.#readers) for (const lane of lanes) reader.wake(lane);
  }

  /** By all of the readers. */
  #takenThrough(lane: number): number {
    let lowest = Infinity;
    for (const reader of this.#readers) lowest = Math.min(lowest, reader.takenThrough(lane));
    return lowest;
  }

  #noteRetained(publications: readonly Publication[]): void {
    for (const publication of publications) {
      if (publication.retain) this.#retained.set(publication);
    }
  }

  #deliverLogged(publications: readonly Publication[]): void {
    // Canaries are their edge's alone, whoever subscribes to their topics.
    const news = publications.filter(({ topic }) => !isCanary(topic));
    // [MQTT-3.3.1-9] the flag is for new subscriptions; readers need it for their own store.
    const plain = news.map((publication) =>
      publication.retain ? { ...publication, retain: false } : publication,
    );
    this.#deliver(plain, (kind) => kind === 'target');
  }

  #deliver(publications: readonly Publication[], isFor: (kind: MemberKind) => boolean): void {
    if (this.#index.size === 0) return;
    const outgoing = new Map<FanoutTarget, Publication[]>();
    // Publications of one topic come one behind the other: they are looked up once.
    let topic: string | null = null;
    let targets: readonly FanoutTarget[] = [];
    for (const publication of publications) {
      if (publication.topic !== topic) {
        topic = publication.topic;
        targets = this.#targetsOf(topic, isFor);
      }
      for (const target of targets) {
        // A publication never goes to where it came from.
        if (target.id !== publication.origin) enlist(outgoing, target, publication);
      }
    }
    for (const [target, list] of outgoing) target.deliver(list);
  }

  #targetsOf(topic: string, isFor: (kind: MemberKind) => boolean): readonly FanoutTarget[] {
    return this.#index
      .match(topic)
      .flatMap(({ value: { kind, target } }) => (isFor(kind) ? target : []));
  }

  #attach(member: Member): FanoutAttachment {
    return {
      want: (filter) => this.#want(member, filter),
      unwant: (filter) => this.#unwant(member, filter),
      retained: (filter) => this.#retained.match(filter),
      isRetained: (publication) => this.#retained.isCurrent(publication),
      detach: () => {
        for (const filter of [...member.filters]) this.#unwant(member, filter);
      },
    };
  }

  #want(member: Member, filter: string): boolean {
    const { filters, kind, target } = member;
    if (filters.has(filter)) return false;
    filters.add(filter);
    if (kind === 'target') this.#targetFilters++;
    if (kind !== 'peer') this.#peers?.want(filter);
    this.wanted.add(filter, target.id);
    return this.#index.add(filter, member, null);
  }

  #unwant(member: Member, filter: string): boolean {
    const { filters, kind, target } = member;
    if (!filters.delete(filter)) return false;
    if (kind === 'target') this.#targetFilters--;
    if (kind !== 'peer') this.#peers?.unwant(filter);
    this.wanted.remove(filter, target.id);
    return this.#index.remove(filter, member);
  }
}

function isLogged(publication: Publication): boolean {
  return publication.qos > 0 || publication.retain;
}

/** Cut by lane, in order, into batches that readers can take in one go. */
function appendsOf(publications: readonly Publication[]): LogAppend[] {
  const appends: LogAppend[] = [];
  const open: { list: Publication[]; bytes: number }[] = Array.from({ length: laneCount }, () => ({
    list: [],
    bytes: 0,
  }));
  for (const publication of publications) {
    const lane = laneOf(publication.topic);
    const current = open[lane] as { list: Publication[]; bytes: number };
    if (current.list.length === 0) {
      appends.push({ lane, publications: current.list, source: null });
    }
    current.list.push(publication);
    current.bytes += publicationBytes(publication);
    if (current.list.length >= batchMessagesMax || current.bytes >= batchBytesTarget) {
      open[lane] = { list: [], bytes: 0 };
    }
  }
  return appends;
}

function enlist(
  outgoing: Map<FanoutTarget, Publication[]>,
  target: FanoutTarget,
  publication: Publication,
): void {
  const list = outgoing.get(target);
  if (list === undefined) outgoing.set(target, [publication]);
  // Several filters of one target may match; it gets one copy.
  else if (list.at(-1) !== publication) list.push(publication);
}
