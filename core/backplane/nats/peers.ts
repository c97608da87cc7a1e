/**
 * The other cores, over core NATS: each tells again and again that it is there and how often what it
 * wants has changed; who has missed a change asks for it. QoS 0 goes to those that want it.
 */
import type { Clock } from '../../../base/clock.ts';
import { grownBatchMessagesMax } from '../../../base/limits.ts';
import type { Logger } from '../../../base/log.ts';
import type { Counter, Metrics } from '../../../base/metrics.ts';
import { type Publication, publicationBytes } from '../../../base/publication.ts';
import type { PeerChannel, PeerCores } from '../backplane.ts';
import { decodeBody, encodeBody } from '../log-body.ts';
import { widened } from './filter-bound.ts';
import type { Names } from './names.ts';
import type { Msg, NatsLink } from './nats-link.ts';

const helloMs = 1_000;
/** A core that is silent for so long is gone. */
const silentMsMax = 4_000;
/** Changes that come together are told together. */
const tellMs = 10;
const messageBytesMax = 256 * 1024;

export interface NatsPeersParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly link: NatsLink;
  readonly names: Names;
}

interface Hello {
  readonly node: string;
  readonly version: number;
}

interface Wants extends Hello {
  readonly filters: readonly string[];
}

interface Peer {
  version: number;
  heardAt: number;
}

export class NatsPeers implements PeerCores {
  readonly #parts: NatsPeersParts;
  readonly node: string;
  readonly #peers = new Map<string, Peer>();
  readonly #dropped: Counter;
  readonly #sent: Counter;
  #onPublications: (publications: readonly Publication[]) => void = () => {};
  #onWanted: (peer: string, filters: ReadonlySet<string> | null) => void = () => {};
  #wanted: () => Iterable<string> = () => [];
  #version = 0;
  #stop: () => void = () => {};
  #cancelTell: (() => void) | null = null;
  #isStarted = false;
  #isClosed = false;

  constructor(parts: NatsPeersParts, node: string) {
    this.#parts = parts;
    this.node = node;
    this.#dropped = parts.metrics.counter(
      'trunkline_peer_dropped_total',
      'QoS 0 for other cores that was dropped while NATS was away.',
    );
    this.#sent = parts.metrics.counter(
      'trunkline_peer_sent_total',
      'Publications of QoS 0 that were sent to other cores.',
    );
    parts.metrics.gauge('trunkline_peers', 'Other cores in sight.', () => this.#peers.size);
  }

  start(): void {
    const { clock } = this.#parts;
    this.#isStarted = true;
    const hear = (subject: string, listener: (message: Msg) => void) =>
      this.#hear(subject, listener);
    hear(this.#subject('all', 'hello'), (message) => this.#hello(message.json<Hello>()));
    hear(this.#subject('all', 'wants'), (message) => this.#wants(message.json<Wants>()));
    hear(this.#subject('all', 'bye'), (message) => this.#gone(message.json<Hello>().node));
    hear(this.#subject(this.node, 'ask'), () => this.#tell());
    hear(this.#subject(this.node, 'q0'), (message) => {
      const items = decodeBody(Buffer.from(message.data), clock.now());
      this.#onPublications(items.map(({ publication }) => publication));
    });
    this.#stop = clock.every(helloMs, () => this.#tick());
    this.#tell();
  }

  channel(name: string, listener: (body: Uint8Array) => void): PeerChannel {
    const { link, log } = this.#parts;
    for (const node of ['all', this.node]) {
      this.#hear(this.#subject(node, name), ({ data }) => listener(data));
    }
    const tell = (node: string, body: Uint8Array) => {
      if (body.length <= link.messageBytesMax) return link.send(this.#subject(node, name), body);
      log.error({ bytes: body.length, channel: name }, 'word for other cores is too large');
      return false;
    };
    return { tellAll: (body) => tell('all', body), tell };
  }

  announce(wanted: () => Iterable<string>): void {
    this.#wanted = wanted;
    this.#version++;
    if (!this.#isStarted || this.#isClosed) return;
    this.#cancelTell ??= this.#parts.clock.after(tellMs, () => {
      this.#cancelTell = null;
      this.#tell();
    });
  }

  send(peer: string, publications: readonly Publication[]): void {
    const { clock, link } = this.#parts;
    const subject = this.#subject(peer, 'q0');
    for (const some of cut(publications)) {
      const isSent = link.send(subject, encodeBody(some, { now: clock.now() }));
      (isSent ? this.#sent : this.#dropped).add(some.length);
    }
  }

  onPublications(listener: (publications: readonly Publication[]) => void): void {
    this.#onPublications = listener;
  }

  onWanted(listener: (peer: string, filters: ReadonlySet<string> | null) => void): void {
    this.#onWanted = listener;
  }

  close(): void {
    if (this.#isStarted && !this.#isClosed)
      this.#say('all', 'bye', { node: this.node, version: 0 });
    this.#isClosed = true;
    this.#stop();
    this.#cancelTell?.();
  }

  #hear(subject: string, listener: (message: Msg) => void): void {
    this.#parts.link.subscribe(subject, (message) => this.#guard(() => listener(message)));
  }

  #tick(): void {
    this.#say('all', 'hello', { node: this.node, version: this.#version });
    const { clock, link } = this.#parts;
    // While this core hears nobody, it cannot tell who is there.
    if (!link.isUp) return;
    for (const [node, { heardAt }] of this.#peers) {
      if (clock.elapsed() - heardAt > silentMsMax) this.#gone(node);
    }
  }

  #tell(): void {
    const wants = { node: this.node, version: this.#version, filters: widened(this.#wanted()) };
    this.#say('all', 'wants', wants);
  }

  #hello({ node, version }: Hello): void {
    if (node === this.node) return;
    const peer = this.#peers.get(node);
    if (peer !== undefined) peer.heardAt = this.#parts.clock.elapsed();
    if (peer?.version !== version) this.#say(node, 'ask', {});
  }

  #wants({ node, version, filters }: Wants): void {
    if (node === this.node) return;
    const heardAt = this.#parts.clock.elapsed();
    const isNew = !this.#peers.has(node);
    this.#peers.set(node, { version, heardAt });
    if (isNew) {
      this.#parts.log.info({ node }, 'another core is in sight');
      this.#tell();
    }
    this.#onWanted(node, new Set(filters));
  }

  #gone(node: string): void {
    if (!this.#peers.delete(node)) return;
    this.#parts.log.info({ node }, 'another core is out of sight');
    this.#onWanted(node, null);
  }

  #say(to: string, what: string, message: object): void {
    this.#parts.link.send(this.#subject(to, what), Buffer.from(JSON.stringify(message)));
  }

  #subject(node: string, what: string): string {
    return `${this.#parts.names.nodes}.${node}.${what}`;
  }

  /** What another core says wrongly must not end this one. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'word of another core cannot be taken');
    }
  }
}

function* cut(publications: readonly Publication[]): Iterable<Publication[]> {
  let some: Publication[] = [];
  let bytes = 0;
  for (const publication of publications) {
    const size = publicationBytes(publication);
    const isFull = some.length >= grownBatchMessagesMax || bytes + size > messageBytesMax;
    if (some.length > 0 && isFull) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(publication);
    bytes += size;
  }
  if (some.length > 0) yield some;
}
