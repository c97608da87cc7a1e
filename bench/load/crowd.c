/* Opening many connections at a pace that no broker's listen queue overflows: a SYN that is dropped
 * there comes again after a second, which would be all that one measures. */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

/* mosquitto listens with a queue of 100. */
enum { opening_max = 64, filters_max = 16 };

static uint32_t ready;
static FiltersOf filters_of;

int qos_of(uint32_t index) {
  return options.is_mixed ? (int)(index % 2) : options.qos;
}

bool crowd_frame(Connection *from, uint8_t head, const uint8_t *body, uint32_t length) {
  if ((head & 0xf0) == t_connack) {
    if (length < 2 || body[1] != 0) fail("CONNECT was refused with code %u", body[1]);
    if (filters_of == NULL) {
      ready++;
      return true;
    }
    char filters[filters_max][64];
    uint8_t packet[packet_max];
    uint32_t wanted = filters_of(from->index, filters);
    net_send(from, packet, subscribe_packet(packet, filters, wanted, qos_of(from->index)));
    return true;
  }
  if ((head & 0xf0) != t_suback) return false;
  uint8_t granted = body[length - 1];
  if (granted != qos_of(from->index)) fail("SUBSCRIBE was answered with code %u", granted);
  ready++;
  return true;
}

Connection *crowd_open(const char *name, uint32_t count, bool is_publisher, FiltersOf filters) {
  Connection *all = calloc(count, sizeof *all);
  if (all == NULL) fail("out of memory");
  uint64_t until = now_ns() + 60 * second_ns;
  filters_of = filters;
  ready = 0;
  for (uint32_t opened = 0; ready < count;) {
    while (opened < count && opened - ready < opening_max) {
      Connection *c = &all[opened];
      c->index = opened++;
      c->is_publisher = is_publisher;
      char client_id[32];
      uint8_t packet[packet_max];
      snprintf(client_id, sizeof client_id, "%s-%u", name, c->index);
      net_open(c);
      net_send(c, packet, connect_packet(packet, client_id));
    }
    net_poll(100);
    if (now_ns() > until) fail("%u of %u connections were answered in 60 s", ready, count);
  }
  return all;
}
