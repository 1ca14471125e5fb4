#include "record/clock.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ANCHOR_TRIES 4

enum otrace_clock_kind otrace_clock_kind = OTRACE_CLOCK_MONOTONIC;

void otrace_clock_init(void) {
#if defined(__x86_64__)
    /* "tsc" here means that the kernel found the counter invariant and in step on all cores. */
    char source[16] = {0};
    int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                  O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t size = read(fd, source, sizeof source - 1);
        close(fd);
        if (size >= 3 && memcmp(source, "tsc", 3) == 0) {
            otrace_clock_kind = OTRACE_CLOCK_TSC;
        }
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
