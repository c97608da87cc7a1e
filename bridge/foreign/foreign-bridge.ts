/**
 * A bridge to a broker of another make: a kept session at this edge and one at the other broker,
 * joined by a relay. What waits for the other broker is the queue of the session here, so it is in
 * the spool and survives what the spool survives.
 *
 * Both connections live and end together: then each side sends again what the other has not
 * acknowledged, as to any client that comes back.
 */
import type { Duplex } from 'node:stream';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { trunkMessageBytesMax } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import type { LocalDoor } from '../ports.ts';
import type { ForeignCounters } from './foreign-counters.ts';
import { connectLocal, connectRemote, type RemoteTerms } from './handshakes.ts';
import { Pair } from './pair.ts';
import { Peer } from './peer.ts';
import { Relay } from './relay.ts';
import { openRemoteStream } from './remote-stream.ts';
import { type ForeignSettings, localClientId } from './settings.ts';
import { TopicMap } from './topic-map.ts';

/** Above what the session here uses, unless 65,535 messages are in flight. */
const subscribeId = 65_535;

const waits = { firstMs: 500, maxMs: 30_000 };

export interface ForeignBridgeParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly door: LocalDoor;
  readonly counters: ForeignCounters;
}

export interface ForeignBridgeOptions {
  readonly edgeId: string;
  readonly settings: ForeignSettings;
  /** Of the largest packet that devices may send to this edge. */
  readonly packetBytesMax: number;
}

export class ForeignBridge {
  readonly name: string;
  readonly #parts: ForeignBridgeParts;
  readonly #options: ForeignBridgeOptions;
  readonly #topics: TopicMap;
  #peers: { readonly local: Peer; readonly remote: Peer } | null = null;
  #reason = 'not connected yet';
  #isClosing = false;
  #stopWaiting: () => void = () => {};
  #running: Promise<void> | null = null;

  constructor(parts: ForeignBridgeParts, options: ForeignBridgeOptions) {
    this.name = options.settings.name;
    this.#parts = parts;
    this.#options = options;
    this.#topics = new TopicMap(options.settings.topics);
  }

  get isConnected(): boolean {
    return this.#peers !== null;
  }

  /** Why it is not connected; empty while it is. */
  get reason(): string {
    return this.isConnected ? '' : this.#reason;
  }

  get clientId(): string {
    return localClientId(this.name);
  }

  /** The session here gathers from now on, whether the other broker is in reach or not. */
  async start(): Promise<void> {
    const local = this.#localPeer({ flow: () => {}, ended: () => {}, drained: () => {} });
    await connectLocal(local, this.#localTerms(null));
    await local.leave();
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#stopWaiting();
    // First there, so that what it does not acknowledge any more is not acknowledged here.
    this.#peers?.remote.end('closing');
    await this.#running;
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(waits);
    const fields = { bridge: this.name, url: this.#options.settings.url };
    while (!this.#isClosing) {
      const { wasUp, reason } = await this.#connectOnce();
      if (this.#isClosing) return;
      if (wasUp) backoff.reset();
      if (wasUp || reason !== this.#reason) {
        this.#parts.log.warn({ ...fields, reason }, 'foreign broker lost');
      }
      this.#reason = reason;
      await this.#wait(backoff.next());
    }
  }

  /** One pair of connections from its beginning to its end. */
  async #connectOnce(): Promise<{ wasUp: boolean; reason: string }> {
    let stream: Duplex;
    try {
      stream = await openRemoteStream(this.#options.settings);
    } catch (error) {
      return { wasUp: false, reason: messageOf(error) };
    }
    const pair = new Pair();
    const remote = this.#remotePeer(stream, pair);
    try {
      const terms = await connectRemote(remote, this.#options);
      if (!terms.isSessionPresent) await this.#parts.door.forgetReceived(this.clientId);
      const local = this.#localPeer({
        flow: (frame) => pair.fromLocal(frame),
        ended: (reason) => remote.end(`this edge: ${reason}`),
        drained: () => remote.resume(),
      });
      const joined = connectLocal(local, this.#localTerms(terms));
      // Behind CONNECT, which is written: this edge holds what follows until it has answered.
      pair.join({ local, remote }, this.#relay({ local, remote }, terms));
      await joined;
      await this.#subscribeThere(remote, terms);
    } catch (error) {
      remote.end(messageOf(error));
      return { wasUp: false, reason: await pair.ended };
    }
    this.#peers = pair.peers;
    this.#parts.log.info({ bridge: this.name }, 'foreign broker connected');
    const reason = await pair.ended;
    this.#peers = null;
    return { wasUp: true, reason };
  }

  #relay(ends: { local: Peer; remote: Peer }, terms: RemoteTerms): Relay {
    const { settings, packetBytesMax } = this.#options;
    return new Relay(
      ends,
      {
        topics: this.#topics,
        version: settings.version,
        takesRetain: terms.takesRetain,
        localPacketBytesMax: packetBytesMax,
      },
      this.#parts.counters,
    );
  }

  async #subscribeThere(remote: Peer, terms: RemoteTerms): Promise<void> {
    const wanted = this.#topics.remote;
    if (wanted.length === 0) return;
    const { maximumQos } = terms;
    const asked = wanted.map(({ filter, qos }) => {
      return { filter, qos: Math.min(qos, maximumQos) as 0 | 1 | 2 };
    });
    const granted = await remote.subscribe(subscribeId, asked);
    for (const [at, code] of granted.entries()) {
      if (code < 0x80) continue;
      const fields = { bridge: this.name, filter: asked[at]?.filter, reason_code: code };
      this.#parts.log.error(fields, 'foreign broker refused a subscription');
    }
  }

  #localTerms(remote: RemoteTerms | null) {
    const { clientId } = this;
    const stale = new Set(this.#parts.door.filtersOf(clientId));
    const maximumQos = remote?.maximumQos ?? 2;
    const wanted = this.#topics.local.map(({ filter, qos }) => {
      return { filter, qos: Math.min(qos, maximumQos) as 0 | 1 | 2 };
    });
    for (const { filter } of wanted) stale.delete(filter);
    return { clientId, remote, wanted, stale: [...stale] };
  }

  #localPeer(handlers: ConstructorParameters<typeof Peer>[2]['handlers']): Peer {
    const options = {
      version: 5,
      keepAliveSeconds: 0,
      packetBytesMax: trunkMessageBytesMax,
    } as const;
    return new Peer(this.#parts.clock, this.#parts.door.connect(), { options, handlers });
  }

  #remotePeer(stream: Duplex, pair: Pair): Peer {
    const { version, keep_alive_seconds: keepAliveSeconds } = this.#options.settings;
    return new Peer(this.#parts.clock, stream, {
      options: { version, keepAliveSeconds, packetBytesMax: trunkMessageBytesMax },
      handlers: {
        flow: (frame) => pair.fromRemote(frame),
        ended: (reason) => pair.end(reason),
        drained: () => pair.peers?.local.resume(),
      },
    });
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      this.#stopWaiting = () => {
        cancel();
        resolve();
      };
    });
  }
}
