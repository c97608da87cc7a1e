/** What the streams of the trunk have to begin with. */
import { TrunklineError } from '../../base/errors.ts';
import type {
  ControlRequest,
  Hello,
  LaneOpen,
  LaneRequest,
} from '../../proto/gen/trunkline/v1/trunk.ts';
import { checkHello } from './control-stream.ts';

/** Throws `protocol`. */
export function helloOf(message: ControlRequest['message']): Hello {
  if (message?.$case !== 'hello') {
    throw new TrunklineError('protocol', 'The first message of control must be hello.');
  }
  checkHello(message.value);
  return message.value;
}

/** Throws `protocol`. */
export function openOf(message: LaneRequest['message']): LaneOpen {
  if (message?.$case === 'open') return message.value;
  throw new TrunklineError('protocol', 'The first message of a lane must be open.');
}
