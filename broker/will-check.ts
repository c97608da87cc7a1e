/** What is wrong with a will, as CONNACK says it. */
import { topicNameFault } from '../base/topic.ts';
import type { Will } from './connect-request.ts';
import type { Refusal } from './connection/dialect.ts';
import { connackCodes } from './connection/frames.ts';
import { reasonCodes } from './mqtt5/reason-codes.ts';
import { type TopicBounds, topicBoundPast } from './topic-bounds.ts';

export const willNotAuthorized: Refusal = {
  returnCode: connackCodes.notAuthorized,
  reasonCode: reasonCodes.notAuthorized,
  reasonString: 'The client may not publish its will.',
};

export function willFault({ topic, qos }: Will): Refusal | null {
  const fault = qos > 2 ? 'has a QoS above 2' : topicNameFault(topic);
  if (fault === null) return null;
  return {
    returnCode: connackCodes.notAuthorized,
    reasonCode: reasonCodes.topicNameInvalid,
    reasonString: `The will ${fault}.`,
  };
}

type WillBound = keyof TopicBounds | 'will_bytes';

/** The bound of the configuration that a will is past; null for none. */
export function willBoundPast(
  { topic, payload }: Will,
  limits: TopicBounds & { readonly will_bytes: number },
): WillBound | null {
  return payload.length > limits.will_bytes ? 'will_bytes' : topicBoundPast(topic, limits);
}

const willTopic: Refusal = {
  returnCode: connackCodes.notAuthorized,
  reasonCode: reasonCodes.topicNameInvalid,
  reasonString: 'The topic of the will is longer or deeper than allowed.',
};

export const willTooLarge: Readonly<Record<WillBound, Refusal>> = {
  topic_bytes: willTopic,
  topic_levels: willTopic,
  will_bytes: {
    returnCode: connackCodes.notAuthorized,
    reasonCode: reasonCodes.packetTooLarge,
    reasonString: 'The will is larger than allowed.',
  },
};
