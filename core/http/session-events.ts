/** A session watch as server-sent events. Source of the format: WHATWG HTML, section 9.2. */
import type { ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import type { WatchSessionsRequest } from '../../proto/gen/trunkline/v1/fleet.ts';
import { parseFields } from '../fleet/field-mask.ts';
import type { FleetEngine } from '../fleet/fleet-engine.ts';
import type { SessionWatch, WatchEnd } from '../fleet/session-watch.ts';
import { pumpWatch } from '../fleet/watch-pump.ts';
import { watchEventJson } from './session-json.ts';

/** Proxies cut silent responses after 30 to 60 seconds. */
const heartbeatMs = 15_000;

/** For the closing event of a reader that is behind; then its connection is cut. */
const farewellMs = 5_000;

const closings: Record<Exclude<WatchEnd, 'closed'>, string> = {
  slow: 'Changes came faster than they were read; watch again for a fresh snapshot.',
  'core-stopping': 'The core is stopping; watch again later.',
};

export class SessionEvents {
  readonly #fleet: FleetEngine;
  readonly #clock: Clock;
  readonly #watches = new Set<SessionWatch>();

  constructor(parts: { fleet: FleetEngine; clock: Clock }) {
    this.#fleet = parts.fleet;
    this.#clock = parts.clock;
  }

  /** Throws `query-invalid`, `position-gone` or `overloaded` before anything is sent. */
  serve(response: ServerResponse, query: WatchSessionsRequest): void {
    const mask = parseFields(query.fields);
    const watch = this.#fleet.watch(query, (reason) => {
      stopBeating();
      this.#watches.delete(watch);
      if (reason !== 'closed') this.#sayFarewell(response, reason);
    });
    const stopBeating = this.#clock.every(heartbeatMs, () => {
      if (!response.writableNeedDrain) response.write(': heartbeat\n\n');
    });
    this.#watches.add(watch);
    response.once('close', () => watch.close());
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
    pumpWatch(watch, {
      write: (event) => {
        const json = watchEventJson(event, mask);
        if (json === null) return true;
        const { event: name, sequence, position, data } = json;
        const id = position === '' ? sequence : `${sequence}:${position}`;
        return response.write(`id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
      },
      onceDrained: (resume) => response.once('drain', resume),
    });
  }

  close(): void {
    for (const watch of this.#watches) watch.close('core-stopping');
  }

  #sayFarewell(response: ServerResponse, reason: Exclude<WatchEnd, 'closed'>): void {
    const data = JSON.stringify({ reason, message: closings[reason] });
    response.end(`event: closing\ndata: ${data}\n\n`);
    const cancel = this.#clock.after(farewellMs, () => response.destroy());
    response.once('close', cancel);
  }
}
