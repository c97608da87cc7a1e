/** A unary handler from a function that returns or throws. */
import type { handleUnaryCall } from '@grpc/grpc-js';
import type { Logger } from '../../base/log.ts';
import { statusOf } from './status.ts';

export function unary<Request, Response>(
  log: Logger,
  answer: (request: Request) => Response | Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve(call.request)
      .then(answer)
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(statusOf(error, log)),
      );
  };
}
