/** How a lane stream ends with a reason, and what its two halves write to. */
import { status } from '@grpc/grpc-js';
import { messageOf, TrunklineError } from '../../base/errors.ts';
import type { LaneResponse } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { CallStatus } from '../grpc/status.ts';

export interface LaneOutlet {
  /** False when the stream's buffer is full: `drained` will be called. Calls back when it went out. */
  write(message: NonNullable<LaneResponse['message']>, moved?: () => void): boolean;
  /** Ends the stream; the edge comes back. */
  fail(end: CallStatus): void;
}

/** The status that tells an edge why its stream ended. */
export function endOf(error: unknown): CallStatus {
  const details = messageOf(error);
  if (!(error instanceof TrunklineError)) return { code: status.INTERNAL, details };
  switch (error.code) {
    case 'batch-malformed':
    case 'lane-unknown':
    case 'filter-invalid':
    case 'protocol':
      return { code: status.INVALID_ARGUMENT, details };
    case 'lane-gap':
      return { code: status.OUT_OF_RANGE, details };
    case 'edge-unknown':
      return { code: status.FAILED_PRECONDITION, details };
    case 'not-authorized':
      return { code: status.UNAUTHENTICATED, details };
    case 'overloaded':
      return { code: status.RESOURCE_EXHAUSTED, details };
    default:
      return { code: status.UNAVAILABLE, details };
  }
}
