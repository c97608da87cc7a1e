/**
 * What the gRPC library has to say goes into the tier's log, as detail: by itself it would write
 * plain lines to standard error, between the events and beside the one sentence of a failed start.
 */
import { setLogger } from '@grpc/grpc-js';
import type { Logger } from '../base/log.ts';

export function routeGrpcLog(log: Logger): void {
  const write = (...words: unknown[]) => log.debug({ detail: words.join(' ') }, 'gRPC library');
  setLogger({ error: write, info: write, debug: write });
}
