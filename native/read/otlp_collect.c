/* Pass 2: the spans of the calls that pass 1 chose, and an account of all others. */
#include "read/otlp_coroutines.h"

static struct otrace_otlp_span *span_at(struct otrace_otlp *plan, uint32_t window, uint32_t at) {
    return &plan->windows[window].spans[at];
}

/* Whether the call of this index was chosen; they are asked for in order of their indices. */
static bool is_chosen(const struct otrace_otlp_window *window, struct otrace_otlp_cell *cell,
                      uint64_t index) {
    while (cell->next < cell->end && window->candidates[cell->next].index < index) {
        cell->next++;
    }
    return cell->next < cell->end && window->candidates[cell->next].index == index;
}

/* The same in any order: an event that does not nest is told of when it ends. */
static bool is_chosen_late(const struct otrace_otlp_window *window, uint32_t track,
                           uint64_t index) {
    uint32_t low = 0, high = window->candidates_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct otrace_otlp_candidate *at = &window->candidates[middle];
        if (at->track < track || (at->track == track && at->index < index)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < window->candidates_count && window->candidates[low].track == track &&
           window->candidates[low].index == index;
}

/* The nearest span at or around a frame, NONE: the thread's. */
static uint32_t keeper_of(const struct otrace_otlp_frame *frame, uint32_t window) {
    if (frame == NULL || frame->window != window) {
        return OTRACE_OTLP_NONE;
    }
    return frame->span != OTRACE_OTLP_NONE ? frame->span : frame->keeper;
}

/* Adds a span to its window; NONE when memory is missing. */
static uint32_t add_span(struct otrace_otlp_walk *walk, uint32_t window_at, uint64_t index,
                         uint32_t keeper) {
    struct otrace_otlp *plan = walk->plan;
    struct otrace_otlp_window *window = &plan->windows[window_at];
    struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, window_at, walk->track);
    if (!otrace_otlp_grow(&window->spans, sizeof *window->spans, window->spans_count,
                          &window->spans_capacity)) {
        return OTRACE_OTLP_NONE;
    }
    uint32_t at = window->spans_count++;
    window->spans[at] = (struct otrace_otlp_span){
        .id = otrace_otlp_call_id(plan, walk->track, index),
        .parent_id = keeper == OTRACE_OTLP_NONE ? cell->part.span_id : window->spans[keeper].id,
        .track = walk->track,
        .keeper = keeper,
        .marks = {.first = OTRACE_OTLP_NONE, .last = OTRACE_OTLP_NONE},
    };
    if (cell->part.spans++ == 0) {
        cell->spans_from = at;
    }
    cell->spans_to = at + 1;
    return at;
}

static bool add_payload(struct otrace_otlp *plan, const struct otrace_attributes *attributes) {
    if (attributes->count == 0) {
        return true;
    }
    if (attributes->count > OTRACE_OTLP_PAYLOAD_MAX - plan->payload_words) {
        return false;
    }
    uint64_t need = plan->payload_words + attributes->count;
    if (need > plan->payload_capacity) {
        void *grown = realloc(plan->payload, 2 * need * sizeof *plan->payload);
        if (grown == NULL) {
            return false;
        }
        plan->payload = grown;
        plan->payload_capacity = 2 * need;
    }
    memcpy(plan->payload + plan->payload_words, attributes->words,
           attributes->count * sizeof *plan->payload);
    plan->payload_words = need;
    return true;
}

static void keep_attributes(struct otrace_otlp *plan, struct otrace_otlp_span *span,
                            const struct otrace_edge *edge) {
    span->payload = plan->payload_words;
    if (add_payload(plan, &edge->begin_attributes)) {
        span->begin_words = edge->begin_attributes.count;
    } else {
        span->attributes_dropped++;
    }
    if (add_payload(plan, &edge->end_attributes)) {
        span->end_words = edge->end_attributes.count;
    } else {
        span->attributes_dropped++;
    }
}

static void fill_span(struct otrace_otlp_span *span, const struct otrace_edge *edge) {
    span->start_ns = edge->start_ns;
    /* Receivers complain about spans that take no time. */
    span->end_ns = edge->end_ns > edge->start_ns ? edge->end_ns : edge->start_ns + 1;
    span->function = edge->id;
    span->exception = edge->exception;
    span->flags |= edge->flags;
}

static void extend(struct otrace_otlp_part *part, int64_t first_ns, int64_t last_ns) {
    if (part->first_ns < 0 || first_ns < part->first_ns) {
        part->first_ns = first_ns;
    }
    if (last_ns > part->last_ns) {
        part->last_ns = last_ns;
    }
}

static bool is_one_of(struct otrace_text text, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (text.size == strlen(names[i]) && memcmp(text.text, names[i], text.size) == 0) {
            return true;
        }
    }
    return false;
}

#define COUNT(names) (sizeof(names) / sizeof *(names))

/* A cancelled coroutine is no error: nobody wanted its result. */
static bool is_cancellation(struct otrace_text qualified) {
    static const char *const names[] = {"CancelledError", "Cancelled"};
    return is_one_of(qualified, names, COUNT(names));
}

/* Whether an exception that left this call left the program's own code in the thread. Of a thread
 * it is `run` that it leaves, of a request's trace the request; the interpreter's start-up code is
 * not the program's. */
static bool is_escape(const struct otrace_otlp_walk *walk, const struct otrace_otlp_frame *frame,
                      const struct otrace_otlp_frame *parent, const struct otrace_edge *edge) {
    static const char *const orderly[] = {"SystemExit", "GeneratorExit", "StopIteration"};
    static const char *const startup[] = {"zipimport", "_frozen_importlib",
                                          "_frozen_importlib_external", "importlib._bootstrap",
                                          "importlib._bootstrap_external"};
    static const char *const runner[] = {"threading.Thread._bootstrap_inner"};
    const struct otrace_segment *segment = walk->plan->tracks[walk->track].segment;
    struct otrace_name_info info;
    bool is_request = walk->plan->options.requests && frame->request == OTRACE_OTLP_ROOT;
    if (parent != NULL && !is_request) {
        if (walk->depth > 2) {
            return false;
        }
        otrace_segment_get_name(segment, parent->function, &info);
        if (!is_one_of(info.display, runner, COUNT(runner))) {
            return false;
        }
    }
    otrace_segment_get_name(segment, edge->id, &info);
    if (is_one_of(info.module, startup, COUNT(startup))) {
        return false;
    }
    if (edge->exception == 0) { /* on 3.11 types are not known: it may be SystemExit */
        return parent != NULL;
    }
    otrace_segment_get_name(segment, edge->exception, &info);
    return !is_one_of(info.qualified, orderly, COUNT(orderly)) &&
           !(frame->coroutine != OTRACE_OTLP_NONE && is_cancellation(info.qualified));
}

/* The first call of a window is made by one of an earlier window: the two are to be linked. */
static void note_inside(const struct otrace_otlp *plan, struct otrace_otlp_part *part,
                        const struct otrace_otlp_frame *parent) {
    uint32_t around = keeper_of(parent, parent->window);
    if (around != OTRACE_OTLP_NONE) {
        part->inside = plan->windows[parent->window].spans[around].id;
        part->inside_window = parent->window;
    }
}

/* The root of its own trace, or the call that stands for that trace in another one. */
static void mark_request(struct otrace_otlp *plan, const struct otrace_otlp_frame *frame,
                         uint32_t track) {
    struct otrace_otlp_span *span = span_at(plan, frame->window, frame->span);
    span->request_tick = frame->start_tick;
    if (plan->options.requests) {
        uint64_t trace_id[2];
        otrace_otlp_request_ids(&plan->tracks[track], frame->start_tick, trace_id, &span->id);
        span->parent_id = 0;
        span->kind = frame->kind;
    }
}

static int begin(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                 struct otrace_otlp_frame *parent) {
    struct otrace_otlp *plan = walk->plan;
    struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, frame->window, walk->track);
    if (cell->part.calls++ == 0 && parent != NULL && parent->window != frame->window &&
        parent->window != OTRACE_OTLP_NONE) {
        note_inside(plan, &cell->part, parent);
    }
    frame->keeper = keeper_of(parent, frame->window);
    if (is_chosen(&plan->windows[frame->window], cell, frame->index)) {
        frame->span = add_span(walk, frame->window, frame->index, frame->keeper);
        if (frame->span == OTRACE_OTLP_NONE) {
            return OTRACE_READ_NO_MEMORY;
        }
        if (frame->request == OTRACE_OTLP_ROOT) {
            mark_request(plan, frame, walk->track);
        }
        return 0;
    }
    return 0;
}

/* Bits about the exception that the call was left by, and a note for the call around it. */
static uint32_t judge_exception(struct otrace_otlp_walk *walk,
                                const struct otrace_otlp_frame *frame,
                                struct otrace_otlp_frame *parent, const struct otrace_edge *edge) {
    bool unwound = edge->flags & OTRACE_CALL_UNWOUND;
    if (parent != NULL) {
        parent->caught = unwound ? edge->exception + 1 : 0;
    }
    if (!unwound) {
        return 0;
    }
    /* No hook tells what a C call raises: the event belongs to the call that it left next. */
    bool untold = edge->exception == 0 && edge->flags & OTRACE_CALL_C;
    bool passing = frame->caught == edge->exception + 1;
    uint32_t bits = untold || passing ? 0 : OTRACE_OTLP_RAISED;
    if (is_escape(walk, frame, parent, edge)) {
        bits |= OTRACE_OTLP_ESCAPED;
        if (frame->coroutine == OTRACE_OTLP_NONE) { /* a task's failure is not its thread's */
            struct otrace_otlp_cell *cell =
                otrace_otlp_cell(walk->plan, frame->window, walk->track);
            cell->part.escaped = 1;
            cell->part.exception = edge->exception;
        }
    }
    return bits;
}

static int end(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
               struct otrace_otlp_frame *parent, const struct otrace_edge *edge) {
    struct otrace_otlp *plan = walk->plan;
    struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, frame->window, walk->track);
    extend(&cell->part, edge->start_ns, edge->end_ns);
    uint32_t bits = judge_exception(walk, frame, parent, edge);
    if (frame->span != OTRACE_OTLP_NONE) {
        struct otrace_otlp_span *span = span_at(plan, frame->window, frame->span);
        fill_span(span, edge);
        span->flags |= bits;
        if (frame->coroutine != OTRACE_OTLP_NONE) {
            const struct otrace_otlp_coroutine *call = &walk->coroutines->items[frame->coroutine];
            span->flags |= OTRACE_OTLP_AWAITED;
            span->running_ns = call->running_ns;
            span->awaits = call->awaits;
        }
        if (edge->begin_attributes.count > 0 || edge->end_attributes.count > 0) {
            keep_attributes(plan, span, edge);
        }
        return 0;
    }
    bool direct =
        parent == NULL || parent->window != frame->window || parent->span != OTRACE_OTLP_NONE;
    if (direct) {
        otrace_otlp_groups_add(plan, walk->track, frame->window, frame->keeper, edge);
    } else {
        otrace_otlp_leave_out(plan, frame->window, walk->track, frame->keeper, 1);
    }
    return 0;
}

void otrace_otlp_collect_moved(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                               const struct otrace_otlp_frame *parent) {
    struct otrace_otlp_window *window = &walk->plan->windows[frame->window];
    uint32_t keeper = keeper_of(parent, frame->window);
    if (keeper == OTRACE_OTLP_NONE && walk->plan->options.requests) {
        return; /* the request that it belongs to has ended */
    }
    frame->keeper = keeper;
    bool is_root = walk->plan->options.requests && frame->request == OTRACE_OTLP_ROOT;
    if (frame->span != OTRACE_OTLP_NONE && !is_root) {
        struct otrace_otlp_span *span = &window->spans[frame->span];
        span->keeper = frame->keeper;
        span->parent_id =
            frame->keeper != OTRACE_OTLP_NONE
                ? window->spans[frame->keeper].id
                : otrace_otlp_cell(walk->plan, frame->window, walk->track)->part.span_id;
    }
}

static int open_call(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                     const struct otrace_edge *edge) {
    if (frame->span != OTRACE_OTLP_NONE) {
        keep_attributes(walk->plan, span_at(walk->plan, frame->window, frame->span), edge);
    }
    return 0;
}

static int beside(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *around,
                  const struct otrace_edge *edge) {
    struct otrace_otlp *plan = walk->plan;
    uint32_t window = walk->window;
    struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, window, walk->track);
    uint32_t keeper = keeper_of(around, window);
    cell->part.calls++;
    extend(&cell->part, edge->start_ns, edge->end_ns);
    if (!is_chosen_late(&plan->windows[window], walk->track, edge->index)) {
        otrace_otlp_leave_out(plan, window, walk->track, keeper, 1);
        return 0;
    }
    uint32_t at = add_span(walk, window, edge->index, keeper);
    if (at == OTRACE_OTLP_NONE) {
        return OTRACE_READ_NO_MEMORY;
    }
    struct otrace_otlp_span *span = span_at(plan, window, at);
    fill_span(span, edge);
    span->flags |= OTRACE_CALL_DETACHED;
    if (edge->flags & OTRACE_CALL_UNWOUND) {
        span->flags |= OTRACE_OTLP_RAISED;
    }
    keep_attributes(plan, span, edge);
    return 0;
}

static int mark(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *around,
                const struct otrace_edge *edge) {
    struct otrace_otlp *plan = walk->plan;
    uint32_t window_at = walk->window;
    struct otrace_otlp_window *window = &plan->windows[window_at];
    struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, window_at, walk->track);
    uint32_t keeper = keeper_of(around, window_at);
    struct otrace_otlp_marks *marks =
        keeper == OTRACE_OTLP_NONE ? &cell->marks : &window->spans[keeper].marks;
    extend(&cell->part, edge->start_ns, edge->start_ns);
    uint64_t payload = plan->payload_words;
    if (marks->count >= OTRACE_OTLP_MARKS_MAX || window->marks_count >= plan->options.max_spans ||
        !add_payload(plan, &edge->begin_attributes)) {
        marks->dropped++;
        return 0;
    }
    if (!otrace_otlp_grow(&window->marks, sizeof *window->marks, window->marks_count,
                          &window->marks_capacity)) {
        return OTRACE_READ_NO_MEMORY;
    }
    uint32_t at = window->marks_count++;
    window->marks[at] = (struct otrace_otlp_mark){
        edge->start_ns,
        payload,
        edge->begin_attributes.count,
        edge->id,
        OTRACE_OTLP_NONE,
        edge->kind == OTRACE_EDGE_INSTANT ? edge->scope : OTRACE_SCOPE_THREAD};
    if (marks->count++ == 0) {
        marks->first = at;
    } else {
        window->marks[marks->last].next = at;
    }
    marks->last = at;
    return 0;
}

int otrace_otlp_collect(struct otrace_otlp *plan, uint32_t track) {
    static const struct otrace_otlp_visitor visitor = {false, begin, end, open_call, beside, mark};
    int status = otrace_otlp_groups_begin(plan);
    if (status == 0) {
        status = otrace_otlp_walk_track(plan, track, &visitor);
    }
    return status == 0 ? otrace_otlp_groups_end(plan, track) : status;
}

int otrace_otlp_finish(struct otrace_otlp *plan) {
    for (uint32_t at = 0; at < plan->options.windows; at++) {
        struct otrace_otlp_window *window = &plan->windows[at];
        uint32_t spans = window->spans_count, most = plan->options.max_spans;
        otrace_otlp_groups_trim(plan, at, spans < most ? most - spans : 0);
    }
    return OTRACE_READ_OK;
}
