/** Bounds that operators may set. */
import { z } from 'zod';
import { bytes, count, whole } from './kinds.ts';

export const limits = z.strictObject({
  connections: count.default(10_000).describe('MQTT connections of one edge.'),
  packet_bytes: bytes
    .max(16 * 1024 * 1024)
    .default(1024 * 1024)
    .describe('Largest MQTT packet that a device may send.'),
  output_bytes: bytes
    .default(4 * 1024 * 1024)
    .describe('Bytes waiting for one slow device; past it QoS 0 is dropped and QoS 1 and 2 queue.'),
  drain_seconds: count
    .default(30)
    .describe('How long a device may leave its bytes unread before it is disconnected.'),
  inflight: count
    .max(65_535)
    .default(64)
    .describe('Deliveries of QoS 1 and 2 to one session that wait for its acknowledgement.'),
  queue_messages: count.default(10_000).describe('Messages that wait for one session.'),
  queue_bytes: bytes
    .default(16 * 1024 * 1024)
    .describe('Bytes of messages that wait for one session.'),
  queue_overflow: z
    .enum(['refuse-newest', 'drop-oldest'])
    .default('refuse-newest')
    .describe('What gives way when the queue of a session is full.'),
  receive_maximum: count
    .max(65_535)
    .default(1_000)
    .describe('QoS 1 and 2 of one device on their way in: what MQTT 5 calls Receive Maximum.'),
  topic_aliases: whole
    .min(0)
    .max(65_535)
    .default(64)
    .describe('Topic aliases that one device may use.'),
  keep_alive_seconds_max: whole
    .min(0)
    .max(65_535)
    .default(0)
    .describe('Longest keep alive of an MQTT 5 device, which is told of it; 0 for no bound.'),
  session_expiry_seconds: count
    .default(7 * 24 * 3600)
    .describe('How long a session without a connection is kept; MQTT 5 devices may ask for less.'),
  subscriptions: count.default(1_000).describe('Subscriptions of one session.'),
  retained_messages: count
    .default(1_000_000)
    .describe('Retained messages of one edge; a topic past it is delivered, but not retained.'),
  retained_bytes: bytes
    .default(256 * 1024 * 1024)
    .describe('Bytes of the retained messages of one edge.'),
  spool_bytes: bytes
    .default(1024 * 1024 * 1024)
    .describe('Size of the spool on disk; when full, QoS 1 and 2 publishers wait.'),
  log_bytes: bytes
    .default(1024 * 1024 * 1024)
    .describe("Size of the core's log; past it the oldest goes, counted."),
  log_seconds: count.default(2 * 3600).describe("Age past which the core's log is trimmed."),
  foreign_queue_messages: count
    .default(1_000_000)
    .describe('Messages that wait for one foreign broker.'),
  foreign_queue_bytes: bytes
    .default(256 * 1024 * 1024)
    .describe('Bytes of messages that wait for one foreign broker, as far as they are in memory.'),
  history_seconds: count
    .default(7 * 24 * 3600)
    .describe('How long the core remembers what happened to sessions.'),
  history_bytes: bytes
    .default(1024 * 1024 * 1024)
    .describe('Size of that history on disk; past it the oldest goes.'),
  gateway_devices: count.default(10_000).describe('Devices attached behind one gateway stream.'),
});
