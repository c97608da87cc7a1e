/** FleetService over gRPC: the fleet engine's answers with gRPC's status codes. */
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import type { Logger } from '../../base/log.ts';
import type {
  FleetServiceServer,
  WatchSessionsRequest,
  WatchSessionsResponse,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import { type CallStatus, endCall, statusOf } from '../grpc/status.ts';
import { unary } from '../grpc/unary.ts';
import { rulesHandlers } from '../rules/rules-handlers.ts';
import { drainCore } from './drain-handler.ts';
import { type FieldMask, masked, parseFields } from './field-mask.ts';
import type { FleetEngine } from './fleet-engine.ts';
import type { SessionWatch, WatchEnd } from './session-watch.ts';
import { pumpWatch } from './watch-pump.ts';

export class FleetService {
  readonly #fleet: FleetEngine;
  readonly #log: Logger;
  readonly #watches = new Set<SessionWatch>();

  constructor(parts: { fleet: FleetEngine; log: Logger }) {
    this.#fleet = parts.fleet;
    this.#log = parts.log;
  }

  handlers(): FleetServiceServer {
    const fleet = this.#fleet;
    return {
      listSessions: unary(this.#log, (query) => fleet.list(query)),
      groupSessions: unary(this.#log, (query) => fleet.group(query)),
      listSessionEvents: unary(this.#log, (query) => fleet.events(query)),
      explainSession: unary(this.#log, (query) => fleet.explain(query)),
      getSession: unary(this.#log, ({ clientId }) => ({ session: fleet.get(clientId) })),
      listEdges: unary(this.#log, () => ({ edges: fleet.edges() })),
      watchSessions: (call) => this.#watch(call),
      listTrunks: unary(this.#log, () => ({ trunks: fleet.trunks.trunks() })),
      getTrunk: unary(this.#log, ({ edgeId }) => ({ trunk: fleet.trunks.trunk(edgeId) })),
      locatePublication: unary(this.#log, ({ messageId }) => fleet.trunks.locate(messageId)),
      drainCore: unary(this.#log, (request) => drainCore(request, fleet.drain)),
      ...rulesHandlers(() => fleet.rules, this.#log),
    };
  }

  /** Ends the open watches, so that their readers know why. */
  close(): void {
    for (const watch of this.#watches) watch.close('core-stopping');
  }

  #watch(call: ServerWritableStream<WatchSessionsRequest, WatchSessionsResponse>): void {
    let watch: SessionWatch;
    let mask: FieldMask;
    try {
      mask = parseFields(call.request.fields);
      watch = this.#fleet.watch(call.request, (reason) => {
        this.#watches.delete(watch);
        const ending = endingOf(reason);
        if (ending !== null) endCall(call, ending);
      });
    } catch (error) {
      endCall(call, statusOf(error, this.#log));
      return;
    }
    this.#watches.add(watch);
    call.on('cancelled', () => watch.close());
    pumpWatch(watch, {
      write: (event) => call.write(maskedEvent(event, mask)),
      onceDrained: (resume) => call.once('drain', resume),
    });
  }
}

function maskedEvent(event: WatchSessionsResponse, mask: FieldMask): WatchSessionsResponse {
  const { change } = event;
  if (mask === null || change === undefined || change.$case === 'snapshotEnd') return event;
  return { ...event, change: { ...change, value: masked(change.value, mask) } };
}

/** Null when the reader is gone and hears nothing. */
function endingOf(reason: WatchEnd): CallStatus | null {
  switch (reason) {
    case 'slow':
      return {
        code: status.RESOURCE_EXHAUSTED,
        details: 'Changes came faster than they were read; watch again for a fresh snapshot.',
      };
    case 'core-stopping':
      return { code: status.UNAVAILABLE, details: 'The core is stopping; watch again elsewhere.' };
    case 'closed':
      return null;
  }
}
