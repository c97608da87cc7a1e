/** Errors as gRPC shows them: the catalogue's codes to status codes, one place for all services. */
import { type Metadata, status } from '@grpc/grpc-js';
import { type ErrorCode, TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';

/** What grpc-js takes as the end of a call. */
export interface CallStatus {
  readonly code: status;
  readonly details: string;
  /** Goes after it. */
  readonly metadata?: Metadata;
}

const codes = new Map<ErrorCode, status>([
  ['query-invalid', status.INVALID_ARGUMENT],
  ['position-gone', status.OUT_OF_RANGE],
  ['topic-invalid', status.INVALID_ARGUMENT],
  ['filter-invalid', status.INVALID_ARGUMENT],
  ['message-too-large', status.INVALID_ARGUMENT],
  ['batch-malformed', status.INVALID_ARGUMENT],
  ['protocol', status.INVALID_ARGUMENT],
  ['not-found', status.NOT_FOUND],
  ['not-authorized', status.PERMISSION_DENIED],
  ['overloaded', status.RESOURCE_EXHAUSTED],
  ['rules-invalid', status.INVALID_ARGUMENT],
  ['rules-conflict', status.ABORTED],
  ['device-invalid', status.INVALID_ARGUMENT],
  ['device-exists', status.ALREADY_EXISTS],
  ['unsupported', status.UNIMPLEMENTED],
  ['edge-unknown', status.NOT_FOUND],
  ['command-refused', status.FAILED_PRECONDITION],
  ['store-failing', status.UNAVAILABLE],
  ['spool-failing', status.UNAVAILABLE],
  ['unreachable', status.UNAVAILABLE],
]);

/** An unexpected error is logged here and told without its inside. */
export function statusOf(error: unknown, log: Logger): CallStatus {
  if (error instanceof TrunklineError) {
    return { code: codes.get(error.code) ?? status.INTERNAL, details: error.message };
  }
  log.error({ err: error }, 'call failed unexpectedly');
  return { code: status.INTERNAL, details: "Unexpected error; the core's log tells more." };
}

/** Ends a streaming call with a status; what was written before goes first. */
export function endCall(
  call: { emit(event: 'error', error: Error): boolean },
  ending: CallStatus,
): void {
  // grpc-js takes the status from an error event, and has a listener of its own for it.
  call.emit('error', Object.assign(new Error(ending.details), ending));
}
