/* A segment that grows, read again and again: each request is given once and whole, however it is
 * cut by the readings, and each other call is in one part of time. */
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "otlp_check.h"
#include "synth.h"

#define CALLS_MAX 4000u
#define DEPTH_MAX 40u
#define BASE 1000u
#define NONE UINT32_MAX

struct truth {
    int64_t start;
    uint32_t request; /* the call that is the request it belongs to, NONE: other work */
    uint32_t calls;   /* of a request: in its trace */
    bool is_root;
    uint32_t seen;
};

static const uint8_t kinds[] = {0, 0, 2, 5};
static struct truth calls[CALLS_MAX];
static uint32_t calls_count, stack[DEPTH_MAX], ids[DEPTH_MAX], depth;
static struct synth synth;
static struct synth_thread thread;
static uint64_t now, seed;
static struct otlp_limits limits;

static uint32_t pick(uint32_t limit) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % limit;
}

static void begin(void) {
    uint32_t at = calls_count++, id = 1 + pick(pick(4) == 0 ? 9 : 1), root = NONE;
    for (uint32_t i = 0; i < depth && root == NONE; i++) {
        root = calls[stack[i]].is_root ? stack[i] : NONE;
    }
    calls[at] = (struct truth){.start = (int64_t)(now - BASE), .request = root};
    if (root == NONE && (id == 2 || id == 3)) {
        calls[at].is_root = true;
        root = at;
    }
    if (root != NONE && calls[at].start < calls[root].start + limits.window_ns) {
        calls[at].request = root;
        calls[root].calls++;
    } else {
        calls[at].request = NONE;
    }
    synth_call(&synth, &thread, OTRACE_BEGIN, id, now, -1);
    stack[depth] = at;
    ids[depth++] = id;
}

static void go_on(void) {
    for (uint32_t steps = pick(400); steps > 0 && calls_count < CALLS_MAX; steps--) {
        now += 1 + pick(300);
        if (depth == 0 || (depth < DEPTH_MAX && pick(10) < 5)) {
            begin();
        } else {
            synth_call(&synth, &thread, OTRACE_END, ids[--depth], now, -1);
        }
    }
}

static struct truth *call_at(int64_t start_ns) {
    for (uint32_t i = 0; i < calls_count; i++) {
        if (calls[i].start == start_ns) {
            return &calls[i];
        }
    }
    return NULL;
}

/* All requests from a tick on; returns where the next reading goes on. */
static uint64_t read_requests(struct otrace_segment *segment, const struct otrace_clock *clock,
                              uint64_t from, bool open) {
    uint64_t left = 0;
    for (int more = 1; more;) {
        struct otlp_requests requests = {kinds, sizeof kinds, {from, 0, open}};
        struct otrace_otlp *plan = otlp_plan_requests(segment, 0, clock, &limits, &requests);
        otlp_check(plan);
        for (uint32_t i = 0; i < otrace_otlp_count_requests(plan); i++) {
            struct otrace_otlp_request_info info;
            struct otrace_otlp_part part;
            otrace_otlp_get_request(plan, i, &info);
            if (info.left) { /* calls of one thread: only the last one goes on */
                left = info.start_tick;
                continue;
            }
            otrace_otlp_get_part(plan, i, 0, &part);
            struct truth *call = call_at(info.start_ns);
            CHECK(call != NULL && call->is_root);
            CHECK_EQUAL(call->seen++, 0);
            CHECK_EQUAL(part.calls, call->calls);
        }
        more = otrace_otlp_next(plan, &from);
        from = left != 0 ? left : from;
        CHECK(left == 0 || !more);
        otrace_otlp_free(plan);
    }
    return from;
}

/* Other work of a part of time: how many calls, those that stand for requests among them. */
static uint64_t read_others(struct otrace_segment *segment, const struct otrace_clock *clock,
                            uint64_t from, uint64_t until) {
    struct otrace_otlp_options options = {
        .max_spans = 100,
        .max_depth = 256,
        .windows = 1,
        .window_ns = limits.window_ns,
        .tracks = 1,
        .salt = 7,
    };
    struct otrace_otlp_range range = {from, until, until == 0};
    struct otrace_otlp *plan;
    CHECK_EQUAL(otrace_otlp_new(&options, &plan), 0);
    CHECK_EQUAL(otrace_otlp_add_track(plan, segment, 0, clock, (int64_t)(until - BASE), "", 0), 0);
    CHECK_EQUAL(otrace_otlp_set_requests(plan, 0, kinds, sizeof kinds, 1), 0);
    CHECK_EQUAL(otrace_otlp_set_range(plan, 0, &range), 0);
    CHECK_EQUAL(otrace_otlp_measure(plan, 0), 0);
    CHECK_EQUAL(otrace_otlp_select(plan), 0);
    CHECK_EQUAL(otrace_otlp_collect(plan, 0), 0);
    CHECK_EQUAL(otrace_otlp_finish(plan), 0);
    otlp_check(plan);
    struct otrace_otlp_part part;
    otrace_otlp_get_part(plan, 0, 0, &part);
    otrace_otlp_free(plan);
    return part.calls;
}

static void check_program(uint64_t number) {
    seed = number;
    calls_count = depth = 0;
    now = BASE;
    synth_create(&synth, 1024, 200, OTRACE_CLOCK_MONOTONIC);
    synth_thread(&synth, &thread, 1, "main", BASE);
    for (uint32_t id = 1; id <= 9; id++) {
        synth_name(&synth, id, OTRACE_NAME_PYTHON, "m", "f", "f.py", id);
    }
    uint64_t next = 0, part_from = 0, others = 0;
    while (calls_count < CALLS_MAX) {
        go_on();
        struct otrace_segment *segment;
        struct otrace_read_problem problem;
        struct otrace_clock *clock;
        int fd = synth_file(&synth);
        CHECK_EQUAL(otrace_segment_open(fd, &segment, &problem), 0);
        close(fd);
        CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_MONOTONIC, &clock), 0);
        CHECK_EQUAL(otrace_clock_fit(clock, BASE), 0);
        bool last = calls_count == CALLS_MAX;
        next = read_requests(segment, clock, next, last);
        uint64_t part_until = last ? 0 : now - pick(50);
        others += read_others(segment, clock, part_from, part_until);
        part_from = part_until;
        otrace_clock_free(clock);
        otrace_segment_free(segment);
    }
    uint64_t wanted = 0, requests = 0;
    for (uint32_t i = 0; i < calls_count; i++) {
        wanted += calls[i].is_root || calls[i].request == NONE;
        requests += calls[i].is_root;
        CHECK_EQUAL(calls[i].seen, calls[i].is_root);
    }
    CHECK(requests > 20);
    CHECK_EQUAL(others, wanted);
    synth_free(&synth);
}

int main(void) {
    for (uint64_t number = 1; number <= 30; number++) {
        limits = (struct otlp_limits){number % 3 ? 5000 : 20, 256, number % 2 ? 1000 : 3,
                                      number % 5 ? INT64_MAX / 4 : 20000};
        check_program(number);
    }
    return 0;
}
