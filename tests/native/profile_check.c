#include "profile_check.h"

#include <stdbool.h>

#include "check.h"

#define NONE UINT32_MAX

static void walk(struct otrace_profile *profile, struct otrace_segment *segment, uint32_t track,
                 const struct otrace_clock *clock, uint32_t root) {
    struct otrace_profile_walk *walk;
    CHECK_EQUAL(otrace_profile_walk_new(profile, segment, track, clock, root, track, 5000, &walk),
                0);
    int status;
    while ((status = otrace_profile_walk_next(walk, 7)) > 0) {
    }
    CHECK_EQUAL(status, 0);
    CHECK(otrace_profile_walk_words(walk) < UINT64_C(1) << 40);
    otrace_profile_walk_free(walk);
    /* Given up half-way: it must leave no run behind. Nothing is compared with its numbers. */
    struct otrace_profile *other;
    CHECK_EQUAL(otrace_profile_new(0, &other), 0);
    CHECK_EQUAL(otrace_profile_root(other, &root), 0);
    CHECK_EQUAL(otrace_profile_walk_new(other, segment, track, clock, root, 0, 0, &walk), 0);
    CHECK(otrace_profile_walk_next(walk, 3) >= 0);
    otrace_profile_walk_free(walk);
    CHECK_EQUAL(otrace_profile_walk_new(other, segment, track, clock, root, 0, 0, &walk), 0);
    const uint32_t tasks[] = {1, 2, 3}, roots[] = {root, root, root}, none[] = {NONE};
    CHECK_EQUAL(otrace_profile_walk_tasks(walk, tasks, none, 1), OTRACE_READ_ARGUMENT);
    CHECK_EQUAL(otrace_profile_walk_tasks(walk, tasks, roots, 3), 0);
    while ((status = otrace_profile_walk_next(walk, 1000)) > 0) {
    }
    CHECK_EQUAL(status, 0);
    otrace_profile_walk_free(walk);
    otrace_profile_free(other);
}

/* Whether no damage has made times that are too big to be added up. */
static bool is_sane(struct otrace_segment *segment, uint32_t tracks,
                    const struct otrace_clock *clock) {
    struct otrace_track_summary summary;
    bool sane = true;
    for (uint32_t track = 0; track < tracks; track++) {
        CHECK_EQUAL(otrace_track_summarize(segment, track, clock, &summary), 0);
        sane = sane && summary.last_ns < INT64_C(1) << 40;
    }
    return sane;
}

/* Children's times add up to their parent's; detached events, without self time, are apart. */
static void check_tree(const struct otrace_profile *profile,
                       const struct otrace_profile_counts *counts, bool sane) {
    const struct otrace_profile_node *nodes = otrace_profile_nodes(profile);
    for (uint32_t i = 0; i < counts->nodes; i++) {
        CHECK(nodes[i].parent == NONE || nodes[i].parent < i);
        CHECK(nodes[i].function < counts->functions);
        CHECK(nodes[i].runs >= nodes[i].calls && nodes[i].self_ns >= 0);
        int64_t inside = 0;
        uint32_t seen = 0;
        for (uint32_t child = nodes[i].first_child; child != 0; child = nodes[child].sibling) {
            CHECK(child > i && child < counts->nodes && nodes[child].parent == i);
            inside += sane ? nodes[child].total_ns : 0;
            CHECK(++seen <= counts->nodes);
        }
        if (!sane) {
            continue;
        }
        if (nodes[i].parent == NONE) {
            CHECK(inside >= nodes[i].total_ns);
        } else if (nodes[nodes[i].parent].parent == NONE) {
            CHECK(nodes[i].self_ns + inside <= nodes[i].total_ns);
        } else {
            CHECK_EQUAL(nodes[i].self_ns + inside, nodes[i].total_ns);
        }
    }
}

static void check_functions(struct otrace_profile *profile,
                            const struct otrace_profile_counts *counts, bool sane) {
    const struct otrace_profile_node *nodes = otrace_profile_nodes(profile);
    int64_t self = 0, tree_self = 0;
    uint64_t runs = 0, tree_runs = 0, root_runs = 0;
    for (uint32_t i = 0; i < counts->nodes; i++) {
        bool root = nodes[i].parent == NONE;
        tree_self += sane ? nodes[i].self_ns : 0;
        *(root ? &root_runs : &tree_runs) += nodes[i].runs;
    }
    for (uint32_t i = 0; i < counts->functions; i++) {
        struct otrace_profile_function totals;
        struct otrace_name_info name;
        CHECK_EQUAL(otrace_profile_get_function(profile, i, &totals, &name), 0);
        CHECK(totals.primitive <= totals.runs && totals.calls <= totals.runs);
        CHECK(totals.total_ns <= totals.sum_ns && totals.self_ns <= totals.sum_ns);
        CHECK(totals.min_ns <= totals.max_ns && totals.min_ns >= 0);
        int64_t last = 0;
        for (uint32_t part = 0; part <= 1000; part += 250) {
            int64_t value;
            CHECK_EQUAL(otrace_profile_quantile(profile, i, part, &value), 0);
            CHECK(value >= last && value <= totals.max_ns);
            last = value;
        }
        self += sane ? totals.self_ns : 0;
        runs += totals.runs;
    }
    CHECK_EQUAL(self, tree_self);
    CHECK_EQUAL(runs, tree_runs + counts->folded_runs);
    CHECK_EQUAL(runs, root_runs);
}

static void check_speedscope(struct otrace_segment *segment, uint32_t track,
                             const struct otrace_clock *clock) {
    static char block[4096];
    static const uint32_t frames[] = {9, 7}; /* all names but the first are beyond */
    struct otrace_speedscope *speedscope;
    CHECK_EQUAL(otrace_speedscope_new(segment, track, clock, frames, 2, 5000, &speedscope), 0);
    size_t written;
    int64_t open = 0;
    do {
        CHECK_EQUAL(otrace_speedscope_next(speedscope, block, sizeof block, &written), 0);
        CHECK(written <= sizeof block);
        for (size_t i = 0; i < written; i++) { /* no name is in the text */
            open += (block[i] == 'O') - (block[i] == 'C');
        }
    } while (written > 0);
    CHECK_EQUAL(open, 0);
    CHECK(otrace_speedscope_end(speedscope) >= 5000);
    otrace_speedscope_free(speedscope);
}

void profile_check(struct otrace_segment *segment, const struct otrace_clock *clock) {
    struct otrace_segment_info info;
    struct otrace_profile *profile;
    uint32_t shared, own;
    otrace_segment_get_info(segment, &info);
    CHECK_EQUAL(otrace_profile_new(5, &profile), 0);
    CHECK_EQUAL(otrace_profile_root(profile, &shared), 0);
    CHECK_EQUAL(otrace_profile_root(profile, &own), 0);
    for (uint32_t track = 0; track < info.tracks; track++) {
        walk(profile, segment, track, clock, shared);
        check_speedscope(segment, track, clock);
    }
    if (info.tracks > 0) {
        walk(profile, segment, 0, clock, own);
    }
    struct otrace_profile_counts counts;
    otrace_profile_get_counts(profile, &counts);
    CHECK(counts.slow <= 5);
    bool sane = is_sane(segment, info.tracks, clock);
    check_tree(profile, &counts, sane);
    check_functions(profile, &counts, sane);
    const struct otrace_profile_slow *slow = otrace_profile_slowest(profile);
    for (uint32_t i = 0; i < counts.slow; i++) {
        CHECK(slow[i].node < counts.nodes && slow[i].function < counts.functions);
        CHECK(slow[i].exception < counts.functions);
    }
    otrace_profile_free(profile);
}
