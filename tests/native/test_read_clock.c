/* Fitting anchors: outliers do not bend time, drift is followed, processes agree. */
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "check.h"
#include "read/clock.h"
#include "read/segment.h"
#include "synth.h"

#define SECOND UINT64_C(1000000000)
#define BASE (5 * SECOND)

static uint64_t seed = 1;

static uint32_t pick(uint32_t limit) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % limit;
}

/* The machine's true clock: 2.5 ticks a nanosecond, slewed by `ppm` from the 20th second on. */
static uint64_t true_ns(uint64_t tick, int64_t ppm) {
    uint64_t ns = tick * 2 / 5;
    if (ns > BASE + 20 * SECOND) {
        int64_t behind = (int64_t)(ns - BASE - 20 * SECOND);
        ns = (uint64_t)((int64_t)ns + behind * ppm / 1000000);
    }
    return ns;
}

static void add_anchors(struct otrace_clock *clock, uint32_t count, uint64_t spacing_ns,
                        int64_t ppm, uint32_t outliers_of_100) {
    struct otrace_segment segment = {.header = {.clock_kind = OTRACE_CLOCK_TSC}};
    segment.entries = calloc(count, sizeof *segment.entries);
    segment.entries_count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t tick = (BASE + i * spacing_ns) * 5 / 2 + pick(1000);
        uint64_t mono = true_ns(tick, ppm) + pick(60); /* the clock is read a little later */
        if (pick(100) < outliers_of_100) {
            mono += 10000 + pick(3000000); /* or much later */
        }
        segment.entries[i].anchor = (struct otrace_anchor){tick, mono, 0};
    }
    segment.header.start_anchor = segment.entries[0].anchor;
    CHECK_EQUAL(otrace_clock_add(clock, &segment), 0);
    free(segment.entries);
}

static struct otrace_clock *fitted(uint32_t count, uint64_t spacing_ns, int64_t ppm,
                                   uint32_t outliers_of_100) {
    struct otrace_clock *clock;
    CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_TSC, &clock), 0);
    add_anchors(clock, count, spacing_ns, ppm, outliers_of_100);
    CHECK_EQUAL(otrace_clock_fit(clock, BASE), 0);
    return clock;
}

/* The worst error between the first and the last anchor, and whether time ever fell. */
static int64_t worst(const struct otrace_clock *clock, uint64_t length_ns, int64_t ppm) {
    int64_t result = 0, last = -1;
    for (uint64_t ns = 0; ns < length_ns; ns += length_ns / 9973 + 1) {
        uint64_t tick = (BASE + ns) * 5 / 2;
        int64_t got = otrace_clock_convert(clock, tick);
        int64_t error = got - (int64_t)(true_ns(tick, ppm) - BASE);
        CHECK(got >= last);
        last = got;
        error = error < 0 ? -error : error;
        result = error > result ? error : result;
    }
    return result;
}

static void check_error(uint32_t count, uint64_t spacing_ns, int64_t ppm, uint32_t outliers,
                        int64_t limit_ns) {
    struct otrace_clock *clock = fitted(count, spacing_ns, ppm, outliers);
    int64_t error = worst(clock, (count - 1) * spacing_ns, ppm);
    if (error > limit_ns) {
        fprintf(stderr, "%u anchors every %" PRIu64 " ns, %" PRId64 " ppm, %u %% outliers: ", count,
                spacing_ns, ppm, outliers);
    }
    CHECK(error <= limit_ns);
    otrace_clock_free(clock);
}

static void accuracy(void) {
    check_error(2, 50 * SECOND / 1000, 0, 0, 100);
    check_error(20, SECOND / 1000, 0, 20, 100);
    check_error(1000, SECOND / 1000, 0, 20, 100);
    check_error(60000, SECOND / 1000, 0, 30, 100);
    check_error(60, SECOND, 0, 5, 200);
    check_error(60000, SECOND / 1000, 50, 20, 20000); /* the bend itself, for a second or two */
    check_error(3000, 20 * SECOND / 1000, -500, 10, 600000);
}

/* Behind the bend the new rate is followed to the nanosecond. */
static void drift(void) {
    struct otrace_clock *clock = fitted(60000, SECOND / 1000, 100, 10);
    uint64_t tick = (BASE + 40 * SECOND) * 5 / 2;
    int64_t error = otrace_clock_convert(clock, tick) - (int64_t)(true_ns(tick, 100) - BASE);
    CHECK(error > -150 && error < 150);
    otrace_clock_free(clock);
}

static void monotonic_is_itself(void) {
    struct otrace_clock *clock;
    CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_MONOTONIC, &clock), 0);
    CHECK_EQUAL(otrace_clock_fit(clock, BASE), 0);
    CHECK_EQUAL(otrace_clock_convert(clock, BASE), 0);
    CHECK_EQUAL(otrace_clock_convert(clock, BASE + 123456789), 123456789);
    CHECK_EQUAL(otrace_clock_convert(clock, BASE - 1), 0);
    CHECK_EQUAL(otrace_clock_convert(clock, 0), 0);
    CHECK(otrace_clock_convert(clock, UINT64_MAX) > 0);
    otrace_clock_free(clock);
}

/* Whatever the anchors say, time never falls and nothing overflows. */
static void nonsense(void) {
    for (int round = 0; round < 2000; round++) {
        struct otrace_clock *clock;
        CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_TSC, &clock), 0);
        struct otrace_segment segment = {.header = {.clock_kind = OTRACE_CLOCK_TSC}};
        struct otrace_chunk_entry entries[40] = {0};
        segment.entries = entries;
        segment.entries_count = pick(40);
        for (uint32_t i = 0; i < segment.entries_count; i++) {
            uint64_t tick = (uint64_t)pick(UINT32_MAX) << pick(33);
            uint64_t mono = (uint64_t)pick(UINT32_MAX) << pick(33);
            entries[i].anchor = (struct otrace_anchor){tick, pick(2) ? mono : tick / 3, 0};
        }
        CHECK_EQUAL(otrace_clock_add(clock, &segment), 0);
        CHECK_EQUAL(otrace_clock_fit(clock, (uint64_t)pick(UINT32_MAX) << pick(33)), 0);
        int64_t last = -1;
        for (uint32_t bit = 0; bit < 64; bit++) {
            uint64_t tick = UINT64_C(1) << bit;
            for (uint64_t step = 0; step < 3; step++) {
                int64_t ns = otrace_clock_convert(clock, tick + step * (tick / 4));
                CHECK(ns >= last && ns >= 0);
                last = ns;
            }
        }
        otrace_clock_free(clock);
    }
}

#if defined(__x86_64__)
static struct otrace_anchor read_now(void) {
    struct otrace_anchor best = {0};
    uint64_t tightest = UINT64_MAX;
    for (int i = 0; i < 50; i++) {
        struct timespec now;
        uint64_t before = __rdtsc();
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t width = __rdtsc() - before;
        if (width < tightest) {
            tightest = width;
            best = (struct otrace_anchor){before + width / 2,
                                          (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec, 0};
        }
    }
    return best;
}

/* Two anchors a tenth of a millisecond apart, the second one read a microsecond late: the reader's
 * own anchor sets the rate right. Anchors of another machine are left as they are. */
static void killed_early(void) {
    struct otrace_anchor now = read_now(), later;
    do {
        later = read_now();
    } while (later.mono_ns - now.mono_ns < 50000000);
    double rate = (double)(later.mono_ns - now.mono_ns) / (double)(later.tick - now.tick);
    for (int foreign = 0; foreign < 2; foreign++) {
        struct otrace_segment segment = {.header = {.clock_kind = OTRACE_CLOCK_TSC}};
        uint64_t tick = now.tick + (uint64_t)(100000 / rate);
        struct otrace_chunk_entry entry = {
            .anchor = {foreign ? tick + tick / 3 : tick, now.mono_ns + 100000 + 1000, 0}};
        segment.header.start_anchor = now;
        segment.entries = &entry;
        segment.entries_count = 1;
        struct otrace_clock *clock;
        CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_TSC, &clock), 0);
        CHECK_EQUAL(otrace_clock_add(clock, &segment), 0);
        CHECK_EQUAL(otrace_clock_add_here(clock), 0);
        CHECK_EQUAL(otrace_clock_fit(clock, now.mono_ns), 0);
        int64_t second = otrace_clock_convert(clock, now.tick + (uint64_t)(1e9 / rate));
        CHECK((second > 999000000 && second < 1001000000) == !foreign);
        otrace_clock_free(clock);
    }
}
#else
static void killed_early(void) {
}
#endif

int main(void) {
    killed_early();
    accuracy();
    drift();
    monotonic_is_itself();
    nonsense();
    return 0;
}
