/* A profile as an object, its growing tables, and what it tells. */
#include <stdlib.h>
#include <string.h>

#include "read/profile.h"

#define INDEX_FIRST 64u

int otrace_profile_reserve(void **table, uint32_t count, uint32_t *capacity, size_t size,
                           uint32_t first) {
    if (count < *capacity) {
        return OTRACE_READ_OK;
    }
    uint32_t wanted = *capacity == 0 ? first : *capacity * 2;
    void *grown = realloc(*table, (size_t)wanted * size);
    if (grown == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    *table = grown;
    *capacity = wanted;
    return OTRACE_READ_OK;
}

int otrace_profile_index_reserve(struct otrace_profile_index *index,
                                 uint64_t (*hash_of)(const struct otrace_profile *, uint32_t),
                                 const struct otrace_profile *profile) {
    if (index->mask != 0 && index->used * 2 <= index->mask) {
        return OTRACE_READ_OK;
    }
    uint32_t slots = index->mask == 0 ? INDEX_FIRST : (index->mask + 1) * 2;
    uint32_t *grown = calloc(slots, sizeof *grown);
    if (grown == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    for (uint32_t i = 0; index->mask != 0 && i <= index->mask; i++) {
        if (index->slots[i] != 0) {
            uint32_t at = (uint32_t)hash_of(profile, index->slots[i] - 1) & (slots - 1);
            while (grown[at] != 0) {
                at = (at + 1) & (slots - 1);
            }
            grown[at] = index->slots[i];
        }
    }
    free(index->slots);
    index->slots = grown;
    index->mask = slots - 1;
    return OTRACE_READ_OK;
}

int otrace_profile_new(uint32_t slow, struct otrace_profile **profile) {
    *profile = NULL;
    struct otrace_profile *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    made->nodes_most = OTRACE_PROFILE_NODES_MAX;
    void **functions = (void **)&made->functions;
    int status = otrace_profile_reserve(functions, 0, &made->functions_capacity,
                                        sizeof *made->functions, 64);
    if (status == 0 && slow > 0) {
        made->slow_capacity = slow;
        made->slow = calloc(slow, sizeof *made->slow);
        status = made->slow == NULL ? OTRACE_READ_NO_MEMORY : 0;
    }
    if (status != 0) {
        otrace_profile_free(made);
        return status;
    }
    memset(&made->functions[made->functions_count++], 0, sizeof *made->functions);
    *profile = made;
    return OTRACE_READ_OK;
}

void otrace_profile_free(struct otrace_profile *profile) {
    if (profile == NULL) {
        return;
    }
    for (uint32_t i = 0; i < profile->functions_count; i++) {
        otrace_profile_spread_free(&profile->functions[i].spread);
    }
    free(profile->functions);
    free(profile->by_name.slots);
    free(profile->ids);
    free(profile->nodes);
    free(profile->by_path.slots);
    free(profile->exceptions);
    free(profile->by_exception.slots);
    free(profile->slow);
    free(profile);
}

void otrace_profile_get_counts(const struct otrace_profile *profile,
                               struct otrace_profile_counts *counts) {
    *counts = (struct otrace_profile_counts){
        .nodes = profile->nodes_count,
        .functions = profile->functions_count,
        .exceptions = profile->exceptions_count,
        .slow = profile->slow_count,
        .folded_runs = profile->folded_runs,
    };
}

const struct otrace_profile_node *otrace_profile_nodes(const struct otrace_profile *profile) {
    return profile->nodes;
}

const struct otrace_profile_slow *otrace_profile_slowest(const struct otrace_profile *profile) {
    return profile->slow;
}

const struct otrace_profile_exception *
otrace_profile_exceptions(const struct otrace_profile *profile) {
    return profile->exceptions;
}

int otrace_profile_get_function(const struct otrace_profile *profile, uint32_t index,
                                struct otrace_profile_function *totals,
                                struct otrace_name_info *name) {
    if (index >= profile->functions_count) {
        return OTRACE_READ_ARGUMENT;
    }
    *totals = profile->functions[index].totals;
    *name = profile->functions[index].name;
    return OTRACE_READ_OK;
}

int otrace_profile_quantile(struct otrace_profile *profile, uint32_t index, uint32_t thousandths,
                            int64_t *duration_ns) {
    if (index >= profile->functions_count || thousandths > 1000) {
        return OTRACE_READ_ARGUMENT;
    }
    struct otrace_profile_entry *entry = &profile->functions[index];
    int64_t found = otrace_profile_spread_quantile(&entry->spread, thousandths);
    const struct otrace_profile_function *totals = &entry->totals;
    found = found < totals->min_ns ? totals->min_ns : found;
    *duration_ns = found > totals->max_ns ? totals->max_ns : found;
    return OTRACE_READ_OK;
}
