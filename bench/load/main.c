/* Load generator of `npm run bench:edge` and `bench:isolation`: loads one broker once and prints the
 * figures as JSON.
 *
 *   load flow port=P pid=BROKER publishers=N subscribers=N [name=value ...]
 *   load hold port=P pid=BROKER connections=N [subscribe=1]
 *
 * flow: as many publishers as subscribers are pairs; one subscriber hears all publishers by a
 * wildcard; one publisher reaches all subscribers. bench/edge/scenarios.ts names what is run.
 *
 *   load bystand port=P pid=BROKER publishers=N rate=N
 *   load flood|frozen|replay|storm port=P pid=BROKER [name=value ...]
 *
 * These are told by bytes on standard input what to do next, and answer with a line when they have:
 * bystand.c, and disturb.c for what disturbs the bystanders. */
#include "load.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

Options options = {
    .topics = 1,
    .payload = 64,
    .window = 1,
    .warmup_ms = 2500,
    .warmup_cpu_ms = 1000,
    .measure_ms = 1000,
};

void fail(const char *format, ...) {
  va_list values;
  va_start(values, format);
  fputs("load generator: ", stderr);
  vfprintf(stderr, format, values);
  fputs(".\n", stderr);
  va_end(values);
  exit(1);
}

typedef struct {
  const char *name;
  void *to;
  uint32_t min, max;
} Setting;

static const Setting settings[] = {
    {"port", &options.port, 1, 65535},
    {"pid", &options.pid, 1, 1u << 30},
    {"publishers", &options.publishers, 1, 20000},
    {"subscribers", &options.subscribers, 1, 20000},
    {"topics", &options.topics, 1, 10}, /* One digit of the topic. */
    {"payload", &options.payload, stamp_bytes, 4096},
    {"qos", &options.qos, 0, 2},
    {"window", &options.window, 1, 10000}, /* Messages of a publisher under way. */
    {"slide", &options.slide, 0, 1}, /* 1: each that is through lets one out; 0: all at once. */
    {"rate", &options.rate, 0, 10000000}, /* Messages a second of all together; 0: the window. */
    {"v5", &options.v5, 0, 1},
    /* The window is kept full until the broker has had that CPU time, but no longer than that. */
    {"warmup_cpu_ms", &options.warmup_cpu_ms, 0, 600000},
    {"warmup_ms", &options.warmup_ms, 0, 600000},
    {"measure_ms", &options.measure_ms, 1, 600000},
    {"connections", &options.connections, 1, 100000},
    {"retained", &options.retained, 1, 1000000},
    {"subscribe", &options.subscribe, 0, 1},
};

static void set(const char *text) {
  const char *equals = strchr(text, '=');
  size_t length = equals == NULL ? 0 : (size_t)(equals - text);
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    const Setting *s = &settings[i];
    if (strlen(s->name) != length || strncmp(s->name, text, length) != 0) continue;
    char *end;
    unsigned long value = strtoul(equals + 1, &end, 10);
    if (*end != 0 || value < s->min || value > s->max)
      fail("%s: give a number from %u to %u", text, s->min, s->max);
    *(uint32_t *)s->to = (uint32_t)value;
    return;
  }
  fail("%s is no setting", text);
}

static void flow(void) {
  bool is_even = options.publishers == options.subscribers;
  if (options.publishers == 0 || options.subscribers == 0) fail("nobody to send or to hear");
  if (!is_even && options.publishers > 1 && options.subscribers > 1)
    fail("give as many publishers as subscribers, or one of either");
  run_flow();
}

static const struct {
  const char *name;
  void (*run)(void);
} modes[] = {
    {"flow", flow},       {"hold", run_hold},     {"bystand", run_bystand},
    {"flood", run_flood}, {"frozen", run_frozen}, {"replay", run_replay},
    {"storm", run_storm},
};

int main(int count, char **words) {
  /* A bench that is killed must not leave its load running. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  for (int i = 2; i < count; i++) set(words[i]);
  if (options.port == 0 || options.pid == 0) fail("port and pid are missing");
  const char *mode = count > 1 ? words[1] : "";
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (strcmp(mode, modes[i].name) != 0) continue;
    modes[i].run();
    return 0;
  }
  fail("%s is no mode", mode);
}
