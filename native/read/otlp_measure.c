/* Pass 1: the calls of each window that are worth a span. */
#include "read/otlp.h"

#define LEVEL_BITS 10
#define LEVEL_MASK ((UINT64_C(1) << LEVEL_BITS) - 1)
#define DURATION_MAX ((UINT64_C(1) << (63 - LEVEL_BITS)) - 1)
#define EVENT_CLASS (UINT64_C(1) << 63) /* the program's own events and requests: before calls */

/* Without the bits of the level. */
static uint64_t rank_of(int64_t duration_ns, uint32_t flags) {
    uint64_t duration = duration_ns > 0 ? (uint64_t)duration_ns : 0;
    duration = duration < DURATION_MAX ? duration : DURATION_MAX;
    return duration << LEVEL_BITS | (flags & OTRACE_CALL_EVENT ? EVENT_CLASS : 0);
}

static void sift_down(struct otrace_otlp_candidate *heap, uint32_t count, uint32_t at) {
    struct otrace_otlp_candidate moved = heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && heap[child + 1].key < heap[child].key) {
            child++;
        }
        if (heap[child].key >= moved.key) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static int offer(struct otrace_otlp *plan, uint32_t window_at, uint32_t level,
                 struct otrace_otlp_candidate candidate) {
    struct otrace_otlp_window *window = &plan->windows[window_at];
    window->calls++;
    plan->candidates++;
    if (level >= plan->options.max_depth) {
        return 0;
    }
    candidate.key |= LEVEL_MASK - (level < LEVEL_MASK ? level : LEVEL_MASK);
    struct otrace_otlp_candidate *heap = window->candidates;
    if (window->candidates_count == plan->options.max_spans) {
        if (candidate.key > heap[0].key) {
            heap[0] = candidate;
            sift_down(heap, window->candidates_count, 0);
        }
        return 0;
    }
    if (!otrace_otlp_grow(&window->candidates, sizeof candidate, window->candidates_count,
                          &window->candidates_capacity)) {
        return OTRACE_READ_NO_MEMORY;
    }
    heap = window->candidates;
    uint32_t at = window->candidates_count++;
    for (; at > 0 && heap[(at - 1) / 2].key > candidate.key; at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
    }
    heap[at] = candidate;
    return 0;
}

static int begin(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                 struct otrace_otlp_frame *parent) {
    (void)walk, (void)frame, (void)parent;
    return 0;
}

static int end(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
               struct otrace_otlp_frame *parent, const struct otrace_edge *edge) {
    uint32_t request = frame->request == OTRACE_OTLP_ROOT ? OTRACE_CALL_EVENT : 0;
    uint64_t rank = rank_of(edge->end_ns - edge->start_ns, edge->flags | request);
    if (request != 0 && walk->plan->options.requests) {
        rank = EVENT_CLASS | DURATION_MAX << LEVEL_BITS; /* tasks of a request may outlive it */
    }
    rank = rank > frame->best ? rank : frame->best;
    if (parent != NULL && parent->window == frame->window && parent->best < rank) {
        parent->best = rank;
    }
    struct otrace_otlp_candidate candidate = {rank, frame->index, walk->track};
    return offer(walk->plan, frame->window, frame->level, candidate);
}

static int open_call(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                     const struct otrace_edge *edge) {
    (void)walk, (void)frame, (void)edge;
    return 0;
}

static int beside(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *around,
                  const struct otrace_edge *edge) {
    uint64_t rank = rank_of(edge->end_ns - edge->start_ns, edge->flags);
    if (around != NULL && around->best < rank) {
        around->best = rank;
    }
    struct otrace_otlp_candidate candidate = {rank, edge->index, walk->track};
    return offer(walk->plan, walk->window, around == NULL ? 0 : around->level + 1, candidate);
}

static int mark(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *around,
                const struct otrace_edge *edge) {
    (void)walk, (void)around, (void)edge;
    return 0;
}

int otrace_otlp_measure(struct otrace_otlp *plan, uint32_t track) {
    static const struct otrace_otlp_visitor visitor = {true, begin, end, open_call, beside, mark};
    return otrace_otlp_walk_track(plan, track, &visitor);
}

static int by_place(const void *a, const void *b) {
    const struct otrace_otlp_candidate *one = a, *other = b;
    if (one->track != other->track) {
        return one->track < other->track ? -1 : 1;
    }
    return one->index < other->index ? -1 : one->index > other->index;
}

/* Over the budget, room is kept for siblings collapsed into one span. */
static uint32_t most_single(const struct otrace_otlp *plan, uint64_t calls) {
    uint32_t most = plan->options.max_spans;
    return calls > most ? most - most / 5 : most;
}

int otrace_otlp_select(struct otrace_otlp *plan) {
    for (uint32_t at = 0; at < plan->options.windows; at++) {
        struct otrace_otlp_window *window = &plan->windows[at];
        struct otrace_otlp_candidate *candidates = window->candidates;
        uint32_t most = most_single(plan, window->calls);
        while (window->candidates_count > most) {
            candidates[0] = candidates[--window->candidates_count];
            sift_down(candidates, window->candidates_count, 0);
        }
        if (window->candidates_count > 1) {
            qsort(candidates, window->candidates_count, sizeof *candidates, by_place);
        }
        for (uint32_t i = 0; i < window->candidates_count; i++) {
            struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, at, candidates[i].track);
            if (cell->end == 0) {
                cell->next = i;
            }
            cell->end = i + 1;
        }
    }
    return OTRACE_READ_OK;
}
