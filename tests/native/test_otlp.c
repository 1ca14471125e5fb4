/* Random programs under budgets of all sizes: the longest calls get the spans, with all calls
 * around them, and every other call is counted once. */
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "otlp_check.h"
#include "synth.h"

#define CALLS_MAX 4000u
#define BASE 1000u
#define NONE UINT32_MAX

struct truth {
    uint32_t id, depth, parent;
    int64_t start, end;
    bool event;
};

static struct truth calls[CALLS_MAX];
static uint32_t calls_count;
static struct synth synth;
static struct synth_thread thread;
static uint64_t now, seed;
static uint32_t instance;

static uint32_t pick(uint32_t limit) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % limit;
}

static void event_record(uint32_t sub, uint32_t number, uint32_t what) {
    synth_record(&synth, &thread, sub, 0, now, (otrace_word[]){number, what}, 2);
}

static void make_calls(uint32_t depth, uint32_t parent, bool events) {
    while (calls_count < CALLS_MAX && pick(depth / 3 + 2) == 0) {
        uint32_t at = calls_count++;
        bool event = events && pick(400) == 0;
        uint32_t id = event ? 21 : 1 + pick(pick(3) == 0 ? 20 : 3), number = ++instance;
        now += 1 + pick(300);
        calls[at] = (struct truth){id, depth, parent, (int64_t)(now - BASE), 0, event};
        if (event) {
            event_record(OTRACE_X_EVENT_BEGIN, number, id);
        } else {
            synth_call(&synth, &thread, OTRACE_BEGIN, id, now, -1);
        }
        make_calls(depth + 1, at, events);
        now += 1 + (pick(50) == 0 ? pick(1u << 16) : pick(300));
        calls[at].end = (int64_t)(now - BASE);
        if (event) {
            event_record(OTRACE_X_EVENT_END, number, 0);
        } else {
            synth_call(&synth, &thread, OTRACE_END, id, now, -1);
        }
    }
}

static void make_program(uint64_t number, bool events) {
    seed = number;
    calls_count = 0;
    now = BASE;
    synth_create(&synth, 4096, 100, OTRACE_CLOCK_MONOTONIC);
    synth_thread(&synth, &thread, 1, "main", BASE);
    for (uint32_t id = 1; id <= 21; id++) {
        synth_name(&synth, id, id == 21 ? OTRACE_NAME_TEXT : OTRACE_NAME_PYTHON, "m", "f", "f.py",
                   id);
    }
    for (int i = 0; i < 1000; i++) {
        make_calls(0, NONE, events);
    }
}

static const struct truth *call_at(int64_t start_ns) {
    uint32_t low = 0, high = calls_count; /* they are in order of their starts */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (calls[middle].start < start_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    CHECK(low < calls_count && calls[low].start == start_ns);
    return &calls[low];
}

static bool has_span[CALLS_MAX];

/* The spans are calls that were made, whole, below the calls that made them. */
static void check_spans(const struct otrace_otlp *plan) {
    memset(has_span, 0, sizeof has_span);
    for (uint32_t at = 0; at < plan->options.windows; at++) {
        const struct otrace_otlp_window *window = &plan->windows[at];
        for (uint32_t i = 0; i < window->spans_count; i++) {
            const struct otrace_otlp_span *span = &window->spans[i];
            const struct truth *call = call_at(span->start_ns);
            CHECK_EQUAL(span->end_ns, call->end);
            CHECK_EQUAL(span->function, call->id);
            CHECK(!has_span[call - calls]);
            has_span[call - calls] = true;
            CHECK(call->start / plan->options.window_ns == at || at + 1 == plan->options.windows);
            const struct otrace_otlp_span *parent =
                span->keeper == OTRACE_OTLP_NONE ? NULL : &window->spans[span->keeper];
            if (parent != NULL) { /* nothing between the two was left out */
                CHECK(call->parent != NONE);
                CHECK_EQUAL(parent->start_ns, calls[call->parent].start);
            } else {
                CHECK(call->parent == NONE ||
                      calls[call->parent].start / plan->options.window_ns != (int64_t)at);
            }
        }
    }
}

/* Of one window without events: no call that was left out is longer than one that was kept. */
static void check_longest(const struct otrace_otlp *plan) {
    int64_t shortest = INT64_MAX, longest = 0;
    uint32_t kept = 0, deep = 0;
    for (uint32_t i = 0; i < calls_count; i++) {
        int64_t duration = calls[i].end - calls[i].start;
        if (calls[i].depth >= plan->options.max_depth) {
            CHECK(!has_span[i]);
            deep++;
        } else if (has_span[i]) {
            shortest = duration < shortest ? duration : shortest;
            kept++;
        } else {
            longest = duration > longest ? duration : longest;
        }
    }
    CHECK(longest <= shortest);
    if (calls_count <= plan->options.max_spans) {
        CHECK_EQUAL(kept, calls_count - deep); /* all fit: nothing is collapsed for the budget */
        CHECK(deep > 0 || plan->windows[0].collapsed_count == 0);
    } else {
        uint32_t least = plan->options.max_spans - plan->options.max_spans / 5;
        uint32_t able = calls_count - deep;
        CHECK_EQUAL(kept, able < least ? able : least);
    }
}

static void check_events(const struct otrace_otlp *plan) {
    uint32_t events = 0, missing = 0;
    for (uint32_t i = 0; i < calls_count; i++) {
        events += calls[i].event;
        missing += calls[i].event && !has_span[i] && calls[i].depth < plan->options.max_depth;
    }
    CHECK(events > 0);
    CHECK(missing == 0 || plan->options.max_spans < 30 * events); /* with the calls around them */
}

static void check_ids(const struct otrace_otlp *plan) {
    const struct otrace_otlp_window *window = &plan->windows[0];
    for (uint32_t i = 0; i < window->spans_count; i++) {
        for (uint32_t j = i + 1; j < window->spans_count; j++) {
            CHECK(window->spans[i].id != window->spans[j].id);
        }
        for (uint32_t j = 0; j < window->collapsed_count; j++) {
            CHECK(window->spans[i].id != window->collapsed[j].id);
        }
    }
}

static void check_program(const struct otlp_limits *limits, bool events) {
    struct otrace_segment *segment;
    struct otrace_read_problem problem;
    struct otrace_clock *clock;
    int fd = synth_file(&synth);
    CHECK_EQUAL(otrace_segment_open(fd, &segment, &problem), 0);
    close(fd);
    CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_MONOTONIC, &clock), 0);
    CHECK_EQUAL(otrace_clock_add(clock, segment), 0);
    CHECK_EQUAL(otrace_clock_fit(clock, BASE), 0);
    struct otrace_otlp *plan = otlp_plan(segment, clock, limits);
    otlp_check(plan);
    check_spans(plan);
    if (limits->windows == 1 && !events) {
        check_longest(plan);
    }
    if (limits->windows == 1 && events) {
        check_events(plan);
    }
    check_ids(plan);
    otrace_otlp_free(plan);
    otrace_clock_free(clock);
    otrace_segment_free(segment);
}

int main(void) {
    static const uint32_t spans[] = {1, 2, 10, 100, 700, 5000}, depths[] = {1, 5, 256};
    for (uint64_t number = 1; number <= 12; number++) {
        bool events = number % 3 == 0;
        make_program(number, events);
        for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
            for (size_t j = 0; j < sizeof depths / sizeof *depths; j++) {
                check_program(&(struct otlp_limits){spans[i], depths[j], 1, 1000}, events);
                check_program(&(struct otlp_limits){spans[i], depths[j], 7, 40000}, events);
            }
        }
        synth_free(&synth);
    }
    return 0;
}
