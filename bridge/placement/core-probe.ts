/**
 * Asks one core how it is and measures how long the answer takes: the gRPC health check on the trunk
 * port, over a connection of its own that carries nothing else.
 */
import {
  Client,
  type ClientOptions,
  type ClientUnaryCall,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { service } from 'grpc-health-check';
import type { Clock } from '../../base/clock.ts';
import { probeMs } from '../../base/limits.ts';
import type { TlsSource } from '../../base/tls/tls-identity.ts';
import { channelTo } from '../../proto/tls-credentials.ts';
import { type CoreFacts, coreOfMetadata } from '../../proto/trunk-metadata.ts';

export interface ProbeResult {
  readonly state: 'serving' | 'draining' | 'unreachable';
  /** 0 when unreachable. */
  readonly roundTripMs: number;
  /** Null when the core told nothing of itself. */
  readonly facts: CoreFacts | null;
}

export interface Probe {
  /** Never rejects. */
  look(): Promise<ProbeResult>;
  close(): void;
}

const clientOptions: ClientOptions = {
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
};

/** The first answer may have waited for the connection, and one may have met a busy moment. */
const asksOfLook = 2;

const unreachable: ProbeResult = { state: 'unreachable', roundTripMs: 0, facts: null };

export interface CoreProbeOptions {
  readonly address: string;
  readonly token: string;
  /** None: in plain. */
  readonly tls?: TlsSource | null;
}

export class CoreProbe implements Probe {
  readonly #clock: Clock;
  readonly #address: string;
  readonly #tls: TlsSource | null;
  readonly #metadata = new Metadata();
  #client: Client | null = null;
  #call: ClientUnaryCall | null = null;
  #isClosed = false;

  constructor(clock: Clock, options: CoreProbeOptions) {
    this.#clock = clock;
    this.#tls = options.tls ?? null;
    this.#address = options.address;
    if (options.token !== '') this.#metadata.set('authorization', `Bearer ${options.token}`);
  }

  async look(): Promise<ProbeResult> {
    let best = unreachable;
    for (let asked = 0; asked < asksOfLook && !this.#isClosed; asked++) {
      const result = await this.#ask();
      if (result.state === 'unreachable') {
        // A channel that failed waits before it connects again; a new one does not.
        this.#drop();
        return result;
      }
      if (asked === 0 || result.roundTripMs < best.roundTripMs) best = result;
    }
    return best;
  }

  close(): void {
    this.#isClosed = true;
    this.#call?.cancel();
    this.#drop();
  }

  #drop(): void {
    this.#client?.close();
    this.#client = null;
  }

  #connect(): Client {
    const { credentials, options } = channelTo(this.#address, this.#tls);
    return new Client(this.#address, credentials, { ...clientOptions, ...options });
  }

  #ask(): Promise<ProbeResult> {
    const check = service['Check'] as (typeof service)[string];
    this.#client ??= this.#connect();
    const client = this.#client;
    const startedAt = this.#clock.elapsed();
    return new Promise((resolve) => {
      let facts: CoreFacts | null = null;
      const call = client.makeUnaryRequest(
        check.path,
        check.requestSerialize,
        check.responseDeserialize,
        { service: '' },
        this.#metadata,
        { deadline: Date.now() + probeMs },
        (error: ServiceError | null, answer?: object) => {
          const roundTripMs = this.#clock.elapsed() - startedAt;
          resolve(resultOf(error, answer, { roundTripMs, facts }));
        },
      );
      this.#call = call;
      call.on('metadata', (metadata: Metadata) => {
        const told = coreOfMetadata(metadata);
        if (told.coreId !== '') facts = told;
      });
    });
  }
}

function resultOf(
  error: ServiceError | null,
  answer: object | undefined,
  measured: { readonly roundTripMs: number; readonly facts: CoreFacts | null },
): ProbeResult {
  if (error === null) {
    const isServing = (answer as { status?: unknown } | undefined)?.status === 'SERVING';
    return { state: isServing ? 'serving' : 'draining', ...measured };
  }
  // One of an earlier version does not know the question; it is there all the same.
  const isThere = error.code === status.UNIMPLEMENTED || error.code === status.NOT_FOUND;
  return isThere ? { state: 'serving', ...measured } : unreachable;
}
