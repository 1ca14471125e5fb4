/* A track's edges as a stack of frames, for both passes. */
#include "read/decoder.h"
#include "read/otlp_coroutines.h"

#define STOP 1 /* of visit: the part of the track ends here */

static struct otrace_otlp_frame *frame_below(struct otrace_otlp_walk *walk, uint32_t depth) {
    return depth > 0 ? otrace_otlp_frame_at(walk, depth - 1) : NULL;
}

/* A frame has its parent: what it is in is found, and the visitor told. */
static int enter(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                 struct otrace_otlp_frame *frame, struct otrace_otlp_frame *parent,
                 const struct otrace_edge *edge) {
    if (otrace_otlp_place(walk, frame, parent, edge) != 0) {
        return STOP;
    }
    walk->depth++;
    frame->level = parent != NULL && parent->window == frame->window ? parent->level + 1 : 0;
    return frame->window == OTRACE_OTLP_NONE ? 0 : visitor->begin(walk, frame, parent);
}

/* The first slice of a coroutine begins the call. */
static int begin_coroutine(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                           uint32_t at, const struct otrace_edge *edge) {
    struct otrace_edge begun = *edge;
    if (edge->flags & OTRACE_CALL_RESUMED && walk->plan->tracks[walk->track].range.from_tick > 0) {
        begun.start_tick = 0; /* before the part */
    }
    return enter(walk, visitor, &walk->coroutines->items[at].frame,
                 otrace_otlp_coroutine_parent(walk, at), &begun);
}

static int push(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                const struct otrace_edge *edge) {
    if (!otrace_otlp_grow(&walk->stack, sizeof *walk->stack, walk->depth, &walk->capacity)) {
        return OTRACE_READ_NO_MEMORY;
    }
    struct otrace_otlp_frame *frame = &walk->stack[walk->depth];
    *frame = (struct otrace_otlp_frame){
        .index = edge->index,
        .start_tick = edge->start_tick,
        .start_ns = edge->start_ns,
        .span = OTRACE_OTLP_NONE,
        .keeper = OTRACE_OTLP_NONE,
        .function = edge->id,
        .flags = edge->flags,
        .task = edge->task,
        .coroutine = OTRACE_OTLP_NONE,
        .coroutines = OTRACE_OTLP_NONE,
    };
    walk->begun = edge->index + 1;
    if (edge->activation == 0) {
        return enter(walk, visitor, frame, frame_below(walk, walk->depth), edge);
    }
    bool is_new;
    int status = otrace_otlp_coroutine_slice(walk, edge, &is_new);
    if (status != 0) {
        return status;
    }
    if (is_new) {
        return begin_coroutine(walk, visitor, frame->coroutine, edge);
    }
    if (frame->coroutine == OTRACE_OTLP_NONE) {
        return enter(walk, visitor, frame, frame_below(walk, walk->depth), edge);
    }
    walk->depth++;
    return 0;
}

static int tell_end(struct otrace_otlp_walk *walk, uint32_t at) {
    struct otrace_otlp_coroutine *item = &walk->coroutines->items[at];
    struct otrace_edge edge = otrace_otlp_coroutine_edge(item);
    return item->frame.window == OTRACE_OTLP_NONE
               ? 0
               : walk->visitor->end(walk, &item->frame, otrace_otlp_coroutine_parent(walk, at),
                                    &edge);
}

static void tell_move(struct otrace_otlp_walk *walk, uint32_t at) {
    struct otrace_otlp_frame *frame = &walk->coroutines->items[at].frame;
    const struct otrace_otlp_frame *parent = otrace_otlp_coroutine_parent(walk, at);
    frame->level = parent != NULL && parent->window == frame->window ? parent->level + 1 : 0;
    if (!walk->visitor->measures && frame->window != OTRACE_OTLP_NONE) {
        otrace_otlp_collect_moved(walk, frame, parent);
    }
}

static int pop(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
               const struct otrace_edge *edge) {
    struct otrace_otlp_frame *frame = &walk->stack[walk->depth - 1];
    if (frame->coroutine != OTRACE_OTLP_NONE) {
        walk->depth--;
        return otrace_otlp_coroutine_pause(walk, frame->coroutine, edge);
    }
    otrace_otlp_coroutines_move(walk, walk->depth - 1);
    walk->depth--;
    if (visitor->measures) {
        otrace_otlp_request_ended(walk, frame, edge);
    }
    return frame->window == OTRACE_OTLP_NONE
               ? 0
               : visitor->end(walk, frame, frame_below(walk, walk->depth), edge);
}

/* The top frame ends without an edge of its own. */
static int pop_silent(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor) {
    const struct otrace_otlp_frame *top = &walk->stack[walk->depth - 1];
    struct otrace_edge edge = {
        .kind = OTRACE_EDGE_END,
        .flags = top->flags,
        .id = top->function,
        .start_ns = top->start_ns,
        .end_ns = walk->now_ns > top->start_ns ? walk->now_ns : top->start_ns,
        .index = top->index,
    };
    return pop(walk, visitor, &edge);
}

static int end(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
               const struct otrace_edge *edge) {
    uint32_t at = walk->depth;
    while (at > 0 && walk->stack[at - 1].index != edge->index) {
        at--;
    }
    if (at == 0) {
        return 0; /* its beginning was never told */
    }
    while (walk->depth > at) {
        int status = pop_silent(walk, visitor);
        if (status != 0) {
            return status;
        }
    }
    return pop(walk, visitor, edge);
}

/* The innermost frame that is open, was when the event began, and will be when it ends. */
static struct otrace_otlp_frame *around_event(struct otrace_otlp_walk *walk,
                                              const struct otrace_edge *edge) {
    for (uint32_t at = edge->end_ns <= walk->now_ns ? walk->depth : 0; at > 0; at--) {
        struct otrace_otlp_frame *frame = otrace_otlp_frame_at(walk, at - 1);
        if (frame->start_ns <= edge->start_ns) {
            return frame;
        }
    }
    return NULL;
}

/* When calls that never ended are said to have ended: later than anything in the track. */
static int64_t open_end(const struct otrace_otlp_walk *walk, const struct otrace_edge *edge) {
    int64_t end_ns = walk->plan->tracks[walk->track].open_end_ns;
    return end_ns > edge->end_ns ? end_ns : edge->end_ns + 1;
}

static int visit_event(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                       const struct otrace_edge *edge) {
    struct otrace_edge event = *edge;
    if (edge->flags & OTRACE_CALL_OPEN) {
        event.end_ns = open_end(walk, edge);
    }
    struct otrace_otlp_frame *around = around_event(walk, edge);
    walk->window = otrace_otlp_window_in(walk, around, edge);
    if (walk->window == OTRACE_OTLP_NONE) {
        return 0;
    }
    around = around != NULL && around->window == walk->window ? around : NULL;
    return visitor->beside(walk, around, &event);
}

static int visit_mark(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                      const struct otrace_edge *edge) {
    struct otrace_otlp_frame *around = frame_below(walk, walk->depth);
    walk->now_ns = edge->start_ns;
    walk->window = otrace_otlp_window_in(walk, around, edge);
    return walk->window == OTRACE_OTLP_NONE ? 0 : visitor->mark(walk, around, edge);
}

static int visit(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                 const struct otrace_edge *edge, uint32_t *open_at) {
    switch (edge->kind) {
    case OTRACE_EDGE_BEGIN:
        walk->now_ns = edge->start_ns;
        walk->last_tick = edge->start_tick;
        return push(walk, visitor, edge);
    case OTRACE_EDGE_END:
        walk->now_ns = edge->end_ns;
        return end(walk, visitor, edge);
    case OTRACE_EDGE_OPEN:
        while (*open_at < walk->depth && walk->stack[*open_at].index != edge->index) {
            ++*open_at;
        }
        if (*open_at == walk->depth) {
            return 0;
        }
        walk->stack[*open_at].flags = edge->flags;
        walk->now_ns = open_end(walk, edge);
        if (walk->stack[*open_at].coroutine != OTRACE_OTLP_NONE ||
            walk->stack[*open_at].window == OTRACE_OTLP_NONE) {
            return 0;
        }
        return visitor->open(walk, &walk->stack[*open_at], edge);
    case OTRACE_EDGE_EVENT:
        return visit_event(walk, visitor, edge);
    case OTRACE_EDGE_TASK:
        return otrace_otlp_task_told(walk, edge);
    default:
        return visit_mark(walk, visitor, edge);
    }
}

/* Whether the part of the track ends before this edge. */
static bool is_behind(const struct otrace_otlp_walk *walk, const struct otrace_edge *edge) {
    const struct otrace_otlp_track *track = &walk->plan->tracks[walk->track];
    bool is_part = walk->plan->options.requests || track->range.until_tick > 0;
    switch (edge->kind) {
    case OTRACE_EDGE_END:
        return edge->end_ns > walk->until_ns;
    case OTRACE_EDGE_EVENT:
        return is_part && !track->range.open && edge->flags & OTRACE_CALL_OPEN;
    case OTRACE_EDGE_OPEN:
        return is_part && !track->range.open;
    default:
        return track->range.until_tick > 0 && edge->start_tick >= track->range.until_tick;
    }
}

/* What is open where the part ends goes on. */
static void leave_open(struct otrace_otlp_walk *walk) {
    const struct otrace_otlp_track *track = &walk->plan->tracks[walk->track];
    int64_t end_ns = track->open_end_ns;
    walk->now_ns = end_ns > walk->now_ns ? end_ns : walk->now_ns;
    for (uint32_t at = 0; at < walk->depth; at++) {
        walk->stack[at].flags |= OTRACE_CALL_OPEN;
    }
}

static int visit_all(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                     struct otrace_decoder *decoder) {
    struct otrace_otlp_track *track = &walk->plan->tracks[walk->track];
    struct otrace_edge edge;
    uint32_t open_at = 0;
    uint64_t edges = 0;
    int status;
    while ((status = otrace_decoder_next(decoder, &edge)) > 0) {
        if (is_behind(walk, &edge) || (!visitor->measures && edges == track->edges)) {
            status = STOP;
            break;
        }
        status = visit(walk, visitor, &edge, &open_at);
        if (status != 0) {
            break;
        }
        edges++;
    }
    if (status == STOP) {
        leave_open(walk);
        status = 0;
    }
    if (visitor->measures) {
        track->edges = edges;
    }
    if (status == 0) {
        int64_t end_ns = track->open_end_ns;
        status = otrace_otlp_coroutines_leave(walk, end_ns > walk->now_ns ? end_ns : walk->now_ns);
    }
    while (status == 0 && walk->depth > 0) {
        status = pop_silent(walk, visitor);
    }
    return status == 0 ? otrace_otlp_coroutines_finish(walk) : status;
}

/* Chunks that were there in pass 1 must still be there. */
static int check_chunks(struct otrace_otlp_track *track, const struct otrace_decoder *decoder,
                        bool measures) {
    struct otrace_decode_counts counts;
    otrace_decoder_counts(decoder, &counts);
    if (measures) {
        track->taken_over = counts.taken_over;
    }
    return counts.taken_over == track->taken_over ? 0 : OTRACE_READ_TAKEN_OVER;
}

int otrace_otlp_walk_track(struct otrace_otlp *plan, uint32_t track,
                           const struct otrace_otlp_visitor *visitor) {
    if (track >= plan->tracks_count) {
        return OTRACE_READ_ARGUMENT;
    }
    if (plan->capture != NULL) {
        return otrace_otlp_capture_walk(plan, track, visitor);
    }
    struct otrace_otlp_track *source = &plan->tracks[track];
    struct otrace_otlp_coroutines coroutines;
    struct otrace_otlp_walk walk = {
        .plan = plan,
        .track = track,
        .visitor = visitor,
        .coroutines = &coroutines,
        .tell_end = tell_end,
        .tell_move = tell_move,
        .measures = visitor->measures,
    };
    uint64_t until = source->range.until_tick;
    walk.until_ns = until == 0 ? INT64_MAX : otrace_clock_convert(source->clock, until);
    struct otrace_decoder *decoder;
    int status = otrace_decoder_new(source->segment, source->index, source->clock,
                                    OTRACE_DECODE_BEGINS | OTRACE_DECODE_TASKS, &decoder);
    if (status != 0) {
        return status;
    }
    otrace_otlp_coroutines_init(&coroutines);
    struct otrace_track part;
    otrace_otlp_part_of(source, &part);
    otrace_decoder_limit(decoder, &part);
    plan->next_tick = visitor->measures ? 0 : plan->next_tick;
    status = visit_all(&walk, visitor, decoder);
    if (visitor->measures) {
        otrace_otlp_requests_settle(&walk);
    }
    if (visitor->measures && plan->next_tick == 0) {
        bool none = walk.last_tick < source->range.from_tick;
        plan->next_tick = none ? source->range.from_tick : walk.last_tick + 1;
    }
    if (status == 0) {
        status = check_chunks(source, decoder, visitor->measures);
    }
    otrace_decoder_free(decoder);
    otrace_otlp_coroutines_free(&coroutines);
    free(walk.stack);
    return status;
}
