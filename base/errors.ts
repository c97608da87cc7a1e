/**
 * The catalogue of operating errors. Each has a stable code that logs, the command line and the
 * APIs show, so that an operator can search for it. Programmer errors are `assert`, not these.
 */

export type ErrorCode =
  | 'config-invalid'
  | 'port-in-use'
  | 'address-unavailable'
  | 'data-unwritable'
  | 'data-locked'
  | 'door-open'
  | 'tls-unreadable'
  | 'spool-corrupt'
  | 'spool-failing'
  | 'store-failing'
  | 'batch-malformed'
  | 'lane-unknown'
  | 'lane-gap'
  | 'edge-unknown'
  | 'protocol'
  | 'unsupported'
  | 'command-refused'
  | 'rules-invalid'
  | 'rules-conflict'
  | 'device-invalid'
  | 'device-exists'
  | 'topic-invalid'
  | 'filter-invalid'
  | 'message-too-large'
  | 'query-invalid'
  | 'position-gone'
  | 'not-found'
  | 'not-authorized'
  | 'overloaded'
  | 'unreachable';

/** An operating error: something a user or an operator can do something about. */
export class TrunklineError extends Error {
  readonly code: ErrorCode;

  /** `message` is one sentence that names the field, the value and the remedy where there is one. */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'TrunklineError';
    this.code = code;
  }
}

/** The `code` of a Node system error such as EADDRINUSE, or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return undefined;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
