/** The edge's retained messages on their own, with a clock that is moved by hand. */
import type { Clock } from '../../base/clock.ts';
import { Ledger } from '../../base/ledger.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import { Retained, type RetainedLimits } from '../../broker/routing/retained.ts';

const unbounded = {
  retained_messages: Number.POSITIVE_INFINITY,
  retained_bytes: Number.POSITIVE_INFINITY,
};

export function openRetained(limits: Partial<RetainedLimits> = {}) {
  const time = { now: 0 };
  const metrics = new Metrics();
  const stored = new Set<string>();
  const isUplinkPending = { value: false };
  const retained = new Retained(
    {
      log: createLog({ level: 'silent', format: 'json', tier: 'test' }),
      clock: { now: () => time.now, elapsed: () => time.now } as Clock,
      ledger: new Ledger(metrics),
      store: {
        retained: {
          put: ([topic]: readonly unknown[]) => stored.add(topic as string),
          delete: ([topic]: readonly unknown[]) => stored.delete(topic as string),
        },
      } as never,
      messageLog: {
        isUplinkPending: () => isUplinkPending.value,
        get lowestPending() {
          return isUplinkPending.value ? 0 : Number.POSITIVE_INFINITY;
        },
      },
    },
    { ...unbounded, ...limits },
  );
  return { retained, time, metrics, stored, isUplinkPending };
}

export function retainedPublication(
  topic: string,
  text: string,
  more: Partial<Publication> = {},
): Publication {
  return {
    topic,
    payload: Buffer.from(text),
    qos: 1,
    retain: true,
    properties: null,
    acceptedAt: 0,
    origin: '',
    ...more,
  };
}
