/* Messages from publishers to subscribers: a window of each publisher kept full, or a fixed rate.
 * Each message carries its publisher and number; a gap or a step back is counted. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Nothing came for so long: what is missing is lost. */
static const uint64_t silence_ns = 3 * second_ns;

/* With a fixed rate, a broker that falls behind is not flooded beyond this for each publisher; the
 * stamps keep the times at which the messages were due. */
enum { behind_max = 500 };

typedef struct {
  Connection *connection;
  uint8_t *packets; /* One for each topic. */
  uint32_t sent, completed, received;
  bool is_due;
} Publisher;

typedef struct {
  uint32_t first; /* The publishers that it hears: from this one on. */
  uint32_t *expected;
} Subscriber;

static Publisher *publishers;
static Subscriber *subscribers;
static uint32_t packet_length, fan;
static uint64_t delivered, reordered, arrival_ns, measured_from_ns, measured_to_ns;
static uint64_t paced_from_ns, paced;
static bool is_publishing, is_paced;
static Histogram latencies;

static Publisher **due;
static uint32_t due_count;
static uint8_t *scratch, acks[read_bytes + packet_max], *acks_end = acks;

static uint32_t filters_of(uint32_t index, char filters[][64]) {
  if (options.subscribers == 1 && options.publishers > 1) {
    snprintf(filters[0], 64, "bench/+/0");
    return 1;
  }
  uint32_t heard = options.publishers == 1 ? 0 : index;
  for (uint32_t i = 0; i < options.topics; i++) snprintf(filters[i], 64, "bench/%05u/%u", heard, i);
  return options.topics;
}

static void publish(Publisher *p, uint32_t count, uint64_t stamp) {
  uint8_t *at = scratch;
  uint32_t index = (uint32_t)(p - publishers);
  for (uint32_t i = 0; i < count; i++, at += packet_length) {
    Message message = {.publisher = index, .number = p->sent, .stamp = stamp};
    if (options.qos > 0) message.packet_id = (uint16_t)(p->sent % 65535 + 1);
    memcpy(at, p->packets + p->sent % options.topics * packet_length, packet_length);
    stamp_packet(at, packet_length, &message);
    p->sent++;
  }
  net_send(p->connection, scratch, (uint32_t)(at - scratch));
}

static uint32_t finished(const Publisher *p) {
  uint32_t received = p->received / fan;
  return options.qos > 0 && p->completed < received ? p->completed : received;
}

static void refill(Publisher *p) {
  uint32_t room = options.window - (p->sent - finished(p));
  if (!is_publishing || is_paced || room == 0) return;
  if (!options.slide && room < options.window) return;
  publish(p, room, 0);
}

static void mark_due(Publisher *p) {
  if (p->is_due) return;
  p->is_due = true;
  due[due_count++] = p;
}

static void take(Connection *from, uint8_t head, const uint8_t *body, uint32_t length) {
  Message message;
  Subscriber *to = &subscribers[from->index];
  if (!read_publish(head, body, length, &message) || message.publisher >= options.publishers)
    fail("a message came that was not sent");
  if (message.packet_id != 0) {
    acks_end = put_ack(acks_end, (head & 6) == 2 ? t_puback : t_pubrec, message.packet_id);
  }
  uint32_t *expected = &to->expected[message.publisher - to->first];
  if (message.number < *expected) reordered++;
  else *expected = message.number + 1;
  delivered++;
  publishers[message.publisher].received++;
  mark_due(&publishers[message.publisher]);
  if (message.stamp >= measured_from_ns && message.stamp < measured_to_ns)
    record_latency(&latencies, arrival_ns > message.stamp ? arrival_ns - message.stamp : 0);
}

static void on_frame(Connection *from, uint8_t head, const uint8_t *body, uint32_t length) {
  uint8_t type = head & 0xf0;
  if (arrival_ns == 0) arrival_ns = now_ns();
  if (type == t_publish) {
    take(from, head, body, length);
  } else if (crowd_frame(from, head, body, length)) {
    return;
  } else if (type < t_puback || type > t_pubcomp) {
    fail("a packet of type %u came", type >> 4);
  } else if (length > 2 && body[2] >= 0x80) {
    fail("an acknowledgement says %u", body[2]);
  } else if (type == t_pubrec) {
    acks_end = put_ack(acks_end, t_pubrel, get16(body));
  } else if (type == (t_pubrel & 0xf0)) {
    acks_end = put_ack(acks_end, t_pubcomp, get16(body));
  } else {
    publishers[from->index].completed++;
    mark_due(&publishers[from->index]);
  }
}

static void on_turn(Connection *from) {
  net_send(from, acks, (uint32_t)(acks_end - acks));
  acks_end = acks;
  for (uint32_t i = 0; i < due_count; i++) {
    due[i]->is_due = false;
    refill(due[i]);
  }
  due_count = 0;
  arrival_ns = 0;
}

static void prepare(void) {
  char topic[64];
  uint8_t packet[packet_max];
  fan = options.publishers == 1 ? options.subscribers : 1;
  publishers = calloc(options.publishers, sizeof *publishers);
  subscribers = calloc(options.subscribers, sizeof *subscribers);
  due = calloc(options.publishers, sizeof *due);
  /* All topics are as long as another, so all packets are. */
  packet_length = publish_packet(packet, "bench/00000/0", options.qos);
  scratch = malloc((size_t)packet_length * options.window);
  uint32_t heard = options.subscribers == 1 ? options.publishers : 1;
  for (uint32_t i = 0; i < options.publishers; i++) {
    publishers[i].packets = malloc((size_t)packet_length * options.topics);
    for (uint32_t topic_index = 0; topic_index < options.topics; topic_index++) {
      snprintf(topic, sizeof topic, "bench/%05u/%u", i, topic_index);
      publish_packet(packet, topic, options.qos);
      memcpy(publishers[i].packets + topic_index * packet_length, packet, packet_length);
    }
  }
  for (uint32_t i = 0; i < options.subscribers; i++) {
    subscribers[i].first = options.subscribers == options.publishers ? i : 0;
    subscribers[i].expected = calloc(heard, sizeof(uint32_t));
  }
}

static void pace(void) {
  uint64_t now = now_ns();
  for (int burst = 0; burst < 64; burst++) {
    uint64_t at = paced_from_ns + paced * second_ns / options.rate;
    Publisher *p = &publishers[paced % options.publishers];
    if (at > now || p->sent - finished(p) >= behind_max) return;
    publish(p, 1, at);
    paced++;
  }
}

static uint64_t missing(void) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < options.publishers; i++) {
    uint64_t wanted = (uint64_t)publishers[i].sent * fan;
    sum += wanted > publishers[i].received ? wanted - publishers[i].received : 0;
  }
  return sum;
}

/* Until then, or until nothing has come for too long, or all has come when nobody publishes. */
static void run_until(uint64_t until_ns) {
  uint64_t seen = delivered, seen_at = now_ns(), now;
  while ((now = now_ns()) < until_ns) {
    if (delivered != seen) {
      seen = delivered;
      seen_at = now;
    }
    if (now - seen_at > silence_ns) return;
    if (!is_publishing && missing() == 0) return;
    if (is_publishing && is_paced) {
      pace();
      net_poll(0); /* This core is the generator's own: sleeping would blur the pace. */
    } else {
      uint64_t left_ms = (until_ns - now) / millisecond_ns;
      net_poll(left_ms < 20 ? (int)left_ms : 20);
    }
  }
}

static void publish_all(void) {
  is_publishing = true;
  for (uint32_t i = 0; i < options.publishers; i++) refill(&publishers[i]);
}

static void drain(void) {
  is_publishing = false;
  run_until(now_ns() + 60 * second_ns);
}

/* Until the broker has had so much CPU time: on a machine that is shared, a time alone would leave
 * one that compiles as it runs half compiled. */
static void warm_up(void) {
  uint64_t until = now_ns() + options.warmup_ms * millisecond_ns;
  uint64_t cpu = take_sample().broker_ns + options.warmup_cpu_ms * millisecond_ns;
  publish_all();
  while (now_ns() < until && take_sample().broker_ns < cpu) {
    run_until(now_ns() + 50 * millisecond_ns);
  }
  if (options.rate == 0) return;
  drain();
  is_paced = true;
  paced_from_ns = now_ns();
  publish_all();
  run_until(now_ns() + 200 * millisecond_ns);
}

static void print_books(uint64_t measured) {
  uint64_t sent = 0;
  for (uint32_t i = 0; i < options.publishers; i++) sent += publishers[i].sent;
  printf("{\"delivered\":%llu,\"sent\":%llu,\"lost\":%llu,\"reordered\":%llu,",
         (unsigned long long)measured, (unsigned long long)sent, (unsigned long long)missing(),
         (unsigned long long)reordered);
}

void run_flow(void) {
  static const Handlers handlers = {on_frame, on_turn};
  prepare();
  net_start(&handlers);
  crowd_open("sub", options.subscribers, false, filters_of);
  Connection *connections = crowd_open("pub", options.publishers, true, NULL);
  for (uint32_t i = 0; i < options.publishers; i++) publishers[i].connection = &connections[i];
  warm_up();
  measured_from_ns = now_ns();
  measured_to_ns = measured_from_ns + options.measure_ms * millisecond_ns;
  Sample before = take_sample();
  uint64_t delivered_before = delivered;
  run_until(measured_to_ns);
  Sample after = take_sample();
  uint64_t measured = delivered - delivered_before;
  drain();
  print_books(measured);
  print_usage(&before, &after);
  if (options.rate > 0) {
    printf(",\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f", percentile_us(&latencies, 0.5),
           percentile_us(&latencies, 0.99), percentile_us(&latencies, 0.999));
  }
  printf("}\n");
}
