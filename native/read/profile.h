/* The aggregator's inside: profile.c (the object and what it tells), profile_names.c (functions of
 * all segments), profile_paths.c (the tree), profile_spread.c (durations), profile_walk.c (edges
 * in). Internal to native/read. */
#ifndef OTRACE_READ_PROFILE_H
#define OTRACE_READ_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "api_profile.h"

#define OTRACE_PROFILE_NONE UINT32_MAX
#define OTRACE_PROFILE_NODES_MAX (1u << 20)
#define OTRACE_PROFILE_EXCEPTIONS_MAX (1u << 16)

/* ---- numbers by hash: the keys are in the caller's table --------------------------------------
 */

/* Open addressing; a slot holds an index + 1. */
struct otrace_profile_index {
    uint32_t *slots;
    uint32_t mask; /* slots - 1; 0: none yet */
    uint32_t used;
};

static inline uint64_t otrace_profile_mix(uint64_t key) {
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 32;
}

/* ---- durations of a function's runs -----------------------------------------------------------
 */

#define OTRACE_SPREAD_EXACT 2048u
#define OTRACE_SPREAD_BITS 7u /* 128 buckets in each power of two */
#define OTRACE_SPREAD_BUCKETS (1u << OTRACE_SPREAD_BITS)
#define OTRACE_SPREAD_ROWS (64u - OTRACE_SPREAD_BITS)

/* All durations as they are, then counts: row 0 holds those below 128 ns, row r those of
 * 2^(r + 6) and more, in buckets of 2^(r - 1) ns. */
struct otrace_profile_spread {
    uint64_t count;
    int64_t *exact; /* NULL once there are rows */
    uint32_t capacity;
    bool sorted;
    uint64_t **rows; /* NULL, or OTRACE_SPREAD_ROWS pointers, NULL for an empty row */
};

int otrace_profile_spread_grow(struct otrace_profile_spread *spread, int64_t duration_ns);
void otrace_profile_spread_free(struct otrace_profile_spread *spread);
int64_t otrace_profile_spread_quantile(struct otrace_profile_spread *spread, uint32_t thousandths);

static inline int otrace_profile_spread_add(struct otrace_profile_spread *spread,
                                            int64_t duration_ns) {
    if (spread->count < spread->capacity) {
        spread->exact[spread->count++] = duration_ns;
        spread->sorted = false;
        return 0;
    }
    return otrace_profile_spread_grow(spread, duration_ns);
}

/* ---- functions --------------------------------------------------------------------------------
 */

struct otrace_profile_entry {
    struct otrace_profile_function totals;
    struct otrace_profile_spread spread;
    struct otrace_name_info name;
    uint32_t active; /* runs on the stack of the walk at hand */
};

struct otrace_profile {
    struct otrace_profile_entry *functions;
    uint32_t functions_count, functions_capacity;
    struct otrace_profile_index by_name;

    const struct otrace_segment *segment; /* whose names `ids` are of */
    uint32_t *ids;                        /* a function + 1 by name id */
    uint32_t ids_count;

    struct otrace_profile_node *nodes;
    uint32_t nodes_count, nodes_capacity;
    uint32_t nodes_most; /* OTRACE_PROFILE_NODES_MAX, fewer in tests */
    struct otrace_profile_index by_path;

    struct otrace_profile_exception *exceptions;
    uint32_t exceptions_count, exceptions_capacity;
    struct otrace_profile_index by_exception;

    struct otrace_profile_slow *slow; /* a heap, the shortest on top */
    uint32_t slow_count, slow_capacity;
    uint64_t folded_runs;
};

/* Makes the name ids of `segment` known: they are looked up when first seen. */
int otrace_profile_use_segment(struct otrace_profile *profile,
                               const struct otrace_segment *segment);
/* The function of a name id that is not in `ids` yet: its index, or a negative status. */
int64_t otrace_profile_name(struct otrace_profile *profile, uint32_t id);

static inline int64_t otrace_profile_function_of(struct otrace_profile *profile, uint32_t id) {
    uint32_t known = id < profile->ids_count ? profile->ids[id] : 0;
    return known != 0 ? (int64_t)known - 1 : otrace_profile_name(profile, id);
}

/* The child of `parent`, made when there is none: its node, OTRACE_PROFILE_NONE when there are too
 * many, or a negative status. */
int64_t otrace_profile_child(struct otrace_profile *profile, uint32_t parent, uint32_t function);
int otrace_profile_count_exception(struct otrace_profile *profile, uint32_t function,
                                   uint32_t type);
/* Takes the run among the longest when it is one. */
void otrace_profile_note_slow(struct otrace_profile *profile,
                              const struct otrace_profile_slow *run);

/* Times of a damaged segment may be anything: their sums stop at the largest number. */
static inline void otrace_profile_add(int64_t *sum, int64_t ns) {
    if (__builtin_add_overflow(*sum, ns, sum)) {
        *sum = INT64_MAX;
    }
}

/* Room for one more: doubles the table, which starts with `first`. */
int otrace_profile_reserve(void **table, uint32_t count, uint32_t *capacity, size_t size,
                           uint32_t first);
/* Makes the index at most half full with one more; `hash_of` tells the hash of an index. */
int otrace_profile_index_reserve(struct otrace_profile_index *index,
                                 uint64_t (*hash_of)(const struct otrace_profile *, uint32_t),
                                 const struct otrace_profile *profile);

#endif
