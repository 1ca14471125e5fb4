/* Records of several words: resynchronising the stack, pauses, instants and counters. */
#include "read/decoder.h"

static bool is_open_record(const otrace_word *word, const otrace_word *end) {
    return word < end && otrace_word_kind(*word) == OTRACE_EXTENDED &&
           otrace_word_sub(*word) == OTRACE_X_OPEN && otrace_record_words(word, end) != 0;
}

static bool is_open_event(const otrace_word *word) {
    return (otrace_record_flags(*word) & 0xf) == OTRACE_OPEN_EVENT && (*word & 0xffff) >= 5;
}

/* Whether an OPEN record tells of this frame. */
static bool same_call(const struct otrace_frame *frame, const otrace_word *open) {
    if (frame->flags & OTRACE_CALL_EVENT) {
        return is_open_event(open) && frame->instance == open[1];
    }
    return !is_open_event(open) && frame->id == open[1] &&
           frame->start_tick == otrace_words_tick(open + 2);
}

struct comparison {
    const otrace_word *open; /* the first OPEN record that tells of no frame */
    uint32_t told, kept;     /* OPEN records in all; frames that are still open */
    uint32_t left;           /* OPEN records from `open` on */
};

static bool is_open_c_call(const otrace_word *word) {
    return (otrace_record_flags(*word) & 0xf) == OTRACE_C_BEGIN;
}

static const otrace_word *behind(const otrace_word *word) {
    return word + (*word & 0xffff);
}

/* Whether an OPEN record tells of nothing that belongs on the stack: an event that is known not
 * to nest, or a C call that ended without a word, since another C call was made after it. */
static bool is_beside(const struct otrace_decoder *decoder, const otrace_word *open,
                      uint32_t left) {
    if (is_open_event(open)) {
        const struct otrace_event *event = otrace_events_find(&decoder->events, open[1]);
        return event != NULL && event->position == 0;
    }
    return left > 1 && is_open_c_call(open) && is_open_c_call(behind(open));
}

/* Compares the stack with the OPEN records behind a SYNC, both outermost first. */
static struct comparison compare(const struct otrace_decoder *decoder, const otrace_word *sync,
                                 uint32_t words) {
    const struct otrace_decoder_core *core = &decoder->core;
    struct comparison result = {.open = sync + words};
    const otrace_word *word = result.open;
    for (; result.told < sync[3] && is_open_record(word, decoder->chunk_end); word = behind(word)) {
        result.told++;
    }
    result.left = result.told;
    uint32_t at = 1;
    for (;;) {
        if (result.left > 0 && is_beside(decoder, result.open, result.left)) {
            result.open = behind(result.open);
            result.left--;
        } else if (at > core->depth) {
            break;
        } else if (result.left > 0 && same_call(&core->stack[at], result.open)) {
            result.open = behind(result.open);
            result.left--;
            at++;
        } else if (result.left == 0 && result.told < sync[3] && !decoder->gap) {
            at++; /* the innermost calls were left out of the records: believe the stack */
        } else {
            break;
        }
    }
    result.kept = at - 1;
    return result;
}

/* Spans of OpenTelemetry's; 0 where nobody wants to know. */
static int span(const struct otrace_decoder *decoder, struct otrace_edge *edge,
                enum otrace_edge_kind kind, uint64_t id, int64_t ns) {
    *edge = (struct otrace_edge){
        .kind = kind, .depth = decoder->core.depth, .start_ns = ns, .end_ns = ns, .index = id};
    return (decoder->options & OTRACE_DECODE_SPANS) != 0;
}

static int span_record(struct otrace_decoder *decoder, struct otrace_edge *edge, uint32_t words) {
    struct otrace_decoder_core *core = &decoder->core;
    const otrace_word *record = core->position;
    core->tick = otrace_words_tick(record + 1);
    core->position += words;
    core->last_ns = otrace_decoder_convert(decoder, core->tick);
    enum otrace_edge_kind kind = otrace_word_sub(*record) == OTRACE_X_SPAN_BEGIN
                                     ? OTRACE_EDGE_SPAN_BEGIN
                                     : OTRACE_EDGE_SPAN_CURRENT;
    return span(decoder, edge, kind, otrace_words_tick(record + 3), core->last_ns);
}

static int sync(struct otrace_decoder *decoder, struct otrace_edge *edge, uint32_t words) {
    struct otrace_decoder_core *core = &decoder->core;
    const otrace_word *record = core->position;
    struct comparison compared = compare(decoder, record, words);
    if (compared.kept < core->depth) {
        /* Not open any more: closed when the thread was last seen. Then this record again. */
        otrace_decoder_close(decoder, compared.kept, core->last_ns, false);
        return 0;
    }
    core->tick = otrace_words_tick(record + 1);
    decoder->sync_ns = otrace_decoder_convert(decoder, core->tick);
    decoder->sync_left = compared.left;
    core->position = compared.open;
    if (compared.left == 0 && compared.told < record[3] && decoder->gap) {
        otrace_decoder_push_phantom(decoder, record[3] - compared.told);
    }
    decoder->phantom =
        compared.left > 0 && compared.told < record[3] ? record[3] - compared.told : 0;
    decoder->gap = false;
    uint64_t current = words >= 6 ? otrace_words_tick(record + 4) : 0;
    return span(decoder, edge, OTRACE_EDGE_SPAN_CURRENT, current, decoder->sync_ns);
}

/* Puts the call of an OPEN record on the stack: 1 an edge, 0 none, or a status. */
static int push_open(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    struct otrace_decoder_core *core = &decoder->core;
    const otrace_word *record = core->position;
    uint32_t kind = otrace_record_flags(*record) & 0xf;
    uint32_t flags = OTRACE_CALL_CUT | (kind == OTRACE_C_BEGIN  ? OTRACE_CALL_C
                                        : kind == OTRACE_RESUME ? OTRACE_CALL_RESUMED
                                                                : 0u);
    int64_t ns = otrace_decoder_convert(decoder, otrace_words_tick(record + 2));
    ns = otrace_decoder_advance(decoder, ns < decoder->sync_ns ? ns : decoder->sync_ns);
    struct otrace_frame *frame = otrace_decoder_push(core, record[1], flags, ns);
    frame->start_tick = otrace_words_tick(record + 2);
    if ((*record & 0xffff) >= 6) {
        frame->activation = record[4];
        frame->task = record[5] != 0 ? record[5] : frame->task;
    }
    otrace_edge_fill(edge, frame, OTRACE_EDGE_BEGIN, core->depth, ns);
    return core->begins;
}

/* A call that is open and not on the stack: its beginning was overwritten, or not recorded. */
static int open_call(struct otrace_decoder *decoder, struct otrace_edge *edge, uint32_t words) {
    struct otrace_decoder_core *core = &decoder->core;
    const otrace_word *record = core->position;
    int told = 0;
    if (decoder->sync_left > 0 && !is_beside(decoder, record, decoder->sync_left)) {
        told = otrace_decoder_reserve(decoder);
        if (told == 0) {
            otrace_decoder_push_phantom(decoder, 1);
        } else if (told > 0) {
            told = is_open_event(record) ? otrace_decoder_event_open(decoder, edge)
                                         : push_open(decoder, edge);
        }
    }
    core->position += words;
    if (decoder->sync_left > 0 && --decoder->sync_left == 0 && decoder->phantom > 0) {
        otrace_decoder_push_phantom(decoder, decoder->phantom);
    }
    return told;
}

/* Instants and counters: tick, name, attributes. */
static int mark(struct otrace_decoder *decoder, struct otrace_edge *edge, uint32_t words) {
    struct otrace_decoder_core *core = &decoder->core;
    const otrace_word *record = core->position;
    core->tick = otrace_words_tick(record + 1);
    core->position += words;
    int64_t ns = otrace_decoder_convert(decoder, core->tick);
    core->last_ns = ns;
    *edge = (struct otrace_edge){
        .kind = otrace_word_sub(*record) == OTRACE_X_INSTANT ? OTRACE_EDGE_INSTANT
                                                             : OTRACE_EDGE_COUNTER,
        .id = record[3],
        .depth = core->depth,
        .task = core->stack[core->depth].task,
        .scope = otrace_record_flags(*record),
        .start_ns = ns,
        .end_ns = ns,
        .start_tick = core->tick,
        .parent = (int64_t)core->stack[core->depth].index,
        .begin_attributes = {record + 4, words - 4},
    };
    return 1;
}

static int flow(struct otrace_decoder *decoder, struct otrace_edge *edge, uint32_t words) {
    struct otrace_decoder_core *core = &decoder->core;
    const otrace_word *record = core->position;
    core->tick = otrace_words_tick(record + 1);
    core->position += words;
    core->last_ns = otrace_decoder_convert(decoder, core->tick);
    *edge = (struct otrace_edge){
        .kind = OTRACE_EDGE_FLOW,
        .flow = record[3],
        .depth = core->depth,
        .task = core->stack[core->depth].task,
        .start_ns = core->last_ns,
        .end_ns = core->last_ns,
        .parent = (int64_t)core->stack[core->depth].index,
    };
    return (decoder->options & OTRACE_DECODE_FLOWS) != 0;
}

/* A record that is handed on as it is, from behind its tick. */
static int whole(struct otrace_decoder *decoder, struct otrace_edge *edge, uint32_t words,
                 enum otrace_edge_kind kind, uint32_t option) {
    struct otrace_decoder_core *core = &decoder->core;
    const otrace_word *record = core->position;
    core->tick = otrace_words_tick(record + 1);
    core->position += words;
    int64_t ns = otrace_decoder_convert(decoder, core->tick);
    core->last_ns = ns;
    *edge = (struct otrace_edge){
        .kind = kind,
        .task = core->stack[core->depth].task,
        .scope = otrace_record_flags(*record),
        .start_ns = ns,
        .end_ns = ns,
        .parent = (int64_t)core->stack[core->depth].index,
        .begin_attributes = {record + 3, words - 3},
    };
    return (decoder->options & option) != 0;
}

int otrace_decoder_record(struct otrace_decoder *decoder, struct otrace_edge *edge,
                          uint32_t words) {
    struct otrace_decoder_core *core = &decoder->core;
    switch (otrace_word_sub(*core->position)) {
    case OTRACE_X_TICK:
        core->tick = otrace_words_tick(core->position + 1);
        break;
    case OTRACE_X_PAUSE:
        core->tick = otrace_words_tick(core->position + 1);
        core->last_ns = otrace_decoder_convert(decoder, core->tick);
        break;
    case OTRACE_X_SYNC:
        return sync(decoder, edge, words);
    case OTRACE_X_OPEN:
        return open_call(decoder, edge, words);
    case OTRACE_X_EVENT_BEGIN:
        return otrace_decoder_event_begin(decoder, edge, words);
    case OTRACE_X_EVENT_END:
        return otrace_decoder_event_end(decoder, edge, words);
    case OTRACE_X_INSTANT:
    case OTRACE_X_COUNTER:
        return mark(decoder, edge, words);
    case OTRACE_X_FLOW:
        return flow(decoder, edge, words);
    case OTRACE_X_SPAN_BEGIN:
    case OTRACE_X_SPAN_CURRENT:
        return span_record(decoder, edge, words);
    case OTRACE_X_TASK_INFO:
        return whole(decoder, edge, words, OTRACE_EDGE_TASK, OTRACE_DECODE_TASKS);
    case OTRACE_X_SPAN_END:
        return whole(decoder, edge, words, OTRACE_EDGE_SPAN_END, OTRACE_DECODE_SPAN_ENDS);
    default: /* of a later format */
        break;
    }
    core->position += words;
    return 0;
}
