/* A track's edges as a stack of frames, for both passes. */
#include "read/otlp.h"

static struct otrace_otlp_frame *frame_below(struct otrace_otlp_walk *walk, uint32_t depth) {
    return depth > 0 ? &walk->stack[depth - 1] : NULL;
}

static int push(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                const struct otrace_edge *edge) {
    if (!otrace_otlp_grow(&walk->stack, sizeof *walk->stack, walk->depth, &walk->capacity)) {
        return OTRACE_READ_NO_MEMORY;
    }
    struct otrace_otlp_frame *frame = &walk->stack[walk->depth];
    struct otrace_otlp_frame *parent = frame_below(walk, walk->depth);
    walk->depth++;
    *frame = (struct otrace_otlp_frame){
        .index = edge->index,
        .start_ns = edge->start_ns,
        .window = otrace_otlp_window_at(walk->plan, edge->start_ns),
        .span = OTRACE_OTLP_NONE,
        .keeper = OTRACE_OTLP_NONE,
        .function = edge->id,
        .flags = edge->flags,
    };
    frame->level = parent != NULL && parent->window == frame->window ? parent->level + 1 : 0;
    return visitor->begin(walk, frame, parent);
}

static int pop(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
               const struct otrace_edge *edge) {
    walk->depth--;
    return visitor->end(walk, &walk->stack[walk->depth], frame_below(walk, walk->depth), edge);
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
    uint32_t window = otrace_otlp_window_at(walk->plan, edge->start_ns);
    for (uint32_t at = edge->end_ns <= walk->now_ns ? walk->depth : 0; at > 0; at--) {
        struct otrace_otlp_frame *frame = &walk->stack[at - 1];
        if (frame->start_ns <= edge->start_ns) {
            return frame->window == window ? frame : NULL;
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
    return visitor->beside(walk, around_event(walk, edge), &event);
}

static int visit(struct otrace_otlp_walk *walk, const struct otrace_otlp_visitor *visitor,
                 const struct otrace_edge *edge, uint32_t *open_at) {
    switch (edge->kind) {
    case OTRACE_EDGE_BEGIN:
        walk->now_ns = edge->start_ns;
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
        return visitor->open(walk, &walk->stack[*open_at], edge);
    case OTRACE_EDGE_EVENT:
        return visit_event(walk, visitor, edge);
    default:
        walk->now_ns = edge->start_ns;
        return visitor->mark(walk, frame_below(walk, walk->depth), edge);
    }
}

int otrace_otlp_walk_track(struct otrace_otlp *plan, uint32_t track,
                           const struct otrace_otlp_visitor *visitor) {
    if (track >= plan->tracks_count) {
        return OTRACE_READ_ARGUMENT;
    }
    if (plan->capture != NULL) {
        return otrace_otlp_capture_walk(plan, track, visitor);
    }
    struct otrace_otlp_walk walk = {.plan = plan, .track = track};
    const struct otrace_otlp_track *source = &plan->tracks[track];
    struct otrace_decoder *decoder;
    int status = otrace_decoder_new(source->segment, source->index, source->clock,
                                    OTRACE_DECODE_BEGINS, &decoder);
    if (status != 0) {
        return status;
    }
    struct otrace_edge edge;
    uint32_t open_at = 0;
    while (status == 0 && (status = otrace_decoder_next(decoder, &edge)) > 0) {
        status = visit(&walk, visitor, &edge, &open_at);
    }
    while (status == 0 && walk.depth > 0) {
        status = pop_silent(&walk, visitor);
    }
    otrace_decoder_free(decoder);
    free(walk.stack);
    return status;
}
