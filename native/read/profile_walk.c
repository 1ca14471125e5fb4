/* A pass over a track: begins and ends become nodes of the tree and totals of functions. */
#include <stdlib.h>
#include <string.h>

#include "read/decode.h"
#include "read/profile.h"
#include "read/segment.h"

/* A run on the stack. */
struct frame {
    uint32_t node, function;
    uint32_t flags;
    bool folded;      /* no room for its path: `node` is the nearest call around it that has one */
    bool task_folded; /* the same of `task_node` */
    uint32_t task;    /* that runs it, 0: none */
    uint32_t task_root; /* of the tree of its task, OTRACE_PROFILE_NONE: that has none */
    uint32_t task_node; /* in that tree */
    int64_t start_ns;
    int64_t children_ns; /* sum of the runs directly inside it */
    int64_t others_ns;   /* of it, what ran in other tasks */
    int64_t longest_ns;  /* the longest of them */
};

struct otrace_profile_walk {
    struct otrace_profile *profile;
    struct otrace_decoder *decoder;
    struct frame *stack; /* [0] is the root */
    uint32_t depth, capacity;
    uint32_t track;
    int64_t end_ns;
    const uint32_t *tasks, *task_roots; /* the caller's */
    uint32_t tasks_count;
};

int otrace_profile_walk_new(struct otrace_profile *profile, struct otrace_segment *segment,
                            uint32_t track_index, const struct otrace_clock *clock, uint32_t root,
                            uint32_t track, int64_t end_ns, struct otrace_profile_walk **walk) {
    *walk = NULL;
    if (root >= profile->nodes_count || profile->nodes[root].parent != OTRACE_PROFILE_NONE) {
        return OTRACE_READ_ARGUMENT;
    }
    struct otrace_profile_walk *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    made->profile = profile;
    made->track = track;
    made->end_ns = end_ns;
    int status = otrace_profile_use_segment(profile, segment);
    if (status == 0) {
        status =
            otrace_decoder_new(segment, track_index, clock, OTRACE_DECODE_BEGINS, &made->decoder);
    }
    if (status == 0) {
        status = otrace_profile_reserve((void **)&made->stack, 0, &made->capacity,
                                        sizeof *made->stack, 256);
    }
    if (status != 0) {
        otrace_profile_walk_free(made);
        return status;
    }
    made->stack[0] = (struct frame){.node = root, .task_root = OTRACE_PROFILE_NONE};
    *walk = made;
    return OTRACE_READ_OK;
}

int otrace_profile_walk_tasks(struct otrace_profile_walk *walk, const uint32_t *ids,
                              const uint32_t *roots, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (roots[i] >= walk->profile->nodes_count ||
            walk->profile->nodes[roots[i]].parent != OTRACE_PROFILE_NONE) {
            return OTRACE_READ_ARGUMENT;
        }
    }
    walk->tasks = ids;
    walk->task_roots = roots;
    walk->tasks_count = count;
    return OTRACE_READ_OK;
}

void otrace_profile_walk_free(struct otrace_profile_walk *walk) {
    if (walk == NULL) {
        return;
    }
    for (; walk->depth > 0; walk->depth--) { /* it was not walked to its end */
        walk->profile->functions[walk->stack[walk->depth].function].active--;
    }
    otrace_decoder_free(walk->decoder);
    free(walk->stack);
    free(walk);
}

uint64_t otrace_profile_walk_words(const struct otrace_profile_walk *walk) {
    struct otrace_decode_counts counts;
    otrace_decoder_counts(walk->decoder, &counts);
    return counts.words;
}

static uint32_t root_of_task(const struct otrace_profile_walk *walk, uint32_t task) {
    uint32_t low = 0, high = walk->tasks_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (walk->tasks[middle] < task) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < walk->tasks_count && walk->tasks[low] == task;
    return found ? walk->task_roots[low] : OTRACE_PROFILE_NONE;
}

/* Finds the frame its place in the tree of the task that runs it. */
static int place_in_task(struct otrace_profile_walk *walk, const struct frame *around,
                         struct frame *frame) {
    bool same = frame->task == around->task;
    frame->task_root = same ? around->task_root : root_of_task(walk, frame->task);
    frame->task_node = same ? around->task_node : frame->task_root;
    frame->task_folded = same && around->task_folded;
    if (frame->task_root == OTRACE_PROFILE_NONE || frame->task_folded) {
        return OTRACE_READ_OK;
    }
    int64_t node = otrace_profile_child(walk->profile, frame->task_node, frame->function);
    if (node < 0) {
        return (int)node;
    }
    frame->task_folded = node == OTRACE_PROFILE_NONE;
    frame->task_node = frame->task_folded ? frame->task_node : (uint32_t)node;
    return OTRACE_READ_OK;
}

static int begin(struct otrace_profile_walk *walk, const struct otrace_edge *edge) {
    struct otrace_profile *profile = walk->profile;
    int64_t function = otrace_profile_function_of(profile, edge->id);
    if (function < 0) {
        return (int)function;
    }
    int status = otrace_profile_reserve((void **)&walk->stack, walk->depth + 1, &walk->capacity,
                                        sizeof *walk->stack, 256);
    if (status != 0) {
        return status;
    }
    const struct frame *around = &walk->stack[walk->depth];
    int64_t node = OTRACE_PROFILE_NONE;
    if (!around->folded) {
        node = otrace_profile_child(profile, around->node, (uint32_t)function);
        if (node < 0) {
            return (int)node;
        }
    }
    bool folded = node == OTRACE_PROFILE_NONE;
    struct frame *frame = &walk->stack[walk->depth + 1];
    *frame = (struct frame){
        .node = folded ? around->node : (uint32_t)node,
        .function = (uint32_t)function,
        .flags = edge->flags,
        .folded = folded,
        .task = edge->task,
        .task_root = OTRACE_PROFILE_NONE,
        .start_ns = edge->start_ns,
    };
    if (edge->task != 0 && walk->tasks_count != 0) {
        status = place_in_task(walk, around, frame);
        if (status != 0) {
            return status;
        }
    }
    walk->depth++;
    profile->functions[function].active++;
    return OTRACE_READ_OK;
}

/* Adds a run to its function's totals. */
static int count_run(struct otrace_profile *profile, uint32_t function, uint32_t flags,
                     int64_t duration_ns, int64_t self_ns) {
    struct otrace_profile_entry *entry = &profile->functions[function];
    struct otrace_profile_function *totals = &entry->totals;
    if (totals->runs == 0 || duration_ns < totals->min_ns) {
        totals->min_ns = duration_ns;
    }
    if (duration_ns > totals->max_ns) {
        totals->max_ns = duration_ns;
    }
    totals->runs++;
    totals->calls += !(flags & OTRACE_CALL_RESUMED);
    otrace_profile_add(&totals->self_ns, self_ns);
    otrace_profile_add(&totals->sum_ns, duration_ns);
    totals->exceptions += (flags & OTRACE_CALL_UNWOUND) != 0;
    totals->open += (flags & OTRACE_CALL_OPEN) != 0;
    totals->cut += (flags & OTRACE_CALL_CUT) != 0;
    if (entry->active == 0) {
        totals->primitive++;
        otrace_profile_add(&totals->total_ns, duration_ns);
    }
    return otrace_profile_spread_add(&entry->spread, duration_ns);
}

static void count_node(struct otrace_profile_node *node, uint32_t flags, int64_t duration_ns,
                       int64_t self_ns) {
    node->runs++;
    node->calls += !(flags & OTRACE_CALL_RESUMED);
    node->exceptions += (flags & OTRACE_CALL_UNWOUND) != 0;
    otrace_profile_add(&node->total_ns, duration_ns);
    otrace_profile_add(&node->self_ns, self_ns);
}

static void count_root(struct otrace_profile_node *root, uint32_t flags, int64_t outermost_ns) {
    root->runs++;
    root->calls += !(flags & OTRACE_CALL_RESUMED);
    otrace_profile_add(&root->total_ns, outermost_ns);
}

static void count_in_task(struct otrace_profile_walk *walk, const struct frame *frame,
                          int64_t duration_ns, int64_t self_ns) {
    duration_ns -= frame->others_ns;
    struct otrace_profile_node *node = &walk->profile->nodes[frame->task_node];
    if (frame->task_folded) {
        otrace_profile_add(&node->self_ns, self_ns);
    } else {
        count_node(node, frame->flags, duration_ns, self_ns);
    }
    bool outermost = frame[-1].task != frame->task;
    count_root(&walk->profile->nodes[frame->task_root], frame->flags, outermost ? duration_ns : 0);
}

/* The rare things of a run: an exception, and being among the longest. */
static int note(struct otrace_profile_walk *walk, const struct frame *frame, uint32_t exception,
                int64_t duration_ns) {
    struct otrace_profile *profile = walk->profile;
    int64_t type = 0;
    if (exception != 0 && frame->flags & OTRACE_CALL_UNWOUND) {
        type = otrace_profile_function_of(profile, exception);
        if (type < 0) {
            return (int)type;
        }
    }
    if (frame->flags & OTRACE_CALL_UNWOUND) {
        int status = otrace_profile_count_exception(profile, frame->function, (uint32_t)type);
        if (status != 0) {
            return status;
        }
    }
    if (frame->longest_ns < duration_ns - duration_ns / 10) {
        struct otrace_profile_slow run = {
            .node = frame->node,
            .function = frame->function,
            .track = walk->track,
            .flags = frame->flags,
            .exception = (uint32_t)type,
            .start_ns = frame->start_ns,
            .duration_ns = duration_ns,
        };
        otrace_profile_note_slow(profile, &run);
    }
    return OTRACE_READ_OK;
}

static bool is_rare(const struct otrace_profile *profile, uint32_t flags, int64_t duration_ns) {
    return flags & OTRACE_CALL_UNWOUND || profile->slow_count < profile->slow_capacity ||
           (profile->slow_capacity > 0 && duration_ns > profile->slow[0].duration_ns);
}

/* The run on top of the stack ended. */
static int end(struct otrace_profile_walk *walk, uint32_t flags, uint32_t exception,
               int64_t end_ns) {
    struct otrace_profile *profile = walk->profile;
    struct frame *frame = &walk->stack[walk->depth--];
    struct frame *around = frame - 1;
    frame->flags |= flags;
    int64_t duration = end_ns - frame->start_ns;
    int64_t self = duration > frame->children_ns ? duration - frame->children_ns : 0;
    otrace_profile_add(&around->children_ns, duration);
    bool other = frame->task != around->task;
    otrace_profile_add(&around->others_ns, other ? duration : frame->others_ns);
    if (duration > around->longest_ns) {
        around->longest_ns = duration;
    }
    struct otrace_profile_node *node = &profile->nodes[frame->node];
    if (!frame->folded) {
        count_node(node, frame->flags, duration, self);
    } else {
        otrace_profile_add(&node->self_ns, self);
        profile->folded_runs++;
    }
    count_root(&profile->nodes[walk->stack[0].node], frame->flags, walk->depth == 0 ? duration : 0);
    if (frame->task_root != OTRACE_PROFILE_NONE) {
        count_in_task(walk, frame, duration, self);
    }
    profile->functions[frame->function].active--;
    int status = count_run(profile, frame->function, frame->flags, duration, self);
    if (status == 0 && is_rare(profile, frame->flags, duration)) {
        status = note(walk, frame, exception, duration);
    }
    return status;
}

/* An event that does not nest: it covers other calls' time, so it has none of its own. */
static int detached(struct otrace_profile_walk *walk, const struct otrace_edge *edge) {
    struct otrace_profile *profile = walk->profile;
    int64_t end_ns = edge->end_ns;
    if (edge->flags & OTRACE_CALL_OPEN && walk->end_ns > end_ns) {
        end_ns = walk->end_ns;
    }
    int64_t duration = end_ns - edge->start_ns;
    int64_t function = otrace_profile_function_of(profile, edge->id);
    if (function < 0) {
        return (int)function;
    }
    uint32_t root = walk->stack[0].node;
    int64_t node = otrace_profile_child(profile, root, (uint32_t)function);
    if (node < 0) {
        return (int)node;
    }
    if (node != OTRACE_PROFILE_NONE) {
        count_node(&profile->nodes[node], edge->flags, duration, 0);
    } else {
        profile->folded_runs++;
    }
    profile->nodes[root].runs++;
    profile->nodes[root].calls++;
    return count_run(profile, (uint32_t)function, edge->flags, duration, 0);
}

static int take(struct otrace_profile_walk *walk, const struct otrace_edge *edge) {
    switch (edge->kind) {
    case OTRACE_EDGE_BEGIN:
        return begin(walk, edge);
    case OTRACE_EDGE_END:
        return walk->depth > 0 ? end(walk, edge->flags, edge->exception, edge->end_ns) : 0;
    case OTRACE_EDGE_EVENT:
        return detached(walk, edge);
    default: /* OPEN: what is left on the stack is open */
        return OTRACE_READ_OK;
    }
}

/* Ends the calls that never did, the innermost first. */
static int finish(struct otrace_profile_walk *walk) {
    struct otrace_decode_counts counts;
    otrace_decoder_counts(walk->decoder, &counts);
    int64_t end_ns = walk->end_ns > counts.last_ns ? walk->end_ns : counts.last_ns;
    int status = OTRACE_READ_OK;
    while (status == 0 && walk->depth > 0) {
        status = end(walk, OTRACE_CALL_OPEN, 0, end_ns);
    }
    return status;
}

int otrace_profile_walk_next(struct otrace_profile_walk *walk, uint64_t edges) {
    struct otrace_edge edge;
    for (; edges > 0; edges--) {
        int status = otrace_decoder_next(walk->decoder, &edge);
        if (status <= 0) {
            return status < 0 ? status : finish(walk);
        }
        status = take(walk, &edge);
        if (status != 0) {
            return status;
        }
    }
    return 1;
}
