/* Clients that have nothing to do with a disturbance: pairs at a fixed rate, QoS 0 and QoS 1 in
 * turn, whose latencies are measured whenever the byte 'm' says so. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* What is late is waited for so long; then it counts as lost. */
static const uint64_t late_ns = 3 * second_ns;

/* The broker is warmed up at this rate: compiling goes by the number of messages. */
enum { warm_rate = 20000 };

/* A broker that falls behind is not flooded beyond this for each publisher. */
enum { behind_max = 500 };

typedef struct {
  Connection *connection;
  uint8_t packet[packet_max];
  uint32_t length, sent, received, expected;
} Pair;

/* A time for which latencies are recorded, by when the messages were due. */
typedef struct {
  uint64_t from_ns, to_ns, sent, received;
  Histogram by_qos[2], lateness;
} Window;

static Pair *pairs;
static Window window;
static uint64_t arrival_ns, paced_from_ns, paced, rate, reordered;
static uint8_t acks[read_bytes + packet_max], *acks_end = acks;

static uint32_t filters_of(uint32_t index, char filters[][64]) {
  snprintf(filters[0], 64, "bystander/%05u", index);
  return 1;
}

static bool is_measured(uint64_t stamp) {
  return stamp >= window.from_ns && stamp < window.to_ns;
}

static void take(uint8_t head, const uint8_t *body, uint32_t length) {
  Message message;
  if (!read_publish(head, body, length, &message) || message.publisher >= options.publishers)
    fail("a message came that was not sent");
  if (message.packet_id != 0) acks_end = put_ack(acks_end, t_puback, message.packet_id);
  Pair *pair = &pairs[message.publisher];
  if (message.number < pair->expected) reordered++;
  else pair->expected = message.number + 1;
  pair->received++;
  if (!is_measured(message.stamp)) return;
  window.received++;
  uint64_t latency = arrival_ns > message.stamp ? arrival_ns - message.stamp : 0;
  record_latency(&window.by_qos[qos_of(message.publisher)], latency);
}

static void on_frame(Connection *from, uint8_t head, const uint8_t *body, uint32_t length) {
  if (arrival_ns == 0) arrival_ns = now_ns();
  if ((head & 0xf0) == t_publish) take(head, body, length);
  else if (!crowd_frame(from, head, body, length) && head != t_puback)
    fail("a packet of type %u came", head >> 4);
}

static void on_turn(Connection *from) {
  net_send(from, acks, (uint32_t)(acks_end - acks));
  acks_end = acks;
  arrival_ns = 0;
}

static void publish(uint32_t index, uint64_t due_ns, uint64_t now) {
  Pair *pair = &pairs[index];
  Message message = {.publisher = index, .number = pair->sent, .stamp = due_ns};
  if (qos_of(index) > 0) message.packet_id = (uint16_t)(pair->sent % 65535 + 1);
  stamp_packet(pair->packet, pair->length, &message);
  net_send(pair->connection, pair->packet, pair->length);
  pair->sent++;
  if (!is_measured(due_ns)) return;
  window.sent++;
  record_latency(&window.lateness, now - due_ns);
}

/* Sends what is due, then sleeps until the next is, or until something comes. */
static char step(void) {
  uint64_t now = now_ns(), due_ns;
  while ((due_ns = paced_from_ns + paced * second_ns / rate) <= now) {
    uint32_t index = (uint32_t)(paced % options.publishers);
    if (pairs[index].sent - pairs[index].received < behind_max) publish(index, due_ns, now);
    paced++;
    now = now_ns();
  }
  return net_wait(due_ns);
}

static void set_rate(uint64_t wanted) {
  rate = wanted;
  paced = 0;
  paced_from_ns = now_ns();
}

static void run_for(uint64_t ns) {
  for (uint64_t until = now_ns() + ns; now_ns() < until;) step();
}

static void warm_up(void) {
  uint64_t until = now_ns() + options.warmup_ms * millisecond_ns;
  uint64_t cpu = take_sample().broker_ns + options.warmup_cpu_ms * millisecond_ns;
  set_rate(warm_rate);
  while (now_ns() < until && take_sample().broker_ns < cpu) run_for(50 * millisecond_ns);
  set_rate(options.rate);
  run_for(500 * millisecond_ns);
}

static void print_percentiles(const char *name, const Histogram *of) {
  printf("\"%s\":{\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f},", name, percentile_us(of, 0.5),
         percentile_us(of, 0.99), percentile_us(of, 0.999));
}

static void measure(void) {
  memset(&window, 0, sizeof window);
  window.from_ns = now_ns();
  window.to_ns = window.from_ns + options.measure_ms * millisecond_ns;
  Sample before = take_sample();
  while (now_ns() < window.to_ns) step();
  Sample after = take_sample();
  while (window.received < window.sent && now_ns() < window.to_ns + late_ns) step();
  printf("{\"received\":%llu,\"lost\":%llu,\"reordered\":%llu,",
         (unsigned long long)window.received, (unsigned long long)(window.sent - window.received),
         (unsigned long long)reordered);
  print_percentiles("qos0", &window.by_qos[0]);
  print_percentiles("qos1", &window.by_qos[1]);
  print_percentiles("lateness", &window.lateness);
  print_usage(&before, &after);
  printf("}\n");
  fflush(stdout);
}

void run_bystand(void) {
  static const Handlers handlers = {on_frame, on_turn};
  if (options.publishers == 0 || options.rate == 0) fail("publishers or rate is missing");
  prctl(PR_SET_TIMERSLACK, 1000);
  options.is_mixed = true;
  net_start(&handlers);
  pairs = calloc(options.publishers, sizeof *pairs);
  crowd_open("bystander-sub", options.publishers, false, filters_of);
  Connection *connections = crowd_open("bystander-pub", options.publishers, true, NULL);
  for (uint32_t i = 0; i < options.publishers; i++) {
    char topic[1][64];
    filters_of(i, topic);
    pairs[i].connection = &connections[i];
    pairs[i].length = publish_packet(pairs[i].packet, topic[0], qos_of(i));
  }
  warm_up();
  printf("{\"isReady\":true}\n");
  fflush(stdout);
  for (char said = 0; said != told_end; said = step()) {
    if (said == 'm') measure();
  }
}
