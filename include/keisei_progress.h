/* The progress of a training program in shared memory: who writes it lets Keisei see whether, and
 * how fast, training advances, and so what an evaluation costs it (keisei guard --training FILE).
 *
 * Make a file (or a memfd) of at least KEISEI_PROGRESS_SIZE bytes, map it shared and writable, call
 * keisei_progress_init once and keisei_progress_tick on every step, from one thread. Keep it
 * mapped: that is how a guard tells that the process which the record names is its writer. A tick
 * is a dozen loads and stores in two cache lines and one clock reading: no lock, no system call, no
 * waiting.
 *
 * `units` is what the training has done so far: samples, plies, environment steps. In a phase that
 * does none (an optimiser step, say) ticks are counted instead, so let one tick be about as much
 * work as the next one of its phase.
 *
 * C11 and C++, GCC and Clang, little-endian. For Python there is keisei_progress.py. */
#ifndef KEISEI_PROGRESS_H
#define KEISEI_PROGRESS_H

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KEISEI_PROGRESS_MAGIC UINT64_C(0x315049455349454b) /* "KEISEIP1" */
#define KEISEI_PROGRESS_VERSION 2u
#define KEISEI_PROGRESS_SIZE 4096u
#define KEISEI_PROGRESS_PHASES 8u

enum keisei_phase {
  KEISEI_PHASE_IDLE = 0, /* nothing to do: a slowdown costs nothing. Not: waits for data */
  KEISEI_PHASE_ROLLOUT_ENVIRONMENT = 1,
  KEISEI_PHASE_ROLLOUT_INFERENCE = 2,
  KEISEI_PHASE_UPDATE = 3,
  KEISEI_PHASE_CHECKPOINT = 4,
  KEISEI_PHASE_EVALUATION_SNAPSHOT = 5
};

/* What was done in one phase so far, over all times that it was entered. */
struct keisei_phase_total {
  uint64_t ticks; /* that ended a stretch of this phase */
  uint64_t units; /* done in it */
  uint64_t time_ns;
  uint64_t reserved;
};

/* Offset 0: a constant cache line. Offset 64: written by each tick, with one entry of the totals.
 */
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

  struct keisei_phase_total phases[KEISEI_PROGRESS_PHASES];
};

/* `pid` is the writer's own; a guard outside of its PID namespace does not believe it. The mark is
 * written last: before it, a reader sees no record. */
static inline void keisei_progress_init(struct keisei_progress* progress, int32_t pid) {
  uint32_t i;
  progress->version = KEISEI_PROGRESS_VERSION;
  progress->writer_pid = pid;
  __atomic_store_n(&progress->sequence, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->units, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->time_ns, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->phase, KEISEI_PHASE_IDLE, __ATOMIC_RELAXED);
  for (i = 0; i < KEISEI_PROGRESS_PHASES; ++i) {
    __atomic_store_n(&progress->phases[i].ticks, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->phases[i].units, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&progress->phases[i].time_ns, 0, __ATOMIC_RELAXED);
  }
  __atomic_store_n(&progress->magic, KEISEI_PROGRESS_MAGIC, __ATOMIC_RELEASE);
}

/* A sequence lock with one writer. Each field is stored with release order, so that nobody can see
 * a new field without seeing the odd sequence before it. What was done since the last tick belongs
 * to the phase that this tick ends; before the first tick there is none. Units that went back (a
 * training that was set back) add nothing. */
static inline void keisei_progress_tick(struct keisei_progress* progress, uint32_t phase,
                                        uint64_t units) {
  struct timespec now;
  uint64_t sequence, time_ns, last_units, last_time_ns;
  clock_gettime(CLOCK_MONOTONIC, &now);
  time_ns = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
  sequence = __atomic_load_n(&progress->sequence, __ATOMIC_RELAXED) | 1u;
  last_units = __atomic_load_n(&progress->units, __ATOMIC_RELAXED);
  last_time_ns = __atomic_load_n(&progress->time_ns, __ATOMIC_RELAXED);
  __atomic_store_n(&progress->sequence, sequence, __ATOMIC_RELAXED);
  if (last_time_ns != 0) {
    struct keisei_phase_total* ended =
        &progress
             ->phases[__atomic_load_n(&progress->phase, __ATOMIC_RELAXED) % KEISEI_PROGRESS_PHASES];
    __atomic_store_n(&ended->ticks, __atomic_load_n(&ended->ticks, __ATOMIC_RELAXED) + 1,
                     __ATOMIC_RELEASE);
    __atomic_store_n(&ended->units,
                     __atomic_load_n(&ended->units, __ATOMIC_RELAXED) +
                         (units > last_units ? units - last_units : 0),
                     __ATOMIC_RELEASE);
    __atomic_store_n(&ended->time_ns,
                     __atomic_load_n(&ended->time_ns, __ATOMIC_RELAXED) + (time_ns - last_time_ns),
                     __ATOMIC_RELEASE);
  }
  __atomic_store_n(&progress->units, units, __ATOMIC_RELEASE);
  __atomic_store_n(&progress->time_ns, time_ns, __ATOMIC_RELEASE);
  __atomic_store_n(&progress->phase, phase, __ATOMIC_RELEASE);
  __atomic_store_n(&progress->sequence, sequence + 1, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif
