/** Bounds that operators may set. */
import { z } from 'zod';
import { connectBytesMax, topicLevelsMax } from '../limits.ts';
import { bytes, count, whole } from './kinds.ts';

export const limits = z.strictObject({
  connections: count.default(10_000).describe('MQTT connections of one edge.'),
  connections_per_address: whole
    .min(0)
    .default(0)
    .describe('MQTT connections from one address (IPv6: one /64); 0 for no bound.'),
  connecting: count
    .default(20_000)
    .describe('Connections that have not been let in yet; past it the oldest silent one ends.'),
  connect_seconds: count
    .max(300)
    .default(10)
    .describe('Time from the beginning of a connection to the end of its CONNECT.'),
  connect_rate: whole
    .min(0)
    .default(2_000)
    .describe('CONNECTs a second that an edge deals with, others wait; 0 for as many as it can.'),
  connect_rate_per_address: whole
    .min(0)
    .default(0)
    .describe('CONNECTs a second from one address (IPv6: one /64); 0 for no bound.'),
  backlog: count
    .max(65_535)
    .default(4_096)
    .describe('Connections that the kernel holds for one listener until they are taken.'),
  memory_bytes: whole
    .min(0)
    .default(0)
    .describe(
      'Memory of the process near which load is shed; 0 for four fifths of what the machine or its container has.',
    ),
  message_rate: whole
    .min(0)
    .default(0)
    .describe('Messages a second that one device is read; 0 for no bound.'),
  byte_rate: whole
    .min(0)
    .default(0)
    .describe('Bytes a second that one device is read; 0 for no bound.'),
  topic_bytes: count
    .max(65_535)
    .default(65_535)
    .describe('Bytes of a topic name or filter of a device.'),
  topic_levels: count
    .max(topicLevelsMax)
    .default(topicLevelsMax)
    .describe('Levels of a topic name or filter of a device.'),
  filters: count.default(1_000).describe('Filters of one SUBSCRIBE or UNSUBSCRIBE.'),
  will_bytes: whole.min(0).default(connectBytesMax).describe('Bytes of the payload of a will.'),
  keep_alive_seconds_min: whole
    .min(0)
    .max(65_535)
    .default(0)
    .describe('Shortest keep alive that is held against a device; MQTT 5 devices are told of it.'),
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
