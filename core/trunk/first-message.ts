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

/** The edge that may open this lane. Throws `edge-unknown` or `lane-unknown`. */
export function laneOwner<
  E extends { readonly control: { readonly epoch: string; readonly streamsMax: number } },
>(open: LaneOpen, edge: E | undefined): E {
  if (edge?.control.epoch !== open.epoch) {
    throw new TrunklineError(
      'edge-unknown',
      `Edge "${open.edgeId}" has no control stream of this epoch here: it must say hello before it opens lanes.`,
    );
  }
  const { streamsMax } = edge.control;
  if (open.lane < streamsMax) return edge;
  throw new TrunklineError(
    'lane-unknown',
    `Lane ${open.lane} is not one of the ${streamsMax} lanes, 0 to ${streamsMax - 1}.`,
  );
}
