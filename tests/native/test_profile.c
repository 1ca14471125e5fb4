/* Random programs: the profile equals what is counted one call after the other, plainly. */
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "profile_check.h"
#include "read/profile.h"
#include "synth.h"

#define CALLS_MAX 8000u
#define FUNCTIONS 6u
#define BASE 1000u

struct truth {
    uint32_t id, depth, path, parent; /* parent: a call, UINT32_MAX: none */
    bool resumed, raised;
    int64_t duration, self;
};

static struct truth calls[CALLS_MAX]; /* in the order of their begins */
static struct {
    uint32_t parent, id;
    uint64_t runs;
    int64_t total, self;
} paths[CALLS_MAX + 1]; /* [0] is the root */
static uint32_t calls_count, paths_count;
static struct synth synth;
static struct synth_thread thread;
static uint64_t now, seed;

static uint32_t pick(uint32_t limit) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % limit;
}

static uint32_t path_of(uint32_t parent, uint32_t id) {
    for (uint32_t i = 1; i < paths_count; i++) {
        if (paths[i].parent == parent && paths[i].id == id) {
            return i;
        }
    }
    memset(&paths[paths_count], 0, sizeof *paths);
    paths[paths_count].parent = parent;
    paths[paths_count].id = id;
    return paths_count++;
}

static void make_calls(uint32_t depth, uint32_t parent) {
    while (calls_count < CALLS_MAX && depth < 40 && pick(depth / 3 + 2) == 0) {
        uint32_t at = calls_count++;
        struct truth *call = &calls[at];
        now += 1 + pick(pick(50) == 0 ? 1u << 20 : 300);
        uint64_t start = now;
        *call = (struct truth){.id = 1 + pick(FUNCTIONS),
                               .depth = depth,
                               .parent = parent,
                               .resumed = pick(5) == 0,
                               .raised = pick(9) == 0};
        call->path = path_of(parent == UINT32_MAX ? 0 : calls[parent].path, call->id);
        synth_call(&synth, &thread, call->resumed ? OTRACE_RESUME : OTRACE_BEGIN, call->id, now,
                   -1);
        make_calls(depth + 1, at);
        now += 1 + pick(200);
        synth_call(&synth, &thread, OTRACE_END, call->id, now,
                   call->raised ? (int64_t)FUNCTIONS + 1 : -1);
        call->duration = (int64_t)(now - start);
        call->self += call->duration;
        if (parent != UINT32_MAX) {
            calls[parent].self -= call->duration;
        }
    }
}

static void make_program(uint64_t number) {
    seed = number;
    calls_count = 0;
    paths_count = 1;
    now = BASE;
    synth_create(&synth, 1024, 200, OTRACE_CLOCK_MONOTONIC);
    for (uint32_t id = 1; id <= FUNCTIONS + 1; id++) {
        char name[] = {'f', (char)('0' + id), 0};
        synth_name(&synth, id, id <= FUNCTIONS ? 1 : 3, "m", name, "m.py", id);
    }
    synth_thread(&synth, &thread, 1, NULL, BASE);
    for (int i = 0; i < 1500; i++) {
        make_calls(0, UINT32_MAX);
    }
    for (uint32_t i = 0; i < calls_count; i++) {
        paths[calls[i].path].runs++;
        paths[calls[i].path].total += calls[i].duration;
        paths[calls[i].path].self += calls[i].self;
    }
}

/* Whether a call of the same function is around it. */
static bool is_recursive(uint32_t at) {
    for (uint32_t up = calls[at].parent; up != UINT32_MAX; up = calls[up].parent) {
        if (calls[up].id == calls[at].id) {
            return true;
        }
    }
    return false;
}

static int compare(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void check_function(struct otrace_profile *profile, uint32_t index) {
    static int64_t durations[CALLS_MAX];
    struct otrace_profile_function found, wanted = {0};
    struct otrace_name_info name;
    CHECK_EQUAL(otrace_profile_get_function(profile, index, &found, &name), 0);
    if (name.kind != 1) {
        return;
    }
    uint32_t id = (uint32_t)(name.qualified.text[1] - '0'), count = 0;
    for (uint32_t i = 0; i < calls_count; i++) {
        if (calls[i].id == id) {
            bool primitive = !is_recursive(i);
            durations[count++] = calls[i].duration;
            wanted.calls += !calls[i].resumed;
            wanted.exceptions += calls[i].raised;
            wanted.primitive += primitive;
            wanted.total_ns += primitive ? calls[i].duration : 0;
            wanted.self_ns += calls[i].self;
            wanted.sum_ns += calls[i].duration;
        }
    }
    qsort(durations, count, sizeof *durations, compare);
    CHECK(count > 0);
    CHECK_EQUAL(found.runs, count);
    CHECK_EQUAL(found.calls, wanted.calls);
    CHECK_EQUAL(found.exceptions, wanted.exceptions);
    CHECK_EQUAL(found.primitive, wanted.primitive);
    CHECK_EQUAL(found.total_ns, wanted.total_ns);
    CHECK_EQUAL(found.self_ns, wanted.self_ns);
    CHECK_EQUAL(found.sum_ns, wanted.sum_ns);
    CHECK_EQUAL(found.min_ns, durations[0]);
    CHECK_EQUAL(found.max_ns, durations[count - 1]);
    if (count <= OTRACE_SPREAD_EXACT) {
        for (uint32_t part = 1; part <= 1000; part++) {
            int64_t value;
            CHECK_EQUAL(otrace_profile_quantile(profile, index, part, &value), 0);
            CHECK_EQUAL(value, durations[(count * part + 999) / 1000 - 1]);
        }
    }
}

static void check_paths(const struct otrace_profile *profile, uint32_t count) {
    const struct otrace_profile_node *nodes = otrace_profile_nodes(profile);
    CHECK_EQUAL(count, paths_count);
    for (uint32_t i = 1; i < count; i++) { /* both are in the order of first sight */
        struct otrace_profile_function totals;
        struct otrace_name_info name;
        CHECK_EQUAL(otrace_profile_get_function(profile, nodes[i].function, &totals, &name), 0);
        CHECK_EQUAL(nodes[i].parent, paths[i].parent);
        CHECK_EQUAL(name.qualified.text[1] - '0', paths[i].id);
        CHECK_EQUAL(nodes[i].runs, paths[i].runs);
        CHECK_EQUAL(nodes[i].total_ns, paths[i].total);
        CHECK_EQUAL(nodes[i].self_ns, paths[i].self);
    }
}

/* The longest calls that no single call inside accounts for. */
static void check_slowest(const struct otrace_profile *profile, uint32_t count) {
    static int64_t longest[CALLS_MAX], own[CALLS_MAX];
    uint32_t own_count = 0;
    memset(longest, 0, sizeof longest);
    for (uint32_t i = calls_count; i-- > 0;) {
        if (calls[i].parent != UINT32_MAX && calls[i].duration > longest[calls[i].parent]) {
            longest[calls[i].parent] = calls[i].duration;
        }
    }
    for (uint32_t i = 0; i < calls_count; i++) {
        if (longest[i] < calls[i].duration - calls[i].duration / 10) {
            own[own_count++] = calls[i].duration;
        }
    }
    qsort(own, own_count, sizeof *own, compare);
    const struct otrace_profile_slow *slow = otrace_profile_slowest(profile);
    int64_t found[10];
    CHECK_EQUAL(count, 10);
    for (uint32_t i = 0; i < count; i++) {
        found[i] = slow[i].duration_ns;
    }
    qsort(found, count, sizeof *found, compare);
    for (uint32_t i = 0; i < count; i++) {
        CHECK_EQUAL(found[i], own[own_count - count + i]);
    }
}

static struct otrace_segment *open_synth(struct otrace_clock **clock) {
    struct otrace_segment *segment;
    struct otrace_read_problem problem;
    int fd = synth_file(&synth);
    CHECK_EQUAL(otrace_segment_open(fd, &segment, &problem), 0);
    close(fd);
    CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_MONOTONIC, clock), 0);
    CHECK_EQUAL(otrace_clock_add(*clock, segment), 0);
    CHECK_EQUAL(otrace_clock_fit(*clock, BASE), 0);
    return segment;
}

static void check_program(void) {
    struct otrace_clock *clock;
    struct otrace_segment *segment = open_synth(&clock);
    struct otrace_profile *profile;
    struct otrace_profile_walk *walk;
    uint32_t root;
    CHECK_EQUAL(otrace_profile_new(10, &profile), 0);
    CHECK_EQUAL(otrace_profile_root(profile, &root), 0);
    CHECK_EQUAL(otrace_profile_walk_new(profile, segment, 0, clock, root, 0, 0, &walk), 0);
    int status;
    while ((status = otrace_profile_walk_next(walk, 100)) > 0) {
    }
    CHECK_EQUAL(status, 0);
    otrace_profile_walk_free(walk);
    struct otrace_profile_counts counts;
    otrace_profile_get_counts(profile, &counts);
    for (uint32_t i = 1; i < counts.functions; i++) {
        check_function(profile, i);
    }
    check_paths(profile, counts.nodes);
    check_slowest(profile, counts.slow);
    const struct otrace_profile_exception *exceptions = otrace_profile_exceptions(profile);
    uint64_t raised = 0, told = 0;
    for (uint32_t i = 0; i < calls_count; i++) {
        raised += calls[i].raised;
    }
    for (uint32_t i = 0; i < counts.exceptions; i++) {
        told += exceptions[i].count;
    }
    CHECK(raised > 0);
    CHECK_EQUAL(told, raised);
    otrace_profile_free(profile);
    profile_check(segment, clock);
    otrace_clock_free(clock);
    otrace_segment_free(segment);
}

/* More paths than a tree holds: their time stays in the tree, functions are exact. */
static void check_folded(void) {
    struct otrace_clock *clock;
    struct otrace_segment *segment = open_synth(&clock);
    struct otrace_profile *profile;
    struct otrace_profile_walk *walk;
    uint32_t root;
    CHECK_EQUAL(otrace_profile_new(10, &profile), 0);
    profile->nodes_most = paths_count / 10;
    CHECK_EQUAL(otrace_profile_root(profile, &root), 0);
    CHECK_EQUAL(otrace_profile_walk_new(profile, segment, 0, clock, root, 0, 0, &walk), 0);
    CHECK_EQUAL(otrace_profile_walk_next(walk, UINT64_MAX), 0);
    otrace_profile_walk_free(walk);
    struct otrace_profile_counts counts;
    otrace_profile_get_counts(profile, &counts);
    CHECK_EQUAL(counts.nodes, profile->nodes_most);
    for (uint32_t i = 1; i < counts.functions; i++) {
        check_function(profile, i);
    }
    const struct otrace_profile_node *nodes = otrace_profile_nodes(profile);
    uint64_t runs = counts.folded_runs;
    int64_t self = 0, outermost = 0;
    for (uint32_t i = 1; i < counts.nodes; i++) {
        runs += nodes[i].runs;
        self += nodes[i].self_ns;
        outermost += nodes[i].parent == root ? nodes[i].total_ns : 0;
    }
    CHECK(counts.folded_runs > 0);
    CHECK_EQUAL(runs, calls_count);
    CHECK_EQUAL(nodes[root].runs, calls_count);
    CHECK_EQUAL(self, outermost);
    CHECK_EQUAL(nodes[root].total_ns, outermost);
    otrace_profile_free(profile);
    otrace_clock_free(clock);
    otrace_segment_free(segment);
}

/* Beyond the durations that are kept one by one: within 0.4 %. */
static void check_spread(void) {
    static int64_t values[100000];
    struct otrace_profile_spread spread = {0};
    const uint32_t count = sizeof values / sizeof *values;
    seed = 1;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (int64_t)pick(1u << (1 + pick(30))) << pick(25);
        CHECK_EQUAL(otrace_profile_spread_add(&spread, values[i]), 0);
    }
    qsort(values, count, sizeof *values, compare);
    for (uint32_t part = 0; part <= 1000; part++) {
        uint64_t rank = ((uint64_t)count * part + 999) / 1000;
        int64_t wanted = values[rank == 0 ? 0 : rank - 1];
        int64_t found = otrace_profile_spread_quantile(&spread, part);
        int64_t error = found > wanted ? found - wanted : wanted - found;
        CHECK(error * 250 <= wanted); /* 0.4 % */
    }
    otrace_profile_spread_free(&spread);
}

/* Calls that never ended: until the recording's end, the innermost inside the outer ones. */
static void check_open(void) {
    synth_create(&synth, 1024, 8, OTRACE_CLOCK_MONOTONIC);
    synth_name(&synth, 1, 1, "m", "outer", "m.py", 1);
    synth_name(&synth, 2, 2, "m", "inner", "", 0);
    synth_thread(&synth, &thread, 1, NULL, BASE);
    synth_call(&synth, &thread, OTRACE_BEGIN, 1, BASE + 100, -1);
    synth_call(&synth, &thread, OTRACE_C_BEGIN, 2, BASE + 300, -1);
    struct otrace_clock *clock;
    struct otrace_segment *segment = open_synth(&clock);
    struct otrace_profile *profile;
    struct otrace_profile_walk *walk;
    uint32_t root;
    CHECK_EQUAL(otrace_profile_new(0, &profile), 0);
    CHECK_EQUAL(otrace_profile_walk_new(profile, segment, 0, clock, 0, 0, 0, &walk),
                OTRACE_READ_ARGUMENT);
    CHECK_EQUAL(otrace_profile_root(profile, &root), 0);
    CHECK_EQUAL(otrace_profile_walk_new(profile, segment, 0, clock, root, 0, 1000, &walk), 0);
    CHECK_EQUAL(otrace_profile_walk_next(walk, 100), 0);
    otrace_profile_walk_free(walk);
    const struct otrace_profile_node *nodes = otrace_profile_nodes(profile);
    CHECK_EQUAL(nodes[root].total_ns, 900);
    CHECK_EQUAL(nodes[1].total_ns, 900);
    CHECK_EQUAL(nodes[1].self_ns, 200);
    CHECK_EQUAL(nodes[2].total_ns, 700);
    struct otrace_profile_function totals;
    struct otrace_name_info name;
    CHECK_EQUAL(otrace_profile_get_function(profile, 2, &totals, &name), 0);
    CHECK_EQUAL(totals.open, 1);
    CHECK_EQUAL(otrace_profile_get_function(profile, 3, &totals, &name), OTRACE_READ_ARGUMENT);
    otrace_profile_free(profile);
    otrace_clock_free(clock);
    otrace_segment_free(segment);
    synth_free(&synth);
}

int main(void) {
    for (uint64_t number = 1; number <= 12; number++) {
        make_program(number);
        CHECK(calls_count > 1000);
        check_program();
        check_folded();
        synth_free(&synth);
    }
    check_spread();
    check_open();
    return 0;
}
