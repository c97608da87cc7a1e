/* Connections that do nothing: how fast they are let in, and what the broker keeps for each. */
#include "load.h"

#include <stdio.h>

static void on_frame(Connection *from, uint8_t head, const uint8_t *body, uint32_t length) {
  if (!crowd_frame(from, head, body, length)) fail("a packet of type %u came", head >> 4);
}

static void on_turn(Connection *from) {
  (void)from;
}

static uint32_t own_filter(uint32_t index, char filters[][64]) {
  snprintf(filters[0], 64, "bench/%05u/0", index);
  return 1;
}

void run_hold(void) {
  static const Handlers handlers = {on_frame, on_turn};
  net_start(&handlers);
  uint64_t bytes_before = options.subscribe ? settled_bytes() : 0;
  Sample before = take_sample();
  crowd_open("idle", options.connections, false, options.subscribe ? own_filter : NULL);
  Sample after = take_sample();
  uint64_t bytes_after = options.subscribe ? settled_bytes() : 0;
  printf("{\"connections\":%u,\"bytes\":%lld,", options.connections,
         (long long)bytes_after - (long long)bytes_before);
  print_usage(&before, &after);
  printf("}\n");
}
