/* One trace of a service: a walk that shows the visitors only the calls made while one of its spans
 * was current, each with the parent that it has in the trace.
 *
 * A call belongs to the span that was current when it began, its owner; of a coroutine's call its
 * first start counts. Its parent is the innermost open call of the same owner, or else the owner:
 * for the visitors a span is a frame that is always there (`spans`), whose own span stands in the
 * window before those of calls. */
#include "read/decoder.h"
#include "read/otlp_capture.h"

#define NONE OTRACE_OTLP_NONE
#define LOOKED_AT 4096u /* frames, for the parent of a coroutine */

struct capture_walk {
    struct otrace_otlp_walk walk;
    struct otrace_otlp_capture *capture;
    const struct otrace_otlp_visitor *visitor;
    struct otrace_otlp_frame *spans; /* of the capture's spans */
    uint32_t *owners, *parents; /* of the stack's frames; parents: place in the stack, or NONE */
    bool reaches_back;          /* all calls that began in the time of the capture are there */
    uint32_t owners_capacity, parents_capacity;
    uint32_t current;
    uint32_t base; /* depth down to which no frame belongs to `current`; NONE: not known */
};

static struct otrace_otlp_frame *parent_at(struct capture_walk *self, uint32_t at) {
    uint32_t parent = self->parents[at];
    return parent == NONE ? &self->spans[self->owners[at]]
                          : otrace_otlp_frame_at(&self->walk, parent);
}

/* The same of a coroutine: the innermost call around it, on the stack or not, of its owner. */
static struct otrace_otlp_frame *parent_of(struct capture_walk *self, uint32_t at) {
    struct otrace_otlp_coroutine *items = self->walk.coroutines->items;
    uint32_t owner = items[at].owner, around = items[at].around, place = items[at].place;
    for (uint32_t most = LOOKED_AT; most > 0 && (around != NONE || place != NONE); most--) {
        if (around != NONE) {
            if (items[around].owner == owner) {
                return &items[around].frame;
            }
            place = items[around].place;
            around = items[around].around;
        } else {
            if (self->owners[place] == owner) {
                return &self->walk.stack[place];
            }
            place = place == 0 ? NONE : place - 1;
            around = place == NONE ? NONE : self->walk.stack[place].coroutine;
        }
    }
    return &self->spans[owner];
}

/* The place of the innermost open call that belongs to `owner`, from `depth` down; or NONE. */
static uint32_t innermost(const struct capture_walk *self, uint32_t owner, uint32_t depth) {
    while (depth > 0 && self->owners[depth - 1] != owner) {
        depth--;
    }
    return depth > 0 ? depth - 1 : NONE;
}

/* The same for the current span. What lay below when it became current is searched once. */
static uint32_t parent_now(struct capture_walk *self) {
    uint32_t depth = self->walk.depth;
    if (depth > 0 && self->owners[depth - 1] == self->current) {
        return depth - 1;
    }
    if (self->base > depth) {
        uint32_t found = innermost(self, self->current, depth);
        self->base = found == NONE ? 0 : found + 1;
    }
    return self->base > 0 ? self->base - 1 : NONE;
}

/* A call whose beginning was overwritten belongs to the innermost of the spans open now that it
 * began after. */
static uint32_t owner_of_cut(const struct capture_walk *self, int64_t start_ns) {
    uint32_t owner = self->current;
    while (owner != NONE && self->capture->spans[owner].start_ns > start_ns) {
        owner = self->capture->parents[owner];
    }
    return owner;
}

static int64_t shown(const struct capture_walk *self, int64_t time_ns) {
    return time_ns < self->capture->last_ns ? time_ns : self->capture->last_ns;
}

static uint32_t owner_now(const struct capture_walk *self, const struct otrace_edge *edge) {
    if (edge->flags & OTRACE_CALL_EVENT || edge->start_ns > self->capture->end_ns) {
        return NONE; /* an event is a span of its own in a service */
    }
    if (edge->activation != 0 && edge->flags & OTRACE_CALL_RESUMED && self->reaches_back) {
        return NONE; /* it began before */
    }
    return edge->flags & OTRACE_CALL_CUT ? owner_of_cut(self, edge->start_ns) : self->current;
}

/* The frame has its owner and, if it is a coroutine's, its place: the visitor is told. */
static int enter(struct capture_walk *self, struct otrace_otlp_frame *frame,
                 struct otrace_otlp_frame *parent) {
    frame->start_ns = shown(self, frame->start_ns);
    frame->window = 0;
    frame->level = parent->level + 1;
    return self->visitor->begin(&self->walk, frame, parent);
}

static int push_slice(struct capture_walk *self, const struct otrace_edge *edge) {
    struct otrace_otlp_walk *walk = &self->walk;
    struct otrace_otlp_frame *slice = &walk->stack[walk->depth];
    bool is_new;
    int status = otrace_otlp_coroutine_slice(walk, edge, &is_new);
    if (status != 0 || slice->coroutine == NONE) {
        return status;
    }
    struct otrace_otlp_coroutine *item = &walk->coroutines->items[slice->coroutine];
    if (is_new) {
        item->owner = owner_now(self, edge);
    }
    self->owners[walk->depth++] = item->owner;
    if (is_new && item->owner != NONE) {
        return enter(self, &item->frame, parent_of(self, slice->coroutine));
    }
    return 0;
}

static bool make_room(struct capture_walk *self) {
    struct otrace_otlp_walk *walk = &self->walk;
    return otrace_otlp_grow(&walk->stack, sizeof *walk->stack, walk->depth, &walk->capacity) &&
           otrace_otlp_grow(&self->owners, sizeof *self->owners, walk->depth,
                            &self->owners_capacity) &&
           otrace_otlp_grow(&self->parents, sizeof *self->parents, walk->depth,
                            &self->parents_capacity);
}

static int push(struct capture_walk *self, const struct otrace_edge *edge) {
    struct otrace_otlp_walk *walk = &self->walk;
    if (!make_room(self)) {
        return OTRACE_READ_NO_MEMORY;
    }
    uint32_t at = walk->depth;
    self->owners[at] = self->parents[at] = NONE;
    walk->stack[at] = (struct otrace_otlp_frame){
        .index = edge->index,
        .start_ns = edge->start_ns,
        .span = NONE,
        .keeper = NONE,
        .function = edge->id,
        .flags = edge->flags,
        .task = edge->task,
        .coroutine = NONE,
        .coroutines = NONE,
    };
    walk->begun = edge->index + 1;
    if (edge->activation != 0) {
        int status = push_slice(self, edge);
        if (status != 0 || walk->depth > at) {
            return status;
        }
    }
    uint32_t owner = self->owners[at] = owner_now(self, edge);
    if (owner != NONE) {
        bool cut = edge->flags & OTRACE_CALL_CUT;
        self->parents[at] = cut ? innermost(self, owner, at) : parent_now(self);
    }
    walk->depth++;
    return owner == NONE ? 0 : enter(self, &walk->stack[at], parent_at(self, at));
}

/* The call that ends its trace's root, and those around it, go on a little longer: for the trace
 * they are open at its end. */
static struct otrace_edge shown_end(const struct capture_walk *self,
                                    const struct otrace_edge *ended) {
    struct otrace_edge edge = *ended;
    if (edge.end_ns > self->capture->end_ns) {
        edge.flags |= OTRACE_CALL_OPEN;
    }
    edge.start_ns = shown(self, edge.start_ns);
    edge.end_ns = shown(self, edge.end_ns);
    return edge;
}

static int tell_end(struct otrace_otlp_walk *walk, uint32_t at) {
    struct capture_walk *self = (struct capture_walk *)walk;
    struct otrace_otlp_coroutine *item = &walk->coroutines->items[at];
    struct otrace_edge told = otrace_otlp_coroutine_edge(item), edge = shown_end(self, &told);
    return item->owner == NONE ? 0
                               : self->visitor->end(walk, &item->frame, parent_of(self, at), &edge);
}

static void tell_move(struct otrace_otlp_walk *walk, uint32_t at) {
    struct capture_walk *self = (struct capture_walk *)walk;
    struct otrace_otlp_coroutine *item = &walk->coroutines->items[at];
    if (item->owner != NONE && !self->visitor->measures) {
        otrace_otlp_collect_moved(walk, &item->frame, parent_of(self, at));
    }
}

static int pop(struct capture_walk *self, const struct otrace_edge *ended) {
    uint32_t at = self->walk.depth - 1, coroutine = self->walk.stack[at].coroutine;
    if (self->base != NONE && self->base > at) {
        self->base = NONE;
    }
    if (coroutine == NONE) {
        otrace_otlp_coroutines_move(&self->walk, at);
    }
    self->walk.depth--;
    if (coroutine != NONE) {
        return otrace_otlp_coroutine_pause(&self->walk, coroutine, ended);
    }
    struct otrace_edge edge = shown_end(self, ended);
    if (self->owners[at] == NONE) {
        return 0;
    }
    return self->visitor->end(&self->walk, &self->walk.stack[at], parent_at(self, at), &edge);
}

/* The top frame ends without an edge of its own: it was open when the segment was read. */
static int pop_silent(struct capture_walk *self) {
    const struct otrace_otlp_frame *top = &self->walk.stack[self->walk.depth - 1];
    int64_t end_ns = self->walk.plan->tracks[self->walk.track].open_end_ns;
    struct otrace_edge edge = {
        .kind = OTRACE_EDGE_END,
        .flags = top->flags | OTRACE_CALL_OPEN,
        .id = top->function,
        .start_ns = top->start_ns,
        .end_ns = end_ns > top->start_ns ? end_ns : top->start_ns,
        .index = top->index,
    };
    return pop(self, &edge);
}

static int end(struct capture_walk *self, const struct otrace_edge *edge) {
    uint32_t at = self->walk.depth;
    while (at > 0 && self->walk.stack[at - 1].index != edge->index) {
        at--;
    }
    int status = 0;
    while (at > 0 && self->walk.depth > at && status == 0) {
        status = pop_silent(self);
    }
    return at > 0 && status == 0 ? pop(self, edge) : status;
}

/* Whether a call is OpenTelemetry's own, or of what its context managers are made of. */
static bool is_plumbing(const struct capture_walk *self, uint32_t function) {
    static const char *const modules[] = {"opentelemetry", "contextlib"};
    struct otrace_name_info info;
    otrace_segment_get_name(self->walk.plan->tracks[self->walk.track].segment, function, &info);
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        size_t size = strlen(modules[i]);
        if (info.module.size >= size && memcmp(info.module.text, modules[i], size) == 0) {
            return true;
        }
    }
    return false;
}

/* A span was opened: by the innermost call that belongs to its parent. What that call's span is,
 * only the second pass knows. */
static void note_opener(struct capture_walk *self, uint64_t id) {
    uint32_t number = otrace_otlp_capture_number(self->capture, id);
    uint32_t parent = number == NONE ? NONE : self->capture->parents[number];
    uint32_t at = parent == NONE ? NONE : innermost(self, parent, self->walk.depth);
    while (at != NONE && is_plumbing(self, self->walk.stack[at].function)) {
        at = innermost(self, parent, at);
    }
    if (at != NONE) {
        const struct otrace_otlp_frame *frame = otrace_otlp_frame_at(&self->walk, at);
        uint32_t span = frame->span != NONE ? frame->span : frame->keeper;
        self->spans[number].level = frame->level + 1;
        self->capture->openers[number] = span != NONE && span >= self->capture->count ? span : NONE;
    }
}

static int visit(struct capture_walk *self, const struct otrace_edge *edge) {
    switch (edge->kind) {
    case OTRACE_EDGE_BEGIN:
        return push(self, edge);
    case OTRACE_EDGE_END:
        return end(self, edge);
    case OTRACE_EDGE_SPAN_CURRENT:
        self->current = otrace_otlp_capture_number(self->capture, edge->index);
        self->base = NONE;
        return 0;
    case OTRACE_EDGE_SPAN_BEGIN:
        note_opener(self, edge->index);
        return 0;
    case OTRACE_EDGE_TASK:
        return otrace_otlp_task_told(&self->walk, edge);
    default:
        return 0;
    }
}

static int walk_edges(struct capture_walk *self, struct otrace_decoder *decoder) {
    struct otrace_edge edge;
    int status = 0;
    while (status == 0 && (status = otrace_decoder_next(decoder, &edge)) > 0) {
        status = visit(self, &edge);
    }
    if (status == 0) {
        int64_t end_ns = self->walk.plan->tracks[self->walk.track].open_end_ns;
        status = otrace_otlp_coroutines_leave(&self->walk, end_ns);
    }
    while (status == 0 && self->walk.depth > 0) {
        status = pop_silent(self);
    }
    return status == 0 ? otrace_otlp_coroutines_finish(&self->walk) : status;
}

static bool begin_spans(struct capture_walk *self) {
    uint32_t count = self->capture->count;
    self->spans = calloc(count, sizeof *self->spans);
    for (uint32_t i = 0; self->spans != NULL && i < count; i++) {
        self->spans[i] = (struct otrace_otlp_frame){
            .span = i, .keeper = NONE, .coroutine = NONE, .coroutines = NONE};
    }
    return self->spans != NULL;
}

int otrace_otlp_capture_walk(struct otrace_otlp *plan, uint32_t number,
                             const struct otrace_otlp_visitor *visitor) {
    struct otrace_otlp_coroutines coroutines;
    otrace_otlp_coroutines_init(&coroutines);
    struct capture_walk self = {
        .walk = {.plan = plan,
                 .track = number,
                 .visitor = visitor,
                 .coroutines = &coroutines,
                 .tell_end = tell_end,
                 .tell_move = tell_move},
        .capture = plan->capture,
        .visitor = visitor,
        .current = NONE,
        .base = NONE,
    };
    const struct otrace_otlp_track *source = &plan->tracks[number];
    struct otrace_decoder *decoder;
    int status = otrace_decoder_new(source->segment, source->index, source->clock,
                                    OTRACE_DECODE_BEGINS | OTRACE_DECODE_SPANS |
                                        OTRACE_DECODE_TASKS | OTRACE_DECODE_ALL,
                                    &decoder);
    if (status != 0) {
        return status;
    }
    struct otrace_track part = *decoder->track;
    uint32_t from, to;
    otrace_otlp_entries_in(source->segment, &part, source->clock, plan->capture->start_ns,
                           plan->capture->end_ns, &from, &to);
    const struct otrace_chunk_entry *first = source->segment->entries + part.first_entry + from;
    self.reaches_back =
        from < to && (from > 0 || otrace_clock_convert(source->clock, first->anchor.tick) <=
                                      plan->capture->start_ns);
    part.first_entry += from;
    part.entries = to - from;
    decoder->track = &part;
    status = begin_spans(&self) ? walk_edges(&self, decoder) : OTRACE_READ_NO_MEMORY;
    otrace_decoder_free(decoder);
    otrace_otlp_coroutines_free(&coroutines);
    free(self.walk.stack);
    free(self.owners);
    free(self.parents);
    free(self.spans);
    return status;
}
