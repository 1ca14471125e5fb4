#include "record/clock.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define ANCHOR_TRIES 4

enum otrace_clock_kind otrace_clock_kind = OTRACE_CLOCK_MONOTONIC;

#if defined(__x86_64__)
/* The processor's own word that its counter runs at one rate and never stops. */
static bool counter_is_invariant(void) {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx) != 0 && (edx & 1u << 8) != 0;
}

static bool counter_is_trusted(void) {
    char source[16] = {0};
    int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                  O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return counter_is_invariant(); /* a container that hides /sys */
    }
    /* "tsc" here means that the kernel found the counter invariant and in step on all cores. */
    ssize_t size = read(fd, source, sizeof source - 1);
    close(fd);
    return size >= 3 && memcmp(source, "tsc", 3) == 0;
}
#endif

void otrace_clock_init(void) {
#if defined(__x86_64__)
    if (counter_is_trusted()) {
        otrace_clock_kind = OTRACE_CLOCK_TSC;
    }
#elif defined(__aarch64__)
    /* The architecture guarantees a constant rate, the same on all cores. */
    otrace_clock_kind = OTRACE_CLOCK_CNTVCT;
#endif
}

struct otrace_anchor otrace_clock_anchor(void) {
    struct otrace_anchor best = {0, 0, 0};
    uint64_t tightest = UINT64_MAX;
    for (int i = 0; i < ANCHOR_TRIES; i++) {
        uint64_t before = otrace_clock_ticks();
        uint64_t mono = otrace_clock_ns(CLOCK_MONOTONIC);
        uint64_t after = otrace_clock_ticks();
        uint64_t wall = otrace_clock_ns(CLOCK_REALTIME);
        uint64_t width = after - before;
        if (width < tightest) {
            tightest = width;
            best = (struct otrace_anchor){before + width / 2, mono, wall};
        }
    }
    if (otrace_clock_kind == OTRACE_CLOCK_MONOTONIC) {
        best.tick = best.mono_ns;
    }
    return best;
}
