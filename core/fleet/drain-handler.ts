/** `DrainCore`: what an operator may ask for, checked. */
import { TrunklineError } from '../../base/errors.ts';
import type { DrainCoreRequest, DrainCoreResponse } from '../../proto/gen/trunkline/v1/fleet.ts';
import type { Drain } from '../trunk/drain.ts';

/** A day; whoever wants longer has forgotten it. */
const withinMsMax = 24 * 3_600 * 1_000;

const addressForm = /^[^@\s]{1,255}:(\d{1,5})$/;

function isAddress(text: string): boolean {
  const port = Number(addressForm.exec(text)?.[1]);
  return port >= 1 && port <= 65_535;
}

/** Throws `query-invalid`. Resolves when the edges have answered. */
export async function drainCore(
  { withinMs, address, undo }: DrainCoreRequest,
  drain: Drain,
): Promise<DrainCoreResponse> {
  if (undo) {
    if (withinMs > 0 || address !== '') {
      throw new TrunklineError('query-invalid', 'undo is given: leave out within_ms and address.');
    }
    return { draining: false, edges: await drain.undo() };
  }
  if (withinMs > withinMsMax) {
    const text = `within_ms is ${withinMs}; give ${withinMsMax} at most.`;
    throw new TrunklineError('query-invalid', text);
  }
  if (address !== '' && !isAddress(address)) {
    const given = JSON.stringify(address.slice(0, 128));
    const text = `address is ${given}; give host:port of the trunk of another core.`;
    throw new TrunklineError('query-invalid', text);
  }
  return { draining: true, edges: await drain.begin({ withinMs, address }) };
}
