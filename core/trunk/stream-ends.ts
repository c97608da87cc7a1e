/** How streams of the trunk end that did nothing wrong. */
import { status } from '@grpc/grpc-js';
import { metadataOfRetry } from '../../proto/trunk-metadata.ts';
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
/** With the name that the log has then. */
export const renewedEnd: CallStatus = {
  code: status.UNAVAILABLE,
  details: 'The log lost something that was durable, and takes a new epoch: come again.',
  metadata: metadataOfRetry(1),
};
export const goneEnd: CallStatus = {
  code: status.UNAVAILABLE,
  details: 'The control stream of the edge has ended.',
};
