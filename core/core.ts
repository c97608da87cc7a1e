/**
 * The fan-out tier. Parts open in the order in which what comes up a trunk meets them: the log on
 * disk, the fan-out, the index of sessions, then the doors for edges, gateways and operators; they
 * close in reverse.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { type Config, requireCredential } from '../base/config.ts';
import { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { Rights } from '../base/rights/rights.ts';
import type { SessionEvent } from '../proto/gen/trunkline/v1/session.ts';
import type { PeerCores } from './backplane/backplane.ts';
import { openBackplane } from './backplane/open-backplane.ts';
import { FanOut } from './fanout/fan-out.ts';
import { FleetEngine } from './fleet/fleet-engine.ts';
import { TrunkDesk } from './fleet/trunk-desk.ts';
import { openFrontDoor } from './frontdoor/front-door.ts';
import { SessionHistory } from './history/session-history.ts';
import { openHttp } from './http/http-server.ts';
import { SharedSessions } from './peers/shared-sessions.ts';
import { Registry } from './registry/registry.ts';
import { RulesDesk } from './rules/rules-desk.ts';
import { SessionIndex } from './sessions/session-index.ts';
import type { SessionSink } from './sessions/session-sink.ts';
import { openDoorIdentities } from './tls/door-identities.ts';
import { AttachedEdges } from './trunk/attached-edges.ts';
import { Drain } from './trunk/drain.ts';
import { TrunkDoor } from './trunk/trunk-door.ts';

export interface CoreParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly softwareVersion: string;
  /** Those of the configuration, unless it is given. */
  readonly rights?: Rights;
}

/** Beside the compiled program's folders. */
const consoleDirectory = join(import.meta.dirname, '..', 'console');

export class Core {
  readonly #opened: { close(): Promise<void> }[] = [];
  readonly #ports: Record<string, number> = {};
  #drain: () => Promise<void> = async () => {};

  private constructor() {}

  /** Throws `door-open`, `data-unwritable`, `port-in-use` and the like, with nothing left open. */
  static async open(parts: CoreParts, config: Config): Promise<Core> {
    requireTokens(config);
    const core = new Core();
    try {
      await core.#open(parts, config);
      return core;
    } catch (error) {
      await core.close();
      throw error;
    }
  }

  /** Bound ports: `trunk`, `gateway`, `http`. */
  get ports(): Readonly<Record<string, number>> {
    return this.#ports;
  }

  /** Before a stop: the edges that know another core go there, in `core.drain_seconds` at most. */
  drain(): Promise<void> {
    return this.#drain();
  }

  async close(): Promise<void> {
    for (const part of this.#opened.splice(0).reverse()) await part.close();
  }

  async #open(parts: CoreParts, config: Config): Promise<void> {
    const folder = join(config.data, 'core');
    await mkdir(folder, { recursive: true });
    const tls = this.#add(await openDoorIdentities(parts, config));
    const ledger = new Ledger(parts.metrics);
    const backplane = this.#add(await openBackplane(parts, config));
    const fanout = this.#add(
      await FanOut.open(
        { ...parts, ledger, backplane },
        { logBytes: config.limits.log_bytes, logSeconds: config.limits.log_seconds },
      ),
    );
    const history = this.#add(
      await SessionHistory.open(parts, {
        file: join(folder, 'history.db'),
        keptSeconds: config.limits.history_seconds,
        bytesMax: config.limits.history_bytes,
      }),
    );
    const onEvents = (events: readonly SessionEvent[]) => history.note(events);
    const index = new SessionIndex({ ...parts, onEvents });
    const sessions = this.#sharing(index, { ...parts, peers: backplane.peers }, config.core.id);
    const edges = new AttachedEdges();
    const ruleBook = { file: join(folder, 'rules.db'), tables: backplane.tables };
    const rules = this.#add(await RulesDesk.open({ ...parts, edges }, ruleBook));
    const drain = new Drain({ ...parts, edges }, config.trunk.attach_rate);
    this.#drain = () => drain.finish(config.core.drain_seconds * 1_000);
    const { id: coreId } = config.core;
    const trunks = new TrunkDesk({ ...parts, index, edges, backplane }, { coreId });
    const fleet = new FleetEngine({ ...parts, index, trunks, drain, rules, history });
    const registry = await this.#openRegistry(parts.clock, config);
    const common = { ...parts, ledger, fanout, sessions, fleet, edges, drain, registry };
    const trunk = this.#add(
      await TrunkDoor.open(
        { ...common, backplane },
        {
          ...config.trunk,
          tls: tls.trunk,
          attachRate: config.trunk.attach_rate,
          attachBurst: config.trunk.attach_burst,
          coreId,
          region: config.core.region,
          softwareVersion: parts.softwareVersion,
        },
      ),
    );
    const rights = parts.rights ?? new Rights(config.rights);
    const frontDoor = this.#add(
      await openFrontDoor(
        { ...common, rights },
        {
          ...config.gateway,
          tls: tls.gateway,
          operatorToken: config.http.token,
          coreId,
          devicesMax: config.limits.gateway_devices,
          inflightMax: config.limits.inflight,
          packetBytesMax: config.limits.packet_bytes,
        },
      ),
    );
    const readiness = () =>
      readinessOf(edges.all().length, {
        isDraining: drain.isDraining,
        fault: backplane.fault,
        edgesMin: config.http.ready_edges,
      });
    const doorOf = { ...config.http, tls: tls.http, consoleDirectory };
    const http = this.#add(await openHttp({ ...parts, fleet, readiness }, doorOf));
    Object.assign(this.#ports, { trunk: trunk.port, gateway: frontDoor.port, http: http.port });
  }

  /** Where there are other cores, they hear what this one hears of sessions. */
  #sharing(
    index: SessionIndex,
    { peers, ...parts }: CoreParts & { readonly peers: PeerCores | null },
    coreId: string,
  ): SessionSink {
    if (peers === null) return index;
    return this.#add(new SharedSessions({ ...parts, index, peers }, coreId));
  }

  /** Null where the log is shared: each core would have devices of its own. */
  async #openRegistry(clock: Clock, { core, data }: Config): Promise<Registry | null> {
    if (core.backplane[0] !== 'embedded') return null;
    return this.#add(await Registry.open(clock, join(data, 'core', 'devices.db')));
  }

  #add<P extends { close(): Promise<void> }>(part: P): P {
    this.#opened.push(part);
    return part;
  }
}

function readinessOf(
  edges: number,
  now: { readonly isDraining: boolean; readonly fault: string; readonly edgesMin: number },
): { ready: boolean; reasons: string[] } {
  const reasons: string[] = [];
  if (now.isDraining) reasons.push('the core drains');
  if (now.fault !== '') reasons.push(now.fault);
  if (edges < now.edgesMin) reasons.push(`${edges} of ${now.edgesMin} edges are attached`);
  return { ready: reasons.length === 0, reasons };
}

/** Operators' calls come in at the front door, too, so its address counts for both tokens. */
function requireTokens({ trunk, gateway, http }: Config): void {
  const doors = [
    {
      ...{ name: 'The trunk', host: trunk.host, setting: 'trunk.token or trunk.tls_ca' },
      token: trunk.token || trunk.tls_ca,
    },
    { name: 'The front door', host: gateway.host, setting: 'gateway.token', token: gateway.token },
    { name: 'The fleet service', host: gateway.host, setting: 'http.token', token: http.token },
    { name: "The operators' HTTP", host: http.host, setting: 'http.token', token: http.token },
  ];
  for (const { name, host, setting, token } of doors) {
    requireCredential({ name, host, hasCredential: token !== '', remedy: `set ${setting}` });
  }
}
