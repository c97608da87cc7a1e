/* Sockets behind one epoll: whole frames in, bytes out, nothing ever waits on one of them. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { events_max = 1024 };

static int epoll_fd;
static const Handlers *handlers;
/* The part of a frame that the last read left stands before what this read brings. */
static uint8_t input[packet_max + read_bytes];

void net_start(const Handlers *given) {
  handlers = given;
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
}

static void watch(Connection *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(epoll_fd, operation, c->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

void net_open(Connection *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c->fd < 0) fail("socket: %s (see ulimit -n)", strerror(errno));
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
    fail("connect to port %d: %s", options.port, strerror(errno));
  watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

void net_freeze(Connection *c) {
  watch(c, EPOLL_CTL_DEL, 0);
}

void net_cut(Connection *c) {
  /* Without waiting for the peer: else a storm soon has no port left. */
  struct linger at_once = {.l_onoff = 1};
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(c->fd);
  c->out_at = c->out_length = c->part_length = 0;
  c->is_waiting = false;
}

static void hold_back(Connection *c, const uint8_t *bytes, uint32_t length) {
  if (c->out_length + length > c->out_capacity) {
    c->out_capacity = 2 * (c->out_length + length);
    c->out = realloc(c->out, c->out_capacity);
    if (c->out == NULL) fail("out of memory");
  }
  memcpy(c->out + c->out_length, bytes, length);
  c->out_length += length;
}

static uint32_t write_some(Connection *c, const uint8_t *bytes, uint32_t length) {
  ssize_t taken = send(c->fd, bytes, length, MSG_NOSIGNAL);
  if (taken >= 0) return (uint32_t)taken;
  if (errno != EAGAIN && errno != ENOTCONN) fail("send: %s", strerror(errno));
  return 0;
}

void net_send(Connection *c, const uint8_t *bytes, uint32_t length) {
  if (length == 0) return;
  if (c->is_waiting) {
    hold_back(c, bytes, length);
    return;
  }
  uint32_t taken = write_some(c, bytes, length);
  if (taken == length) return;
  hold_back(c, bytes + taken, length - taken);
  c->is_waiting = true;
  watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void write_held(Connection *c) {
  c->out_at += write_some(c, c->out + c->out_at, c->out_length - c->out_at);
  if (c->out_at < c->out_length) return;
  c->out_at = c->out_length = 0;
  c->is_waiting = false;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* Returns how many bytes were whole frames. */
static uint32_t hand_over(Connection *c, const uint8_t *bytes, uint32_t length) {
  uint32_t at = 0;
  while (length - at >= 2) {
    uint32_t body = 0, shift = 0, next = at + 1;
    uint8_t byte;
    do {
      if (next == length) return at;
      byte = bytes[next++];
      body |= (uint32_t)(byte & 127) << shift;
      shift += 7;
    } while (byte & 128);
    if (body > packet_max - 8) fail("a packet of %u bytes came; none so large was sent", body);
    if (length - next < body) return at;
    handlers->on_frame(c, bytes[at], bytes + next, body);
    at = next + body;
  }
  return at;
}

static void read_some(Connection *c) {
  uint8_t *start = input + packet_max - c->part_length;
  if (c->part_length > 0) memcpy(start, c->part, c->part_length);
  ssize_t got = recv(c->fd, input + packet_max, read_bytes, 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got < 0) fail("recv: %s", strerror(errno));
  if (got == 0) {
    fail("the broker closed the connection of %s %u", c->is_publisher ? "publisher" : "subscriber",
         c->index);
  }
  uint32_t length = c->part_length + (uint32_t)got;
  uint32_t taken = hand_over(c, start, length);
  c->part_length = length - taken;
  if (c->part_length > 0) {
    if (c->part == NULL) c->part = malloc(packet_max);
    if (c->part == NULL) fail("out of memory");
    memcpy(c->part, start + taken, c->part_length);
  }
  handlers->on_turn(c);
}

void net_poll(int timeout_ms) {
  struct epoll_event events[events_max];
  int count = epoll_wait(epoll_fd, events, events_max, timeout_ms);
  if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
  for (int i = 0; i < count; i++) {
    Connection *c = events[i].data.ptr;
    if (events[i].events & EPOLLOUT) write_held(c);
    if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_some(c);
  }
}

char net_wait(uint64_t until_ns) {
  struct pollfd watched[] = {{.fd = epoll_fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
  uint64_t now = now_ns(), left = until_ns > now ? until_ns - now : 0;
  struct timespec timeout = {(time_t)(left / second_ns), (long)(left % second_ns)};
  if (ppoll(watched, 2, &timeout, NULL) < 0 && errno != EINTR) fail("ppoll: %s", strerror(errno));
  if (watched[0].revents != 0) net_poll(0);
  if (watched[1].revents == 0) return 0;
  char said;
  return read(0, &said, 1) == 1 ? said : told_end;
}
