/* The few packets of MQTT 3.1.1 and 5 that a load needs, written and read. */
#include "load.h"

#include <string.h>

uint16_t get16(const uint8_t *from) {
  return (uint16_t)(from[0] << 8 | from[1]);
}

static uint8_t *put(uint8_t *to, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; i--) *to++ = (uint8_t)(value >> (8 * i));
  return to;
}

static uint64_t get(const uint8_t *from, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; i++) value = value << 8 | from[i];
  return value;
}

static uint8_t *put_text(uint8_t *to, const char *text) {
  uint32_t length = (uint32_t)strlen(text);
  to = put(to, length, 2);
  memcpy(to, text, length);
  return to + length;
}

/* MQTT 5 has properties where 3.1.1 has nothing; none are set. */
static uint8_t *put_properties(uint8_t *to) {
  if (options.v5) *to++ = 0;
  return to;
}

/* Moves the body, written at to + 5, to right behind a fixed header of the length that it needs. */
static uint32_t close_packet(uint8_t *to, uint8_t head, const uint8_t *end) {
  uint32_t body = (uint32_t)(end - (to + 5)), rest = body;
  uint8_t *at = to;
  *at++ = head;
  do {
    *at++ = (uint8_t)((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>= 7;
  } while (rest > 0);
  memmove(at, to + 5, body);
  return (uint32_t)(at - to) + body;
}

uint32_t connect_packet(uint8_t *to, const char *client_id) {
  uint8_t *at = put_text(to + 5, "MQTT");
  *at++ = options.v5 ? 5 : 4;
  *at++ = 2; /* Clean session (5: clean start). */
  at = put(at, 0, 2); /* No keep alive: a load of seconds needs no pings. */
  at = put_text(put_properties(at), client_id);
  return close_packet(to, 0x10, at);
}

uint32_t subscribe_packet(uint8_t *to, char filters[][64], uint32_t count, int qos) {
  uint8_t *at = put_properties(put(to + 5, 1, 2));
  for (uint32_t i = 0; i < count; i++) {
    at = put_text(at, filters[i]);
    *at++ = (uint8_t)qos;
  }
  return close_packet(to, 0x82, at);
}

uint32_t publish_packet(uint8_t *to, const char *topic, int qos) {
  uint8_t *at = put_text(to + 5, topic);
  if (qos > 0) at = put(at, 0, 2);
  at = put_properties(at);
  memset(at, 'x', options.payload);
  return close_packet(to, (uint8_t)(t_publish | qos << 1), at + options.payload);
}

void stamp_packet(uint8_t *packet, uint32_t length, const Message *message) {
  uint8_t *at = packet + length - options.payload;
  if (message->packet_id > 0) put(at - 2 - options.v5, message->packet_id, 2);
  put(put(put(at, message->publisher, 4), message->number, 4), message->stamp, 8);
}

bool read_publish(uint8_t head, const uint8_t *body, uint32_t length, Message *to) {
  uint32_t at = 2 + (length < 2 ? 0 : get16(body));
  to->packet_id = 0;
  if (head & 6) {
    if (at + 2 > length) return false;
    to->packet_id = get16(body + at);
    at += 2;
  }
  if (options.v5) {
    uint32_t properties = 0, shift = 0;
    uint8_t byte;
    do {
      if (at >= length || shift > 21) return false;
      byte = body[at++];
      properties |= (uint32_t)(byte & 127) << shift;
      shift += 7;
    } while (byte & 128);
    at += properties;
  }
  if (at + stamp_bytes > length) return false;
  to->publisher = (uint32_t)get(body + at, 4);
  to->number = (uint32_t)get(body + at + 4, 4);
  to->stamp = get(body + at + 8, 8);
  return true;
}

uint8_t *put_ack(uint8_t *to, uint8_t head, uint16_t packet_id) {
  *to++ = head;
  *to++ = 2;
  return put(to, packet_id, 2);
}
