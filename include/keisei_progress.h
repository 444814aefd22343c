/* The progress of a training program in shared memory: who writes it lets Keisei see whether, and
 * how fast, training advances (keisei guard --training FILE).
 *
 * Make a file (or a memfd) of at least KEISEI_PROGRESS_SIZE bytes, map it shared and writable, call
 * keisei_progress_init once and keisei_progress_tick on every step, from one thread. A tick is a
 * handful of stores to one cache line and one clock reading: no lock, no system call, no waiting.
 *
 * C11 and C++, GCC and Clang, little-endian. */
#ifndef KEISEI_PROGRESS_H
#define KEISEI_PROGRESS_H

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KEISEI_PROGRESS_MAGIC UINT64_C(0x315049455349454b) /* "KEISEIP1" */
#define KEISEI_PROGRESS_VERSION 1u
#define KEISEI_PROGRESS_SIZE 4096u

enum keisei_phase {
  KEISEI_PHASE_IDLE = 0,
  KEISEI_PHASE_ROLLOUT_ENVIRONMENT = 1,
  KEISEI_PHASE_ROLLOUT_INFERENCE = 2,
  KEISEI_PHASE_UPDATE = 3,
  KEISEI_PHASE_CHECKPOINT = 4,
  KEISEI_PHASE_EVALUATION_SNAPSHOT = 5
};

/* Offsets 0 and 64: two cache lines, the first constant, the second written by each tick. */
struct keisei_progress {
  uint64_t magic;
  uint32_t version;
  int32_t writer_pid;
  uint8_t reserved_header[48];

  uint64_t sequence; /* odd while a tick is being written; half of it is the count of ticks */
  uint64_t units;    /* steps done so far */
  uint64_t time_ns;  /* CLOCK_MONOTONIC of the tick */
  uint32_t phase;    /* enum keisei_phase: what begins now */
  uint8_t reserved_tick[36];
};

/* `pid` is the writer's own. The mark is written last: before it, a reader sees no record. */
static inline void keisei_progress_init(struct keisei_progress* progress, int32_t pid) {
  progress->version = KEISEI_PROGRESS_VERSION;
  progress->writer_pid = pid;
  __atomic_store_n(&progress->sequence, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->units, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->time_ns, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->phase, KEISEI_PHASE_IDLE, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->magic, KEISEI_PROGRESS_MAGIC, __ATOMIC_RELEASE);
}

/* A sequence lock with one writer. Each field is stored with release order, so that nobody can see
 * a new field without seeing the odd sequence before it. */
static inline void keisei_progress_tick(struct keisei_progress* progress, uint32_t phase,
                                        uint64_t units) {
  struct timespec now;
  uint64_t sequence;
  clock_gettime(CLOCK_MONOTONIC, &now);
  sequence = __atomic_load_n(&progress->sequence, __ATOMIC_RELAXED) | 1u;
  __atomic_store_n(&progress->sequence, sequence, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->units, units, __ATOMIC_RELEASE);
  __atomic_store_n(&progress->time_ns,
                   (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec,
                   __ATOMIC_RELEASE);
  __atomic_store_n(&progress->phase, phase, __ATOMIC_RELEASE);
  __atomic_store_n(&progress->sequence, sequence + 1, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif
