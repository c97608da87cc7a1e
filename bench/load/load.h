/* The load generator's parts: one thread, one epoll, sockets that never block. */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the caller asked for; main.c tells what each means. */
typedef struct {
  int port, pid;
  uint32_t publishers, subscribers, topics, payload, window, connections, retained;
  int qos, slide, v5, subscribe;
  bool is_mixed; /* QoS 0 and 1 in turn. */
  uint32_t rate, warmup_ms, warmup_cpu_ms, measure_ms;
} Options;

extern Options options;

void run_flow(void);
void run_hold(void);
void run_bystand(void);
void run_flood(void);
void run_frozen(void);
void run_replay(void);
void run_storm(void);

/* Prints a sentence and ends with 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- connections (net.c) ------------------------------------------------------------------- */

typedef struct {
  int fd;
  uint32_t index; /* Place among its kind. */
  bool is_publisher, is_waiting;
  uint8_t *out, *part; /* Bytes not taken by the kernel yet; the start of a frame cut off. */
  uint32_t out_at, out_length, out_capacity, part_length;
} Connection;

typedef struct {
  /* body: what follows the fixed header. */
  void (*on_frame)(Connection *from, uint8_t head, const uint8_t *body, uint32_t length);
  /* All that one read brought has been handed over. */
  void (*on_turn)(Connection *from);
} Handlers;

enum { read_bytes = 256 * 1024 };

void net_start(const Handlers *handlers);
void net_open(Connection *connection);
void net_send(Connection *connection, const uint8_t *bytes, uint32_t length);
/* Waits up to so long (0: not at all) and handles what came. */
void net_poll(int timeout_ms);
/* Sleeps until then, or until something comes, and handles it. Returns the byte that whoever started
 * this program wrote to it: 0 for none, `told_end` when there will be no more. */
enum { told_end = 'q' };
char net_wait(uint64_t until_ns);
/* Reads nothing more from it. */
void net_freeze(Connection *connection);
/* Closes it without a word, as a device does that loses its power; it may be opened again. */
void net_cut(Connection *connection);

/* --- MQTT packets (mqtt.c) ----------------------------------------------------------------- */

enum { packet_max = 8192, stamp_bytes = 16 };

enum {
  t_connack = 0x20,
  t_publish = 0x30,
  t_puback = 0x40,
  t_pubrec = 0x50,
  t_pubrel = 0x62,
  t_pubcomp = 0x70,
  t_suback = 0x90,
};

typedef struct {
  uint32_t publisher, number;
  uint64_t stamp;
  uint16_t packet_id;
} Message;

uint32_t connect_packet(uint8_t *to, const char *client_id);
uint32_t subscribe_packet(uint8_t *to, char filters[][64], uint32_t count, int qos);
/* Returns the length; the stamp starts at `length - options.payload`. */
uint32_t publish_packet(uint8_t *to, const char *topic, int qos);
/* A packet identifier of 0 is QoS 0's. */
void stamp_packet(uint8_t *packet, uint32_t length, const Message *message);
bool read_publish(uint8_t head, const uint8_t *body, uint32_t length, Message *to);
uint16_t get16(const uint8_t *from);
uint8_t *put_ack(uint8_t *to, uint8_t head, uint16_t packet_id);

/* --- opening many connections (crowd.c) ---------------------------------------------------- */

/* Opens `count` connections, few at a time, each with CONNECT and, when `filters_of` is given,
 * SUBSCRIBE; returns when all are answered. */
typedef uint32_t (*FiltersOf)(uint32_t index, char filters[][64]);
Connection *crowd_open(const char *name, uint32_t count, bool is_publisher, FiltersOf filters_of);
/* Of the subscription, or of what is published, by a connection's index. */
int qos_of(uint32_t index);
/* True when the packet belonged to the opening. */
bool crowd_frame(Connection *from, uint8_t head, const uint8_t *body, uint32_t length);

/* --- clocks, CPU time, memory, latencies (stats.c) ----------------------------------------- */

#define millisecond_ns 1000000ull
#define second_ns 1000000000ull

uint64_t now_ns(void);
void sleep_ms(uint32_t ms);

typedef struct {
  uint64_t at_ns, broker_ns, load_ns, machine_ns;
} Sample;

Sample take_sample(void);
void print_usage(const Sample *from, const Sample *to);
/* Resident bytes of the broker, once they no longer change. */
uint64_t settled_bytes(void);

/* 64 buckets for each power of two: under 1.6 % wide. */
enum { sub_bits = 6, buckets = 64 << sub_bits };
typedef struct {
  uint64_t counts[buckets], recorded;
} Histogram;

void record_latency(Histogram *to, uint64_t ns);
double percentile_us(const Histogram *of, double share);

/* Leaves its core to whoever else of its owner wants it. */
void yield_core(void);

#endif
