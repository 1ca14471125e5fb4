/* Spans as bytes. Field numbers are those of opentelemetry/proto/trace/v1/trace.proto. */
#include "read/otlp.h"

enum {
    SCOPE_SPANS_SPANS = 2,
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_SPAN_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_DROPPED_ATTRIBUTES = 10,
    SPAN_EVENTS = 11,
    SPAN_DROPPED_EVENTS = 12,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
    EVENT_TIME = 1,
    EVENT_NAME = 2,
    EVENT_ATTRIBUTES = 3,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3,
    STATUS_ERROR = 2,
    SPAN_LINKS = 13,
    LINK_TRACE_ID = 1,
    LINK_SPAN_ID = 2,
    LINK_FLAGS = 6,
    KIND_INTERNAL = 1,
};

/* W3C flag "sampled", and OTLP's "it is known whether the parent is remote": it is not. */
#define FLAGS_LOCAL_SAMPLED 0x101u

#define FRAGMENTS_MAX (1u << 20)

static uint64_t wall(const struct otrace_otlp *plan, int64_t ns) {
    return plan->options.base_wall_ns + (uint64_t)ns;
}

/* Name and code.* attributes of a function, behind the bytes that are there. */
static void put_function(struct otrace_bytes *to, const struct otrace_segment *segment,
                         uint32_t id) {
    struct otrace_name_info info;
    otrace_segment_get_name(segment, id, &info);
    if (info.display.size == 0) {
        info.display = (struct otrace_text){"unknown", 7};
    }
    otrace_wire_text(to, SPAN_NAME, info.display.text, info.display.size);
    if (info.kind == OTRACE_NAME_PYTHON || info.kind == OTRACE_NAME_C) {
        otrace_wire_key_text(to, SPAN_ATTRIBUTES, "code.function.name", info.display);
    }
    if (info.kind == OTRACE_NAME_PYTHON && info.file.size > 0) {
        otrace_wire_key_text(to, SPAN_ATTRIBUTES, "code.file.path", info.file);
        otrace_wire_key_number(to, SPAN_ATTRIBUTES, "code.line.number", OTRACE_ANY_INT, info.line);
    }
}

static uint32_t fragment_place(const struct otrace_otlp *plan, const struct otrace_segment *segment,
                               uint32_t id) {
    uint64_t hash = ((uint64_t)(uintptr_t)segment ^ id) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t mask = plan->fragments_capacity - 1, at = (uint32_t)(hash >> 32) & mask;
    while (plan->fragments[at].segment != NULL &&
           (plan->fragments[at].segment != segment || plan->fragments[at].id != id)) {
        at = (at + 1) & mask;
    }
    return at;
}

static bool grow_fragments(struct otrace_otlp *plan) {
    uint32_t old_capacity = plan->fragments_capacity;
    struct otrace_otlp_fragment *old = plan->fragments;
    if (2 * (plan->fragments_count + 1) <= old_capacity) {
        return true;
    }
    uint32_t capacity = old_capacity == 0 ? 256 : old_capacity * 2;
    struct otrace_otlp_fragment *places = calloc(capacity, sizeof *places);
    if (places == NULL) {
        return false;
    }
    plan->fragments = places;
    plan->fragments_capacity = capacity;
    for (uint32_t i = 0; i < old_capacity; i++) {
        if (old[i].segment != NULL) {
            places[fragment_place(plan, old[i].segment, old[i].id)] = old[i];
        }
    }
    free(old);
    return true;
}

static void put_cached_function(struct otrace_otlp *plan, const struct otrace_segment *segment,
                                uint32_t id) {
    struct otrace_bytes *to = &plan->output, *cache = &plan->fragment_bytes;
    if (plan->fragments_count >= FRAGMENTS_MAX || !grow_fragments(plan)) {
        put_function(to, segment, id);
        return;
    }
    struct otrace_otlp_fragment *fragment = &plan->fragments[fragment_place(plan, segment, id)];
    if (fragment->segment == NULL) {
        size_t offset = cache->size;
        put_function(cache, segment, id);
        if (cache->failed) {
            to->failed = true;
            return;
        }
        *fragment =
            (struct otrace_otlp_fragment){segment, id, (uint32_t)(cache->size - offset), offset};
        plan->fragments_count++;
    }
    otrace_wire_raw(to, cache->data + fragment->offset, fragment->size);
}

static void put_exception_event(struct otrace_bytes *to, uint64_t time, struct otrace_text type) {
    size_t begin = otrace_wire_open(to, SPAN_EVENTS);
    otrace_wire_fixed64(to, EVENT_TIME, time);
    otrace_wire_bytes(to, EVENT_NAME, "exception", 9);
    if (type.size > 0) {
        otrace_wire_key_text(to, EVENT_ATTRIBUTES, "exception.type", type);
    }
    otrace_wire_close(to, begin);
}

static void put_marks(struct otrace_otlp *plan, uint32_t window_at, uint32_t track,
                      const struct otrace_otlp_marks *marks) {
    static const char *const scopes[] = {"thread", "process", "global"};
    struct otrace_bytes *to = &plan->output;
    const struct otrace_otlp_window *window = &plan->windows[window_at];
    const struct otrace_segment *segment = plan->tracks[track].segment;
    for (uint32_t at = marks->first; at != OTRACE_OTLP_NONE; at = window->marks[at].next) {
        const struct otrace_otlp_mark *mark = &window->marks[at];
        struct otrace_name_info name;
        otrace_segment_get_name(segment, mark->name, &name);
        size_t begin = otrace_wire_open(to, SPAN_EVENTS);
        otrace_wire_fixed64(to, EVENT_TIME, wall(plan, mark->time_ns));
        otrace_wire_text(to, EVENT_NAME, name.display.text, name.display.size);
        struct otrace_attributes words = {plan->payload + mark->payload, mark->words};
        otrace_otlp_put_attributes(to, EVENT_ATTRIBUTES, segment, &words);
        if (mark->scope == OTRACE_SCOPE_PROCESS || mark->scope == OTRACE_SCOPE_GLOBAL) {
            const char *scope = scopes[mark->scope];
            struct otrace_text text = {scope, strlen(scope)};
            otrace_wire_key_text(to, EVENT_ATTRIBUTES, "otrace.scope", text);
        }
        otrace_wire_close(to, begin);
    }
}

static void put_flag(struct otrace_bytes *to, const char *key) {
    otrace_wire_key_number(to, SPAN_ATTRIBUTES, key, OTRACE_ANY_BOOL, 1);
}

/* What otrace knows of the call besides its function. */
static void put_facts(struct otrace_bytes *to, const struct otrace_otlp_span *span,
                      struct otrace_text exception) {
    static const struct {
        uint32_t flag;
        const char *key;
    } flags[] = {
        {OTRACE_CALL_CUT, "otrace.cut"},           {OTRACE_CALL_OPEN, "otrace.open"},
        {OTRACE_CALL_INFERRED, "otrace.inferred"}, {OTRACE_CALL_RESUMED, "otrace.resumed"},
        {OTRACE_CALL_THROWN, "otrace.thrown"},     {OTRACE_CALL_YIELDED, "otrace.yielded"},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (span->flags & flags[i].flag) {
            put_flag(to, flags[i].key);
        }
    }
    if (span->flags & OTRACE_CALL_UNWOUND && !(span->flags & OTRACE_OTLP_RAISED)) {
        if (exception.size == 0) {
            exception = (struct otrace_text){"unknown", 7};
        }
        otrace_wire_key_text(to, SPAN_ATTRIBUTES, "otrace.exception", exception);
    }
    if (span->flags & OTRACE_OTLP_AWAITED) {
        otrace_wire_key_number(to, SPAN_ATTRIBUTES, "otrace.running_ns", OTRACE_ANY_INT,
                               (uint64_t)span->running_ns);
        otrace_wire_key_number(to, SPAN_ATTRIBUTES, "otrace.awaits", OTRACE_ANY_INT, span->awaits);
    }
    if (span->count > 0) {
        otrace_wire_key_number(to, SPAN_ATTRIBUTES, "otrace.collapsed.count", OTRACE_ANY_INT,
                               span->count);
        otrace_wire_key_number(to, SPAN_ATTRIBUTES, "otrace.collapsed.total_ns", OTRACE_ANY_INT,
                               (uint64_t)span->total_ns);
    }
    if (span->left_out > 0) {
        otrace_wire_key_number(to, SPAN_ATTRIBUTES, "otrace.left_out", OTRACE_ANY_INT,
                               span->left_out);
    }
}

static void put_error(struct otrace_bytes *to, struct otrace_text exception) {
    size_t begin = otrace_wire_open(to, SPAN_STATUS);
    otrace_wire_text(to, STATUS_MESSAGE, exception.text, exception.size);
    otrace_wire_number(to, STATUS_CODE, STATUS_ERROR);
    otrace_wire_close(to, begin);
}

/* Of the root of a request: what the caller gave. Of the call that stands for it: where it is. */
static void put_request(struct otrace_otlp *plan, const struct otrace_otlp_span *span) {
    struct otrace_bytes *to = &plan->output;
    if (plan->options.requests) {
        otrace_wire_raw(to, plan->root_fields.data, plan->root_fields.size);
        return;
    }
    static const char digits[] = "0123456789abcdef";
    uint64_t trace_id[2], span_id;
    otrace_otlp_request_ids(&plan->tracks[span->track], span->request_tick, trace_id, &span_id);
    uint8_t bytes[16];
    char shown[32];
    memcpy(bytes, trace_id, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        shown[2 * i] = digits[bytes[i] >> 4];
        shown[2 * i + 1] = digits[bytes[i] & 15];
    }
    struct otrace_text text = {shown, sizeof shown};
    otrace_wire_key_text(to, SPAN_ATTRIBUTES, "otrace.request.trace_id", text);
    size_t link = otrace_wire_open(to, SPAN_LINKS);
    otrace_wire_bytes(to, LINK_TRACE_ID, (const char *)bytes, sizeof bytes);
    otrace_wire_bytes(to, LINK_SPAN_ID, (const char *)&span_id, sizeof span_id);
    otrace_wire_fixed32(to, LINK_FLAGS, FLAGS_LOCAL_SAMPLED);
    otrace_wire_close(to, link);
}

struct trace {
    const uint8_t *id;
    const char *state;
    size_t state_size;
};

static void put_span(struct otrace_otlp *plan, uint32_t window, const struct trace *trace,
                     const struct otrace_otlp_span *span) {
    struct otrace_bytes *to = &plan->output;
    const struct otrace_otlp_track *track = &plan->tracks[span->track];
    struct otrace_name_info exception = {0};
    if (span->flags & OTRACE_CALL_UNWOUND) {
        otrace_segment_get_name(track->segment, span->exception, &exception);
    }
    size_t begin = otrace_wire_open(to, SCOPE_SPANS_SPANS);
    otrace_wire_bytes(to, SPAN_TRACE_ID, (const char *)trace->id, 16);
    otrace_wire_bytes(to, SPAN_SPAN_ID, (const char *)&span->id, 8);
    if (trace->state_size > 0) {
        otrace_wire_text(to, SPAN_TRACE_STATE, trace->state, trace->state_size);
    }
    if (span->parent_id != 0) {
        otrace_wire_bytes(to, SPAN_PARENT_SPAN_ID, (const char *)&span->parent_id, 8);
    }
    put_cached_function(plan, track->segment, span->function);
    otrace_wire_number(to, SPAN_KIND, span->kind != 0 ? span->kind : KIND_INTERNAL);
    otrace_wire_fixed64(to, SPAN_START, wall(plan, span->start_ns));
    otrace_wire_fixed64(to, SPAN_END, wall(plan, span->end_ns));
    otrace_wire_raw(to, track->attributes, track->attributes_size);
    struct otrace_attributes words = {plan->payload + span->payload, span->begin_words};
    otrace_otlp_put_attributes(to, SPAN_ATTRIBUTES, track->segment, &words);
    words = (struct otrace_attributes){words.words + span->begin_words, span->end_words};
    otrace_otlp_put_attributes(to, SPAN_ATTRIBUTES, track->segment, &words);
    put_facts(to, span, exception.display);
    if (span->attributes_dropped > 0) {
        otrace_wire_number(to, SPAN_DROPPED_ATTRIBUTES, span->attributes_dropped);
    }
    put_marks(plan, window, span->track, &span->marks);
    if (span->flags & OTRACE_OTLP_RAISED) {
        put_exception_event(to, wall(plan, span->end_ns), exception.display);
    }
    if (span->marks.dropped > 0) {
        otrace_wire_number(to, SPAN_DROPPED_EVENTS, (uint32_t)span->marks.dropped);
    }
    if (span->flags & OTRACE_OTLP_ESCAPED) {
        put_error(to, exception.display);
    }
    if (span->request_tick != 0) {
        put_request(plan, span);
    }
    otrace_wire_fixed32(to, SPAN_FLAGS, FLAGS_LOCAL_SAMPLED);
    otrace_wire_close(to, begin);
}

/* Positions: a track's own spans from 0, then all collapsed ones of the window. */
static const struct otrace_otlp_span *next_span(const struct otrace_otlp *plan, uint32_t window_at,
                                                uint32_t track, uint64_t *position) {
    const struct otrace_otlp_window *window = &plan->windows[window_at];
    const struct otrace_otlp_cell *cell = otrace_otlp_cell(plan, window_at, track);
    uint32_t single = cell->spans_to - cell->spans_from;
    if (*position < single) {
        return &window->spans[cell->spans_from + (uint32_t)(*position)++];
    }
    while (*position - single < window->collapsed_count) {
        const struct otrace_otlp_span *span = &window->collapsed[(*position)++ - single];
        if (span->track == track) {
            return span;
        }
    }
    return NULL;
}

static int give(struct otrace_otlp *plan, struct otrace_otlp_block *block) {
    if (plan->output.failed) {
        return OTRACE_READ_NO_MEMORY;
    }
    block->bytes = plan->output.data;
    block->size = plan->output.size;
    return OTRACE_READ_OK;
}

int otrace_otlp_encode(struct otrace_otlp *plan, uint32_t window, uint32_t track,
                       const uint8_t *trace_id, const char *state, size_t state_size, size_t target,
                       uint64_t *position, struct otrace_otlp_block *block) {
    const struct trace trace = {trace_id, state, state_size};
    plan->output.size = 0;
    block->spans = 0;
    const struct otrace_otlp_span *span;
    while (plan->output.size < target && !plan->output.failed &&
           (span = next_span(plan, window, track, position)) != NULL) {
        put_span(plan, window, &trace, span);
        block->spans++;
    }
    return give(plan, block);
}

int otrace_otlp_encode_marks(struct otrace_otlp *plan, uint32_t window, uint32_t track,
                             struct otrace_otlp_block *block) {
    plan->output.size = 0;
    block->spans = 0;
    put_marks(plan, window, track, &otrace_otlp_cell(plan, window, track)->marks);
    return give(plan, block);
}
