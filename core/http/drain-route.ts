/** Draining this core over HTTP. */
import type { DrainCoreRequest } from '../../proto/gen/trunkline/v1/fleet.ts';
import { drainCore } from '../fleet/drain-handler.ts';
import type { Drain } from '../trunk/drain.ts';
import { jsonReply, type Reply } from './reply.ts';
import { fieldsOf } from './request-body.ts';

export interface DrainJson {
  readonly draining: boolean;
  /** `error` is empty for one that goes. */
  readonly edges: readonly { readonly edge_id: string; readonly error: string }[];
}

export async function drainReply(
  body: Readonly<Record<string, unknown>>,
  drain: Drain,
): Promise<Reply> {
  const fields = fieldsOf(body, { within_ms: 'number', address: 'text', undo: 'flag' });
  const { within_ms: withinMs, address, undo } = fields;
  const request: DrainCoreRequest = { withinMs, address, undo };
  const { draining, edges } = await drainCore(request, drain);
  const json: DrainJson = {
    draining,
    edges: edges.map(({ edgeId, error }) => ({ edge_id: edgeId, error })),
  };
  return jsonReply(json);
}
