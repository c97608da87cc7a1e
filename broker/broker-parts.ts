/** The parts of an edge's broker, joined in the order in which a publication meets them. */
import type { Config } from '../base/config.ts';
import { Rights } from '../base/rights/rights.ts';
import { Acceptance } from './acceptance.ts';
import { Admission } from './admission.ts';
import { registeredOf } from './auth/registered-devices.ts';
import { Authorize } from './authorize.ts';
import { registerGauges } from './broker-gauges.ts';
import type { DeviceBrokerParts } from './device-broker-parts.ts';
import { Downlink } from './downlink.ts';
import { joinGuards } from './guards.ts';
import { Parking } from './parking.ts';
import { followRegistry } from './registry-changes.ts';
import { RetainedReplays } from './retained-replays.ts';
import { Revocation } from './revocation.ts';
import { Retained } from './routing/retained.ts';
import { Router } from './routing/router.ts';
import { SessionFeed } from './session-events.ts';
import { Sessions } from './sessions.ts';
import type { StateStore } from './store/state-store.ts';
import { Subscriptions } from './subscriptions.ts';
import { Takeover } from './takeover.ts';
import { Wills } from './wills.ts';

export type BrokerParts = ReturnType<typeof joinParts>;

export interface BrokerPartsOptions {
  readonly config: Config;
  readonly store: StateStore;
  readonly assignClientId: () => string;
  readonly connectionCount: () => number;
}

export function joinParts(parts: DeviceBrokerParts, options: BrokerPartsOptions) {
  const { log, clock, ledger, messageLog, uplink, metrics, sessionListener } = parts;
  const { config, store } = options;
  const retained = new Retained({ log, clock, ledger, store, messageLog }, config.limits);
  const books = { log, store, messageLog };
  const parking = new Parking(books);
  const flow = { ...books, ledger, retained };
  const router = new Router({ ...flow, uplink, parking }, config.mqtt);
  const common = { ...flow, clock, router };
  const sessions = new Sessions(
    {
      ...{ ...common, parking, listener: sessionListener },
      onEnded: (session) => wills.sessionEnded(session.clientId),
      onExpired: (session) => feed.happened(session, 'expired', 'session-expired'),
    },
    config.limits,
  );
  const acceptance = new Acceptance(common);
  const feed = new SessionFeed(clock, sessions, sessionListener);
  const authorize = new Authorize(parts.rights ?? new Rights(config.rights));
  const wills = new Wills({ ...common, acceptance, uplink, authorize });
  const registered = registeredOf(parts.knownDevices);
  const guards = joinGuards({ ...parts, registered }, config, (connection, reason, refusal) => {
    const clientId = connection.request?.clientId ?? '';
    admission.refuse(connection, { reason, clientId }, refusal);
  });
  const { limitBook } = guards;
  const admission = new Admission({
    ...guards,
    ...{ ...common, metrics, authorize, limits: config.limits },
    ...{ takeover: new Takeover(), sessions, wills },
    assignClientId: options.assignClientId,
    onRefused: (caller, reason) => feed.refused(caller, reason),
  });
  const replays = new RetainedReplays({
    log,
    retained,
    onSettled: (session, filter) => subscriptions.save(session, filter),
  });
  const subscriptions = new Subscriptions({
    ...{ ...common, replays, limitBook },
    limits: config.limits,
    admission,
    onChanged: (session) => feed.changed(session),
  });
  const revocation = new Revocation({ ...common, metrics, authorize, sessions, subscriptions });
  for (const one of registered) followRegistry(one, { log, sessions, revocation });
  const downlink = new Downlink({ ...common, acceptance });
  const { connectionCount } = options;
  registerGauges(metrics, { sessions, router, retained, parking, connectionCount });
  return {
    retained,
    parking,
    router,
    sessions,
    acceptance,
    feed,
    wills,
    ...guards,
    admission,
    replays,
    subscriptions,
    revocation,
    downlink,
  };
}
