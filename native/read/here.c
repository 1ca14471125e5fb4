/* The reader's own anchor. A process that was killed early leaves anchors a millisecond apart, and
 * a rate from those is off by a tenth of a per mille. When the recording was made on this machine
 * since it was booted, one more anchor, taken now, makes the rate exact. */
#include <math.h>
#include <time.h>

#include "read/clock.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define TRIES 16
#define SPIN_NS 2000000u /* long enough to know this machine's rate to 0.1 per mille */
#define SAME_RATE 0.001
#define READING_NS 2000.0 /* how far off an anchor may usually be */

static uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* This machine's counter of that kind; false when it has none. */
static bool read_counter(uint32_t kind, uint64_t *tick) {
#if defined(__x86_64__)
    if (kind == OTRACE_CLOCK_TSC) {
        *tick = __rdtsc();
        return true;
    }
#elif defined(__aarch64__)
    if (kind == OTRACE_CLOCK_CNTVCT) {
        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(*tick));
        return true;
    }
#endif
    (void)kind;
    (void)tick;
    return false;
}

/* The tightest of some readings of both clocks. */
static bool read_anchor(uint32_t kind, struct otrace_anchor *anchor) {
    uint64_t tightest = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t before, after;
        if (!read_counter(kind, &before)) {
            return false;
        }
        uint64_t mono = monotonic_ns();
        read_counter(kind, &after);
        if (after - before < tightest) {
            tightest = after - before;
            *anchor = (struct otrace_anchor){before + tightest / 2, mono, 0};
        }
    }
    return true;
}

static double rate_between(const struct otrace_anchor *a, const struct otrace_anchor *b) {
    return (double)(int64_t)(b->mono_ns - a->mono_ns) / (double)(b->tick - a->tick);
}

bool otrace_clock_here(uint32_t kind, const struct otrace_anchor *first,
                       const struct otrace_anchor *last, struct otrace_anchor *here) {
    struct otrace_anchor before;
    if (!read_anchor(kind, &before)) {
        return false;
    }
    while (monotonic_ns() - before.mono_ns < SPIN_NS) {
    }
    read_anchor(kind, here);
    if (here->tick <= last->tick || here->mono_ns <= last->mono_ns) {
        return false; /* from before a boot, or from another machine */
    }
    double rate = rate_between(&before, here);
    double allowed = SAME_RATE;
    if (last->mono_ns > first->mono_ns && last->tick > first->tick) {
        allowed += READING_NS / (double)(last->mono_ns - first->mono_ns);
        if (fabs(rate_between(first, last) / rate - 1) > allowed) {
            return false;
        }
    }
    return fabs(rate_between(last, here) / rate - 1) <= SAME_RATE;
}
