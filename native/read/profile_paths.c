/* The tree of call paths, and the small tables beside it: exceptions by type, the longest runs. */
#include <stdlib.h>
#include <string.h>

#include "read/profile.h"

static uint64_t hash_pair(uint32_t left, uint32_t right) {
    return otrace_profile_mix((uint64_t)left << 32 | right);
}

static uint64_t hash_node(const struct otrace_profile *profile, uint32_t node) {
    return hash_pair(profile->nodes[node].parent, profile->nodes[node].function);
}

static uint64_t hash_exception(const struct otrace_profile *profile, uint32_t index) {
    return hash_pair(profile->exceptions[index].function, profile->exceptions[index].type);
}

static int append_node(struct otrace_profile *profile, uint32_t parent, uint32_t function) {
    int status = otrace_profile_reserve((void **)&profile->nodes, profile->nodes_count,
                                        &profile->nodes_capacity, sizeof *profile->nodes, 1024);
    if (status == 0) {
        profile->nodes[profile->nodes_count++] =
            (struct otrace_profile_node){.parent = parent, .function = function};
    }
    return status;
}

int otrace_profile_root(struct otrace_profile *profile, uint32_t *node) {
    *node = profile->nodes_count;
    return append_node(profile, OTRACE_PROFILE_NONE, 0);
}

/* Links a node that was just made into its parent's children. */
static void adopt(struct otrace_profile *profile, uint32_t parent, uint32_t child) {
    struct otrace_profile_node *nodes = profile->nodes;
    if (nodes[parent].first_child == 0) {
        nodes[parent].first_child = child;
    } else {
        nodes[nodes[parent].last_child].sibling = child;
    }
    nodes[parent].last_child = child;
    nodes[child].recursive = profile->functions[nodes[child].function].active != 0;
}

int64_t otrace_profile_child(struct otrace_profile *profile, uint32_t parent, uint32_t function) {
    struct otrace_profile_index *index = &profile->by_path;
    int status = otrace_profile_index_reserve(index, hash_node, profile);
    if (status != 0) {
        return status;
    }
    uint32_t at = (uint32_t)hash_pair(parent, function) & index->mask;
    for (; index->slots[at] != 0; at = (at + 1) & index->mask) {
        uint32_t found = index->slots[at] - 1;
        if (profile->nodes[found].parent == parent && profile->nodes[found].function == function) {
            return found;
        }
    }
    if (profile->nodes_count >= profile->nodes_most) {
        return OTRACE_PROFILE_NONE;
    }
    uint32_t made = profile->nodes_count;
    status = append_node(profile, parent, function);
    if (status != 0) {
        return status;
    }
    adopt(profile, parent, made);
    index->slots[at] = made + 1;
    index->used++;
    return made;
}

int otrace_profile_count_exception(struct otrace_profile *profile, uint32_t function,
                                   uint32_t type) {
    struct otrace_profile_index *index = &profile->by_exception;
    int status = otrace_profile_index_reserve(index, hash_exception, profile);
    if (status != 0) {
        return status;
    }
    uint32_t at = (uint32_t)hash_pair(function, type) & index->mask;
    for (; index->slots[at] != 0; at = (at + 1) & index->mask) {
        struct otrace_profile_exception *found = &profile->exceptions[index->slots[at] - 1];
        if (found->function == function && found->type == type) {
            found->count++;
            return OTRACE_READ_OK;
        }
    }
    if (profile->exceptions_count >= OTRACE_PROFILE_EXCEPTIONS_MAX) {
        return OTRACE_READ_OK; /* the function's own count has it */
    }
    status = otrace_profile_reserve((void **)&profile->exceptions, profile->exceptions_count,
                                    &profile->exceptions_capacity, sizeof *profile->exceptions, 64);
    if (status != 0) {
        return status;
    }
    profile->exceptions[profile->exceptions_count] =
        (struct otrace_profile_exception){.function = function, .type = type, .count = 1};
    index->slots[at] = ++profile->exceptions_count;
    index->used++;
    return OTRACE_READ_OK;
}

static void swap(struct otrace_profile_slow *left, struct otrace_profile_slow *right) {
    struct otrace_profile_slow kept = *left;
    *left = *right;
    *right = kept;
}

static void sift_up(struct otrace_profile_slow *heap, uint32_t at) {
    while (at > 0 && heap[at].duration_ns < heap[(at - 1) / 2].duration_ns) {
        swap(&heap[at], &heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct otrace_profile_slow *heap, uint32_t count) {
    for (uint32_t at = 0, child = 1; child < count; at = child, child = 2 * at + 1) {
        if (child + 1 < count && heap[child + 1].duration_ns < heap[child].duration_ns) {
            child++;
        }
        if (heap[at].duration_ns <= heap[child].duration_ns) {
            return;
        }
        swap(&heap[at], &heap[child]);
    }
}

void otrace_profile_note_slow(struct otrace_profile *profile,
                              const struct otrace_profile_slow *run) {
    if (profile->slow_count < profile->slow_capacity) {
        profile->slow[profile->slow_count] = *run;
        sift_up(profile->slow, profile->slow_count++);
    } else if (profile->slow_capacity > 0 && run->duration_ns > profile->slow[0].duration_ns) {
        profile->slow[0] = *run;
        sift_down(profile->slow, profile->slow_count);
    }
}
