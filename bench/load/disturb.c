/* What disturbs bystanders. Each prepares, says so, waits for the byte 'g', goes on until it is told
 * to end, and tells how much it has done. It has the bystanders' core only while they leave it. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that a flood hands to its socket at a time: a send that takes long keeps the core. */
enum { chunk_bytes = 16 * 1024 };

/* Messages with QoS 1 under way while topics are given their retained messages. */
enum { retaining_max = 500 };

static uint64_t done;
static Connection *publisher, *reader;

static void say_ready(void) {
  printf("{\"isReady\":true}\n");
  fflush(stdout);
  while (net_wait(now_ns() + second_ns) != 'g') continue;
}

/* Calls `more` until the end is told; it returns until when it has nothing to do. */
static void disturb(uint64_t (*more)(void)) {
  say_ready();
  done = 0;
  uint64_t from = now_ns();
  while (net_wait(more()) != told_end) continue;
  printf("{\"done\":%llu,\"seconds\":%.6f}\n", (unsigned long long)done,
         (double)(now_ns() - from) / 1e9);
}

static void start(const Handlers *handlers) {
  yield_core();
  net_start(handlers);
}

/* --- flood: one publisher as fast as the broker takes it, and one subscriber that reads ------ */

static uint8_t *chunk;
static uint32_t packet_length, chunk_length, unacknowledged, number;
static uint8_t acks[read_bytes + packet_max], *acks_end = acks;

static uint32_t noise(uint32_t index, char filters[][64]) {
  snprintf(filters[0], 64, "disturbance/%u", index);
  return 1;
}

static void on_noise(Connection *from, uint8_t head, const uint8_t *body, uint32_t length) {
  Message message;
  if ((head & 0xf0) == t_publish) {
    if (!read_publish(head, body, length, &message)) fail("a message came that was not sent");
    if (message.packet_id != 0) acks_end = put_ack(acks_end, t_puback, message.packet_id);
    done++;
  } else if (head == t_puback) {
    unacknowledged--;
  } else if (!crowd_frame(from, head, body, length)) {
    fail("a packet of type %u came", head >> 4);
  }
}

static void on_noise_turn(Connection *from) {
  net_send(from, acks, (uint32_t)(acks_end - acks));
  acks_end = acks;
}

static void prepare_noise(void) {
  static const Handlers handlers = {on_noise, on_noise_turn};
  start(&handlers);
  reader = crowd_open("disturbed", 1, false, noise);
  publisher = crowd_open("disturber", 1, true, NULL);
  chunk = malloc(chunk_bytes + packet_max);
  if (chunk == NULL) fail("out of memory");
  packet_length = publish_packet(chunk, "disturbance/0", options.qos);
  for (chunk_length = packet_length; chunk_length < chunk_bytes; chunk_length += packet_length)
    memcpy(chunk + chunk_length, chunk, packet_length);
}

static void number_packets(uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    Message message = {.number = number, .packet_id = (uint16_t)(number % 65535 + 1)};
    stamp_packet(chunk + i * packet_length, packet_length, &message);
    number++;
  }
  unacknowledged += count;
}

/* Of QoS 1, as many are under way as may be. */
static uint64_t flood(void) {
  uint32_t count = chunk_length / packet_length;
  if (options.qos > 0 && count > options.window - unacknowledged)
    count = options.window - unacknowledged;
  if (publisher->is_waiting || count == 0) return now_ns() + 10 * millisecond_ns;
  if (options.qos > 0) number_packets(count);
  net_send(publisher, chunk, count * packet_length);
  return 0;
}

void run_flood(void) {
  prepare_noise();
  disturb(flood);
}

/* --- frozen: a subscriber that has stopped reading, and a publisher at a rate ---------------- */

static uint64_t sent_from_ns, sent;

static uint64_t publish_paced(void) {
  if (sent_from_ns == 0) sent_from_ns = now_ns();
  for (;;) {
    uint64_t due = sent_from_ns + sent * second_ns / options.rate;
    if (publisher->is_waiting) return now_ns() + 10 * millisecond_ns;
    if (due > now_ns()) return due;
    net_send(publisher, chunk, packet_length);
    sent++;
    done++;
  }
}

void run_frozen(void) {
  if (options.rate == 0) fail("rate is missing");
  prepare_noise();
  net_freeze(reader);
  disturb(publish_paced);
}

/* --- replay: many retained messages for a client that subscribes to all, again and again ------ */

static uint32_t retained, kept;
static uint64_t replayed;

static void subscribe_to_all(void) {
  char all[1][64] = {"#"};
  uint8_t packet[packet_max];
  net_send(reader, packet, subscribe_packet(packet, all, 1, 0));
}

static void on_replay(Connection *from, uint8_t head, const uint8_t *body, uint32_t length) {
  if ((head & 0xf0) == t_publish) {
    if ((head & 1) == 0) return;
    done++;
    if (++replayed % options.retained == 0) subscribe_to_all();
  } else if (head == t_puback) {
    kept++;
  } else if ((head & 0xf0) != t_suback && !crowd_frame(from, head, body, length)) {
    fail("a packet of type %u came", head >> 4);
  }
}

static void retain_next(void) {
  char topic[64];
  uint8_t packet[packet_max];
  snprintf(topic, sizeof topic, "plant/%05u/machine/%02u/state", retained / 100, retained % 100);
  uint32_t length = publish_packet(packet, topic, 1);
  packet[0] |= 1;
  Message message = {.number = retained, .packet_id = (uint16_t)(retained % 65535 + 1)};
  stamp_packet(packet, length, &message);
  net_send(publisher, packet, length);
  retained++;
}

static void on_kept(Connection *from) {
  if (from != publisher) return;
  while (retained < options.retained && retained - kept < retaining_max) retain_next();
}

static uint64_t nothing(void) {
  return now_ns() + second_ns;
}

static uint64_t replay(void) {
  static bool has_begun;
  if (!has_begun) subscribe_to_all();
  has_begun = true;
  return nothing();
}

void run_replay(void) {
  static const Handlers handlers = {on_replay, on_kept};
  if (options.retained == 0) fail("retained is missing");
  start(&handlers);
  reader = crowd_open("reader-of-all", 1, false, NULL);
  publisher = crowd_open("retainer", 1, true, NULL);
  on_kept(publisher);
  for (uint64_t until = now_ns() + 60 * second_ns; kept < options.retained;) {
    net_poll(100);
    if (now_ns() > until) fail("%u of %u topics were retained in 60 s", kept, options.retained);
  }
  disturb(replay);
}

/* --- storm: clients that connect, are cut off once they are in, and connect again ------------- */

static Connection *stormers;
static bool is_in;

static void open_stormer(Connection *c) {
  char client_id[32];
  uint8_t packet[packet_max];
  snprintf(client_id, sizeof client_id, "storm-%u", c->index);
  net_open(c);
  net_send(c, packet, connect_packet(packet, client_id));
}

static void on_connack(Connection *from, uint8_t head, const uint8_t *body, uint32_t length) {
  (void)from;
  if ((head & 0xf0) != t_connack) fail("a packet of type %u came", head >> 4);
  if (length < 2 || body[1] != 0) fail("CONNECT was refused with code %u", body[1]);
  is_in = true;
  done++;
}

static void come_again(Connection *from) {
  if (!is_in) return;
  is_in = false;
  net_cut(from);
  open_stormer(from);
}

static uint64_t storm(void) {
  if (stormers != NULL) return nothing();
  stormers = calloc(options.connections, sizeof *stormers);
  if (stormers == NULL) fail("out of memory");
  for (uint32_t i = 0; i < options.connections; i++) {
    stormers[i].index = i;
    open_stormer(&stormers[i]);
  }
  return nothing();
}

void run_storm(void) {
  static const Handlers handlers = {on_connack, come_again};
  if (options.connections == 0) fail("connections is missing");
  start(&handlers);
  disturb(storm);
}
