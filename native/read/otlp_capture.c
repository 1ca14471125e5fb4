/* One trace of a service: a walk that shows the visitors only the calls made while one of its spans
 * was current, each with the parent that it has in the trace.
 *
 * A call belongs to the span that was current when it began, its owner. Its parent is the innermost
 * open call of the same owner, or else the owner: for the visitors a span is a frame that is always
 * there (`spans`), whose own span stands in the window before those of calls. */
#include "api_capture.h"
#include "read/decoder.h"
#include "read/otlp.h"

#define NONE OTRACE_OTLP_NONE
#define SPANS_MAX (1u << 16)
#define ROUNDING_NS 2000 /* viewers count whole microseconds */

struct otrace_otlp_capture {
    struct otrace_capture_span *spans;
    uint32_t *parents; /* numbers of spans, or NONE */
    uint32_t *openers; /* span of the call that opened it, in the window, or NONE */
    uint32_t count;
    uint32_t *places; /* a hash table: 1 + number of a span by its id */
    uint32_t places_mask;
    int64_t start_ns, end_ns;
    int64_t last_ns; /* no call is shown to start or end later */
};

struct capture_walk {
    struct otrace_otlp_walk walk;
    struct otrace_otlp_capture *capture;
    const struct otrace_otlp_visitor *visitor;
    struct otrace_otlp_frame *spans; /* of the capture's spans */
    uint32_t *owners, *parents; /* of the stack's frames; parents: place in the stack, or NONE */
    uint32_t owners_capacity, parents_capacity;
    uint32_t current;
    uint32_t base; /* depth down to which no frame belongs to `current`; NONE: not known */
};

void otrace_otlp_capture_free(struct otrace_otlp_capture *capture) {
    if (capture != NULL) {
        free(capture->spans);
        free(capture->parents);
        free(capture->openers);
        free(capture->places);
        free(capture);
    }
}

/* ---- the spans of the trace ---- */

static uint32_t *place_of(const struct otrace_otlp_capture *capture, uint64_t id) {
    uint32_t at = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 40) & capture->places_mask;
    while (capture->places[at] != 0 && capture->spans[capture->places[at] - 1].id != id) {
        at = (at + 1) & capture->places_mask;
    }
    return &capture->places[at];
}

static uint32_t number_of(const struct otrace_otlp_capture *capture, uint64_t id) {
    uint32_t found = id == 0 ? 0 : *place_of(capture, id);
    return found == 0 ? NONE : found - 1;
}

static bool fill(struct otrace_otlp_capture *capture, const struct otrace_capture_span *spans,
                 uint32_t count) {
    uint32_t places = 16;
    while (places < 2 * count) {
        places *= 2;
    }
    capture->places_mask = places - 1;
    capture->places = calloc(places, sizeof *capture->places);
    capture->spans = malloc(count * sizeof *capture->spans);
    capture->parents = malloc(count * sizeof *capture->parents);
    capture->openers = malloc(count * sizeof *capture->openers);
    if (capture->places == NULL || capture->spans == NULL || capture->parents == NULL ||
        capture->openers == NULL) {
        return false;
    }
    memcpy(capture->spans, spans, count * sizeof *spans);
    capture->count = count;
    for (uint32_t i = 0; i < count; i++) {
        *place_of(capture, spans[i].id) = i + 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t parent = number_of(capture, spans[i].parent_id);
        capture->parents[i] = parent < i ? parent : NONE; /* so that no circle can be */
        capture->openers[i] = NONE;
    }
    return true;
}

/* Their places in the window come before all calls'. They are not encoded. */
static bool add_spans(struct otrace_otlp *plan) {
    struct otrace_otlp_window *window = &plan->windows[0];
    for (uint32_t i = 0; i < plan->capture->count; i++) {
        if (!otrace_otlp_grow(&window->spans, sizeof *window->spans, window->spans_count,
                              &window->spans_capacity)) {
            return false;
        }
        window->spans[window->spans_count++] = (struct otrace_otlp_span){
            .id = __builtin_bswap64(plan->capture->spans[i].id), /* ids go out as bytes */
            .keeper = NONE,
            .marks = {.first = NONE, .last = NONE},
        };
    }
    return true;
}

int otrace_capture_limit(struct otrace_otlp *plan, const struct otrace_capture_span *spans,
                         uint32_t count, int64_t start_ns, int64_t end_ns) {
    if (plan->options.windows != 1 || plan->tracks_count != 0 || plan->capture != NULL ||
        count == 0 || count > SPANS_MAX) {
        return OTRACE_READ_ARGUMENT;
    }
    plan->capture = calloc(1, sizeof *plan->capture);
    if (plan->capture == NULL || !fill(plan->capture, spans, count) || !add_spans(plan)) {
        return OTRACE_READ_NO_MEMORY;
    }
    plan->capture->start_ns = start_ns;
    plan->capture->end_ns = end_ns;
    plan->capture->last_ns = end_ns - ROUNDING_NS > start_ns ? end_ns - ROUNDING_NS : start_ns;
    return OTRACE_READ_OK;
}

uint64_t otrace_capture_opener(const struct otrace_otlp *plan, uint32_t number, uint32_t *track) {
    const struct otrace_otlp_capture *capture = plan->capture;
    if (capture == NULL || number >= capture->count || capture->openers[number] == NONE) {
        return 0;
    }
    const struct otrace_otlp_span *span = &plan->windows[0].spans[capture->openers[number]];
    *track = span->track;
    return span->id;
}

/* ---- a part of a track ---- */

/* The entries of a track that may hold records of this time: first and behind the last. */
static void entries_in(const struct otrace_segment *segment, const struct otrace_track *track,
                       const struct otrace_clock *clock, int64_t start_ns, int64_t end_ns,
                       uint32_t *from, uint32_t *to) {
    const struct otrace_chunk_entry *entries = segment->entries + track->first_entry;
    uint32_t at = 0, end = 0;
    while (end < track->entries &&
           otrace_clock_convert(clock, entries[end].anchor.tick) <= end_ns) {
        end++;
    }
    while (at + 1 < end && otrace_clock_convert(clock, entries[at + 1].anchor.tick) <= start_ns) {
        at++;
    }
    *from = at;
    *to = end;
}

uint32_t otrace_capture_tracks(const struct otrace_segment *segment,
                               const struct otrace_clock *clock, int64_t start_ns, int64_t end_ns,
                               uint32_t *indices, uint32_t capacity) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < segment->tracks_count && count < capacity; i++) {
        const struct otrace_track *track = &segment->tracks[i];
        if (track->entries == 0) {
            continue;
        }
        uint64_t ended = track->thread == NULL ? 0 : track->thread->end_tick;
        uint32_t from, to;
        entries_in(segment, track, clock, start_ns, end_ns, &from, &to);
        if (from < to && (ended == 0 || otrace_clock_convert(clock, ended) >= start_ns)) {
            indices[count++] = i;
        }
    }
    return count;
}

/* ---- the walk ---- */

static struct otrace_otlp_frame *parent_at(struct capture_walk *self, uint32_t at) {
    uint32_t parent = self->parents[at];
    return parent == NONE ? &self->spans[self->owners[at]] : &self->walk.stack[parent];
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

static int push(struct capture_walk *self, const struct otrace_edge *edge) {
    struct otrace_otlp_walk *walk = &self->walk;
    if (!otrace_otlp_grow(&walk->stack, sizeof *walk->stack, walk->depth, &walk->capacity) ||
        !otrace_otlp_grow(&self->owners, sizeof *self->owners, walk->depth,
                          &self->owners_capacity) ||
        !otrace_otlp_grow(&self->parents, sizeof *self->parents, walk->depth,
                          &self->parents_capacity)) {
        return OTRACE_READ_NO_MEMORY;
    }
    uint32_t owner = self->current, at = walk->depth, parent = NONE;
    if (edge->flags & OTRACE_CALL_EVENT || edge->start_ns > self->capture->end_ns) {
        owner = NONE; /* an event is a span of its own in a service */
    } else if (edge->flags & OTRACE_CALL_CUT) {
        owner = owner_of_cut(self, edge->start_ns);
        parent = innermost(self, owner, at);
    } else if (owner != NONE) {
        parent = parent_now(self);
    }
    self->owners[at] = owner;
    self->parents[at] = parent;
    walk->stack[at] = (struct otrace_otlp_frame){
        .index = edge->index,
        .start_ns = shown(self, edge->start_ns),
        .span = NONE,
        .keeper = NONE,
        .function = edge->id,
        .flags = edge->flags,
    };
    walk->depth++;
    if (owner == NONE) {
        return 0;
    }
    struct otrace_otlp_frame *around = parent_at(self, at);
    walk->stack[at].level = around->level + 1;
    return self->visitor->begin(walk, &walk->stack[at], around);
}

/* The call that ends its trace's root, and those around it, go on a little longer: for the trace
 * they are open at its end. */
static int pop(struct capture_walk *self, const struct otrace_edge *ended) {
    struct otrace_edge edge = *ended;
    if (edge.end_ns > self->capture->end_ns) {
        edge.flags |= OTRACE_CALL_OPEN;
    }
    edge.start_ns = shown(self, edge.start_ns);
    edge.end_ns = shown(self, edge.end_ns);
    uint32_t at = --self->walk.depth;
    if (self->base != NONE && self->base > at) {
        self->base = NONE;
    }
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
    uint32_t number = number_of(self->capture, id);
    uint32_t parent = number == NONE ? NONE : self->capture->parents[number];
    uint32_t at = parent == NONE ? NONE : innermost(self, parent, self->walk.depth);
    while (at != NONE && is_plumbing(self, self->walk.stack[at].function)) {
        at = innermost(self, parent, at);
    }
    if (at != NONE) {
        const struct otrace_otlp_frame *frame = &self->walk.stack[at];
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
        self->current = number_of(self->capture, edge->index);
        self->base = NONE;
        return 0;
    case OTRACE_EDGE_SPAN_BEGIN:
        note_opener(self, edge->index);
        return 0;
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
    while (status == 0 && self->walk.depth > 0) {
        status = pop_silent(self);
    }
    return status;
}

static bool begin_spans(struct capture_walk *self) {
    uint32_t count = self->capture->count;
    self->spans = calloc(count, sizeof *self->spans);
    for (uint32_t i = 0; self->spans != NULL && i < count; i++) {
        self->spans[i] = (struct otrace_otlp_frame){.span = i, .keeper = NONE};
    }
    return self->spans != NULL;
}

int otrace_otlp_capture_walk(struct otrace_otlp *plan, uint32_t number,
                             const struct otrace_otlp_visitor *visitor) {
    struct capture_walk self = {
        .walk = {.plan = plan, .track = number},
        .capture = plan->capture,
        .visitor = visitor,
        .current = NONE,
        .base = NONE,
    };
    const struct otrace_otlp_track *source = &plan->tracks[number];
    struct otrace_decoder *decoder;
    int status = otrace_decoder_new(source->segment, source->index, source->clock,
                                    OTRACE_DECODE_BEGINS | OTRACE_DECODE_SPANS | OTRACE_DECODE_ALL,
                                    &decoder);
    if (status != 0) {
        return status;
    }
    struct otrace_track part = *decoder->track;
    uint32_t from, to;
    entries_in(source->segment, &part, source->clock, plan->capture->start_ns,
               plan->capture->end_ns, &from, &to);
    part.first_entry += from;
    part.entries = to - from;
    decoder->track = &part;
    status = begin_spans(&self) ? walk_edges(&self, decoder) : OTRACE_READ_NO_MEMORY;
    otrace_decoder_free(decoder);
    free(self.walk.stack);
    free(self.owners);
    free(self.parents);
    free(self.spans);
    return status;
}
