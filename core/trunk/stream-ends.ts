/** How streams of the trunk end that did nothing wrong. */
import { status } from '@grpc/grpc-js';
import type { CallStatus } from '../grpc/status.ts';

export const replacedEnd: CallStatus = {
  code: status.ABORTED,
  details: 'Another connection of the same edge took over.',
};
export const closingEnd: CallStatus = {
  code: status.UNAVAILABLE,
  details: 'The core is closing.',
};
export const silentEnd: CallStatus = {
  code: status.UNAVAILABLE,
  details: 'Nothing was heard of the edge for too long.',
};
export const goneEnd: CallStatus = {
  code: status.UNAVAILABLE,
  details: 'The control stream of the edge has ended.',
};
