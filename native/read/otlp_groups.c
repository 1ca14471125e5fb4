/* Calls that get no span of their own: siblings of one name become one span together. */
#include "read/otlp.h"

#define PLACES (1u << 17) /* of the hash table, a power of two */
#define GROUPS_MAX (PLACES / 2)

struct otrace_otlp_group {
    uint64_t count; /* 0: a free place */
    int64_t first_ns, last_ns, total_ns;
    uint32_t window, keeper, function;
};

int otrace_otlp_groups_begin(struct otrace_otlp *plan) {
    struct otrace_otlp_groups *groups = &plan->groups;
    if (groups->places == NULL) {
        groups->places = calloc(PLACES, sizeof *groups->places);
        groups->used = malloc(GROUPS_MAX * sizeof *groups->used);
        if (groups->places == NULL || groups->used == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
    }
    return OTRACE_READ_OK;
}

void otrace_otlp_leave_out(struct otrace_otlp *plan, uint32_t window, uint32_t track,
                           uint32_t keeper, uint64_t calls) {
    struct otrace_otlp_part *part = &otrace_otlp_cell(plan, window, track)->part;
    part->left_out += calls;
    if (keeper == OTRACE_OTLP_NONE) {
        part->left_out_here += calls;
    } else {
        plan->windows[window].spans[keeper].left_out += calls;
    }
}

/* The group's place, or the free one where it belongs. */
static uint32_t place_of(const struct otrace_otlp_groups *groups, uint32_t window, uint32_t keeper,
                         uint32_t function) {
    uint64_t hash = ((uint64_t)keeper << 32 | function) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ window) * UINT64_C(0xbf58476d1ce4e5b9);
    uint32_t at = (uint32_t)(hash >> 40) & (PLACES - 1);
    for (;; at = (at + 1) & (PLACES - 1)) {
        const struct otrace_otlp_group *group = &groups->places[at];
        if (group->count == 0 ||
            (group->function == function && group->keeper == keeper && group->window == window)) {
            return at;
        }
    }
}

void otrace_otlp_groups_add(struct otrace_otlp *plan, uint32_t track, uint32_t window,
                            uint32_t keeper, const struct otrace_edge *edge) {
    struct otrace_otlp_groups *groups = &plan->groups;
    uint32_t at = place_of(groups, window, keeper, edge->id);
    struct otrace_otlp_group *group = &groups->places[at];
    if (group->count == 0) {
        if (groups->count == GROUPS_MAX) {
            otrace_otlp_leave_out(plan, window, track, keeper, 1);
            return;
        }
        groups->used[groups->count++] = at;
        *group = (struct otrace_otlp_group){
            .first_ns = edge->start_ns,
            .last_ns = edge->end_ns,
            .window = window,
            .keeper = keeper,
            .function = edge->id,
        };
    }
    group->count++;
    group->total_ns += edge->end_ns - edge->start_ns;
    group->last_ns = edge->end_ns > group->last_ns ? edge->end_ns : group->last_ns;
}

static int add_collapsed(struct otrace_otlp *plan, uint32_t track, uint64_t number,
                         const struct otrace_otlp_group *group) {
    struct otrace_otlp_window *window = &plan->windows[group->window];
    if (!otrace_otlp_grow(&window->collapsed, sizeof *window->collapsed, window->collapsed_count,
                          &window->collapsed_capacity)) {
        return OTRACE_READ_NO_MEMORY;
    }
    struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, group->window, track);
    window->collapsed[window->collapsed_count++] = (struct otrace_otlp_span){
        .id = otrace_otlp_collapsed_id(plan, track, group->window, number),
        .parent_id = group->keeper == OTRACE_OTLP_NONE ? cell->part.span_id
                                                       : window->spans[group->keeper].id,
        .start_ns = group->first_ns,
        .end_ns = group->last_ns,
        .count = group->count,
        .total_ns = group->total_ns,
        .function = group->function,
        .track = track,
        .keeper = group->keeper,
        .marks = {.first = OTRACE_OTLP_NONE, .last = OTRACE_OTLP_NONE},
    };
    cell->part.collapsed_spans++;
    cell->part.collapsed_calls += group->count;
    return OTRACE_READ_OK;
}

int otrace_otlp_groups_end(struct otrace_otlp *plan, uint32_t track) {
    struct otrace_otlp_groups *groups = &plan->groups;
    int status = OTRACE_READ_OK;
    for (uint32_t i = 0; i < groups->count; i++) {
        struct otrace_otlp_group *group = &groups->places[groups->used[i]];
        if (group->count == 1) {
            otrace_otlp_leave_out(plan, group->window, track, group->keeper, 1);
        } else if (status == 0) {
            status = add_collapsed(plan, track, i, group);
        }
        group->count = 0;
    }
    groups->count = 0;
    for (uint32_t at = 0; at < plan->options.windows; at++) {
        if (plan->windows[at].collapsed_count / 4 > plan->options.max_spans) {
            otrace_otlp_groups_trim(plan, at, plan->options.max_spans);
        }
    }
    return status;
}

static int by_time(const void *a, const void *b) {
    const struct otrace_otlp_span *one = a, *other = b;
    if (one->total_ns != other->total_ns) {
        return one->total_ns > other->total_ns ? -1 : 1;
    }
    return one->id < other->id ? -1 : one->id > other->id;
}

void otrace_otlp_groups_trim(struct otrace_otlp *plan, uint32_t window_at, uint32_t most) {
    struct otrace_otlp_window *window = &plan->windows[window_at];
    if (window->collapsed_count <= most) {
        return;
    }
    qsort(window->collapsed, window->collapsed_count, sizeof *window->collapsed, by_time);
    for (uint32_t i = most; i < window->collapsed_count; i++) {
        const struct otrace_otlp_span *span = &window->collapsed[i];
        struct otrace_otlp_part *part = &otrace_otlp_cell(plan, window_at, span->track)->part;
        part->collapsed_spans--;
        part->collapsed_calls -= span->count;
        otrace_otlp_leave_out(plan, window_at, span->track, span->keeper, span->count);
    }
    window->collapsed_count = most;
}
