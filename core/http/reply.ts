/** Answers of the operators' HTTP: JSON, text and errors, with the headers that all of them have. */
import type { ServerResponse } from 'node:http';
import { type ErrorCode, TrunklineError } from '../../base/errors.ts';

/** Codes of the catalogue, and those that only HTTP knows. */
export type FaultCode = ErrorCode | 'method-not-allowed' | 'unexpected';

const statuses = new Map<FaultCode, number>([
  ['query-invalid', 400],
  ['position-gone', 410],
  ['not-authorized', 401],
  ['not-found', 404],
  ['method-not-allowed', 405],
  ['overloaded', 503],
  ['rules-invalid', 400],
  ['rules-conflict', 409],
  ['unsupported', 501],
  ['edge-unknown', 404],
  ['command-refused', 409],
  ['unreachable', 504],
  ['message-too-large', 413],
  ['unexpected', 500],
]);

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: Buffer | string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function jsonReply(content: unknown, status = 200): Reply {
  return { status, type: 'application/json', body: `${JSON.stringify(content)}\n` };
}

export function textReply(body: string, type = 'text/plain; charset=utf-8'): Reply {
  return { status: 200, type, body };
}

export function faultReply(code: FaultCode, message: string, status?: number): Reply {
  return jsonReply({ error: { code, message } }, status ?? statuses.get(code) ?? 500);
}

/** Null for what is not for the caller to see. */
export function replyOfError(error: unknown): Reply | null {
  return error instanceof TrunklineError ? faultReply(error.code, error.message) : null;
}

/** Sends headers and, unless it is a HEAD, the body. What says nothing of caching is not kept. */
export function sendReply(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, {
    'content-type': reply.type,
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...reply.headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : reply.body);
}
