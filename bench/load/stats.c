/* Clocks, CPU time and memory of the broker as the kernel counts them, and a histogram. */
#define _GNU_SOURCE
#include "load.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * second_ns + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void) {
  return clock_ns(CLOCK_MONOTONIC);
}

void sleep_ms(uint32_t ms) {
  struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  nanosleep(&t, NULL);
}

/* The first line of a file of /proc; empty when there is none. */
static void first_line(const char *path, char *line, int size) {
  line[0] = 0;
  FILE *file = fopen(path, "r");
  if (file == NULL) return;
  if (fgets(line, size, file) == NULL) line[0] = 0;
  fclose(file);
}

/* All threads: schedstat counts nanoseconds where /proc/PID/stat has ticks of 10 ms. */
static uint64_t cpu_ns_of(int pid) {
  char path[512], line[512];
  uint64_t sum = 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (tasks == NULL) fail("process %d of the broker is gone", pid);
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    if (task->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid, task->d_name);
    first_line(path, line, sizeof line);
    sum += strtoull(line, NULL, 10);
  }
  closedir(tasks);
  return sum;
}

/* Everything on this machine, with what a hypervisor took from it. */
static uint64_t machine_cpu_ns(void) {
  char line[512];
  first_line("/proc/stat", line, sizeof line);
  unsigned long long user = 0, nice = 0, sys = 0, irq = 0, soft = 0, steal = 0;
  sscanf(line, "cpu %llu %llu %llu %*u %*u %llu %llu %llu", &user, &nice, &sys, &irq, &soft,
         &steal);
  return (user + nice + sys + irq + soft + steal) * (second_ns / (uint64_t)sysconf(_SC_CLK_TCK));
}

Sample take_sample(void) {
  return (Sample){
      .at_ns = now_ns(),
      .broker_ns = cpu_ns_of(options.pid),
      .load_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID),
      .machine_ns = machine_cpu_ns(),
  };
}

void print_usage(const Sample *from, const Sample *to) {
  double broker = (double)(to->broker_ns - from->broker_ns) / 1e9;
  double load = (double)(to->load_ns - from->load_ns) / 1e9;
  double others = (double)(to->machine_ns - from->machine_ns) / 1e9 - broker - load;
  printf("\"seconds\":%.6f,\"brokerCpu\":%.6f,\"loadCpu\":%.6f,\"otherCpu\":%.6f",
         (double)(to->at_ns - from->at_ns) / 1e9, broker, load, others > 0 ? others : 0);
}

void yield_core(void) {
  struct sched_param none = {0};
  if (sched_setscheduler(0, SCHED_IDLE, &none) < 0) fail("sched_setscheduler failed");
}

static uint64_t resident_bytes(void) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/statm", options.pid);
  first_line(path, line, sizeof line);
  unsigned long long pages = 0;
  sscanf(line, "%*u %llu", &pages);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t settled_bytes(void) {
  uint64_t last = resident_bytes();
  for (int quiet = 0, waits = 0; quiet < 5 && waits < 50; waits++) {
    sleep_ms(200);
    uint64_t bytes = resident_bytes();
    uint64_t change = bytes > last ? bytes - last : last - bytes;
    quiet = change * 500 < bytes ? quiet + 1 : 0;
    last = bytes;
  }
  return last;
}

void record_latency(Histogram *to, uint64_t ns) {
  int exponent = ns < 64 ? 0 : 63 - __builtin_clzll(ns) - sub_bits + 1;
  uint64_t bucket = exponent == 0 ? ns
                                  : ((uint64_t)exponent << sub_bits) +
                                        ((ns >> (exponent - 1)) & ((1 << sub_bits) - 1));
  to->counts[bucket]++;
  to->recorded++;
}

double percentile_us(const Histogram *of, double share) {
  uint64_t wanted = (uint64_t)((double)of->recorded * share), seen = 0;
  for (uint64_t bucket = 0; bucket < buckets; bucket++) {
    seen += of->counts[bucket];
    if (seen <= wanted) continue;
    uint64_t exponent = bucket >> sub_bits, sub = bucket & ((1 << sub_bits) - 1);
    if (exponent == 0) return (double)sub / 1e3;
    return ((double)sub + 64.5) * (double)(1ull << (exponent - 1)) / 1e3;
  }
  return 0;
}
