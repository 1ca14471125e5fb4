/* The clock of a recording: raw ticks while recording, anchors to give them a meaning later. */
#ifndef OTRACE_CLOCK_H
#define OTRACE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "format.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* Chosen once by otrace_clock_init; never changes while a recording runs. */
extern enum otrace_clock_kind otrace_clock_kind __attribute__((visibility("hidden")));

/* Chooses the counter only where the kernel itself trusts it, or does not say and the processor
 * does. */
void otrace_clock_init(void);

/* All three clocks at one moment: the tightest of a few tries, since a read may be preempted. */
struct otrace_anchor otrace_clock_anchor(void);

static inline uint64_t otrace_clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static inline bool otrace_clock_has_counter(void) {
    return __builtin_expect(otrace_clock_kind != OTRACE_CLOCK_MONOTONIC, 1);
}

/* The counter of the processor; only where otrace_clock_has_counter. */
static inline uint64_t otrace_clock_counter(void) {
#if defined(__x86_64__)
    return __rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return otrace_clock_ns(CLOCK_MONOTONIC);
#endif
}

static inline uint64_t otrace_clock_ticks(void) {
    return otrace_clock_has_counter() ? otrace_clock_counter() : otrace_clock_ns(CLOCK_MONOTONIC);
}

#endif
