/* Chunks of one thread, in order, and the calls in them. */
#include "read/decode.h"

#include <stdlib.h>
#include <string.h>

#include "read/decoder.h"

#define SEARCH_CREDIT_FIRST (UINT64_C(1) << 20)
#define SEARCH_CREDIT_WORD 64u
#define STACK_FIRST 256u

int otrace_decoder_new(struct otrace_segment *segment, uint32_t track_index,
                       const struct otrace_clock *clock, uint32_t options,
                       struct otrace_decoder **out) {
    *out = NULL;
    if (track_index >= segment->tracks_count) {
        return OTRACE_READ_ARGUMENT;
    }
    struct otrace_decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    decoder->segment = segment;
    decoder->track = &segment->tracks[track_index];
    decoder->track_index = track_index;
    decoder->clock = clock;
    decoder->options = options;
    decoder->search_credit = SEARCH_CREDIT_FIRST;
    decoder->close_to = UINT32_MAX;
    decoder->counts.first_ns = decoder->counts.last_ns = -1;
    struct otrace_decoder_core *core = &decoder->core;
    bool all = options & (OTRACE_DECODE_SCOUT | OTRACE_DECODE_ALL);
    core->begins = options & OTRACE_DECODE_BEGINS;
    core->min_ns = all ? 0 : (int64_t)segment->header.min_duration_ns;
    core->last_ns = -1;
    core->piece = *otrace_clock_find(clock, 0);
    core->capacity = STACK_FIRST;
    core->stack = malloc((STACK_FIRST + 2) * sizeof *core->stack); /* sentinel, last phantom */
    decoder->chunk = malloc(segment->header.chunk_size);
    int status = core->stack == NULL || decoder->chunk == NULL ? OTRACE_READ_NO_MEMORY : 0;
    if (status == 0) {
        core->stack[0] = (struct otrace_frame){.index = UINT64_MAX, .flags = OTRACE_CALL_EVENT};
        if (core->begins && core->min_ns > 0) {
            status =
                otrace_lookahead_new(segment, track_index, clock, options, &decoder->lookahead);
        }
    }
    if (status != 0) {
        otrace_decoder_free(decoder);
        return status;
    }
    *out = decoder;
    return OTRACE_READ_OK;
}

void otrace_decoder_free(struct otrace_decoder *decoder) {
    if (decoder == NULL) {
        return;
    }
    otrace_lookahead_free(decoder->lookahead);
    otrace_instances_free(&decoder->detached);
    otrace_events_free(&decoder->events);
    free(decoder->retired);
    free(decoder->core.stack);
    free(decoder->chunk);
    free(decoder);
}

void otrace_decoder_counts(const struct otrace_decoder *decoder,
                           struct otrace_decode_counts *counts) {
    if (decoder->lookahead != NULL) {
        otrace_lookahead_counts(decoder->lookahead, counts);
        return;
    }
    *counts = decoder->counts;
    counts->calls_short = decoder->core.calls_short;
    counts->last_ns = decoder->core.last_ns;
}

void otrace_decoder_limit(struct otrace_decoder *decoder, const struct otrace_track *part) {
    decoder->track = part;
    if (decoder->lookahead != NULL) {
        otrace_lookahead_limit(decoder->lookahead, part);
    }
}

int64_t otrace_decoder_convert(struct otrace_decoder *decoder, uint64_t tick) {
    struct otrace_decoder_core *core = &decoder->core;
    if (tick < core->piece.tick || tick >= core->piece.end) {
        core->piece = *otrace_clock_find(decoder->clock, tick);
    }
    uint64_t last = core->piece.end;
    int64_t ns = otrace_clock_piece_convert(&core->piece, tick < last ? tick : last);
    return ns < core->last_ns ? core->last_ns : ns;
}

int64_t otrace_decoder_advance(struct otrace_decoder *decoder, int64_t ns) {
    int64_t *last = &decoder->core.last_ns;
    return *last = ns <= *last ? *last + 1 : ns;
}

void otrace_decoder_close(struct otrace_decoder *decoder, uint32_t depth, int64_t ns,
                          bool crossing) {
    decoder->close_to = depth;
    decoder->close_ns = ns;
    decoder->close_crossing = crossing;
    decoder->core.end = decoder->core.position;
}

int otrace_decoder_reserve(struct otrace_decoder *decoder) {
    struct otrace_decoder_core *core = &decoder->core;
    if (core->depth < core->capacity) {
        return 1;
    }
    if (core->capacity >= OTRACE_STACK_MAX) {
        decoder->counts.begins_too_deep++;
        return 0;
    }
    uint32_t capacity = core->capacity * 2;
    void *grown = realloc(core->stack, (capacity + 2) * sizeof *core->stack);
    if (grown == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    core->stack = grown;
    core->capacity = capacity;
    return 1;
}

void otrace_decoder_push_phantom(struct otrace_decoder *decoder, uint64_t count) {
    struct otrace_decoder_core *core = &decoder->core;
    struct otrace_frame *top = &core->stack[core->depth];
    if (!(top->flags & OTRACE_FRAME_PHANTOM)) {
        uint64_t around = top->index;
        top = &core->stack[++core->depth]; /* one place above the capacity is kept for this */
        *top = (struct otrace_frame){.flags = OTRACE_FRAME_PHANTOM, .index = around};
    }
    top->start_tick += count; /* a phantom's tick is its number of calls */
}

/* Closes the top frame on the way to close_to. */
static int close_top(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    struct otrace_decoder_core *core = &decoder->core;
    struct otrace_frame *top = &core->stack[core->depth];
    if (top->flags & OTRACE_FRAME_PHANTOM) {
        core->depth--;
        return 0;
    }
    int64_t ns = otrace_decoder_advance(decoder, decoder->close_ns);
    int told = otrace_decoder_pop(core, edge, OTRACE_CALL_INFERRED, ns);
    if (told && edge->flags & OTRACE_CALL_EVENT) {
        otrace_decoder_event_closed(decoder, edge);
    }
    return told;
}

/* Copies the next chunk; 1: its words are at hand, 0: it was lost, OTRACE_DECODER_END. */
static int load_chunk(struct otrace_decoder *decoder) {
    struct otrace_segment *segment = decoder->segment;
    const struct otrace_track *track = decoder->track;
    if (decoder->next_entry >= track->entries) {
        return OTRACE_DECODER_END;
    }
    const struct otrace_chunk_entry *entry =
        &segment->entries[track->first_entry + decoder->next_entry++];
    if (!otrace_segment_read_chunk(segment, entry, decoder->chunk)) {
        decoder->counts.taken_over++;
        return 0;
    }
    if (entry->thread_sequence != decoder->thread_sequence + 1) {
        decoder->gap = true;
        decoder->counts.gaps++;
    }
    decoder->thread_sequence = entry->thread_sequence;
    struct otrace_decoder_core *core = &decoder->core;
    uint32_t bytes = segment->header.chunk_size - (uint32_t)sizeof(struct otrace_chunk);
    core->position = (const otrace_word *)((struct otrace_chunk *)decoder->chunk + 1);
    core->end = decoder->chunk_end = core->position + bytes / 4;
    core->tick = entry->anchor.tick;
    decoder->search_credit += SEARCH_CREDIT_WORD * (bytes / 4);
    decoder->sync_left = 0;
    if (decoder->counts.first_ns < 0) {
        decoder->counts.first_ns = otrace_decoder_convert(decoder, core->tick);
    }
    bool synced = otrace_word_kind(*core->position) == OTRACE_EXTENDED &&
                  otrace_word_sub(*core->position) == OTRACE_X_SYNC;
    if (decoder->gap && !synced) { /* damage: nothing tells what is still open */
        decoder->gap = false;
        otrace_decoder_close(decoder, 0, core->last_ns, false);
    }
    return 1;
}

static void end_chunk(struct otrace_decoder *decoder) {
    struct otrace_decoder_core *core = &decoder->core;
    if (decoder->chunk_end != NULL) {
        const char *end = (const char *)core->position;
        decoder->counts.words += (uint64_t)(end - decoder->chunk) / 4;
        core->position = core->end = decoder->chunk_end = NULL;
    }
}

/* Leaves the rest of the chunk alone. */
static void skip_chunk(struct otrace_decoder *decoder, bool damaged) {
    if (damaged) {
        otrace_segment_warn(decoder->segment, OTRACE_WARN_RECORDS);
    }
    end_chunk(decoder);
}

/* Where the call that ends lies on the stack; 0: not there. Bounded by the search credit, since
 * a false segment could make every end look through a deep stack in vain. */
static uint32_t search(struct otrace_decoder *decoder, uint32_t kind, uint32_t id) {
    struct otrace_decoder_core *core = &decoder->core;
    uint32_t special = OTRACE_CALL_C | OTRACE_CALL_EVENT | OTRACE_FRAME_PHANTOM;
    uint32_t wanted = kind == OTRACE_C_END ? OTRACE_CALL_C : 0;
    for (uint32_t at = core->depth; at > 0 && decoder->search_credit > 0; at--) {
        decoder->search_credit--;
        if (core->stack[at].id == id && (core->stack[at].flags & special) == wanted) {
            return at;
        }
    }
    return 0;
}

struct short_record {
    uint32_t kind, id, exception, activation, task, flow;
    uint32_t arrive_words; /* ARRIVE prefixes so far */
    bool has_exception;
    uint64_t tick, since; /* since the flow began */
    const otrace_word *behind;
};

/* ns are cut to whole µs; more than 71 minutes are told as those. */
static void set_flow(const struct otrace_decoder *decoder, struct otrace_frame *frame,
                     const struct short_record *record) {
    uint64_t since = record->since < record->tick ? record->since : record->tick;
    int64_t queued = otrace_clock_convert(decoder->clock, record->tick) -
                     otrace_clock_convert(decoder->clock, record->tick - since);
    frame->flow = record->flow;
    frame->queued_us = queued / 1000 < UINT32_MAX ? (uint32_t)(queued / 1000) : UINT32_MAX;
}

static int begin_call(struct otrace_decoder *decoder, struct otrace_edge *edge,
                      const struct short_record *record) {
    struct otrace_decoder_core *core = &decoder->core;
    const struct otrace_frame *top = &core->stack[core->depth];
    int64_t ns = otrace_decoder_convert(decoder, record->tick);
    if (record->kind == OTRACE_C_BEGIN && top->flags & OTRACE_CALL_C) {
        /* C calls are made by Python code: the one on top has ended without a word. */
        otrace_decoder_close(decoder, core->depth - 1, ns, true);
        return 0;
    }
    int room = otrace_decoder_reserve(decoder);
    if (room < 0) {
        return room;
    }
    core->position = record->behind;
    core->tick = record->tick;
    if (room == 0) {
        otrace_decoder_push_phantom(decoder, 1);
        return 0;
    }
    uint32_t flags = record->kind == OTRACE_C_BEGIN  ? OTRACE_CALL_C
                     : record->kind == OTRACE_RESUME ? OTRACE_CALL_RESUMED
                                                     : 0;
    if (record->kind == OTRACE_RESUME && record->has_exception) {
        flags |= OTRACE_CALL_THROWN;
    }
    ns = otrace_decoder_advance(decoder, ns);
    struct otrace_frame *frame = otrace_decoder_push(core, record->id, flags, ns);
    frame->exception = record->exception;
    frame->activation = record->activation;
    if (record->task != 0) {
        frame->task = record->task;
    }
    if (record->flow != 0) {
        set_flow(decoder, frame, record);
    }
    if (core->begins) {
        otrace_edge_fill(edge, frame, OTRACE_EDGE_BEGIN, core->depth, ns);
    }
    return core->begins;
}

static int end_call(struct otrace_decoder *decoder, struct otrace_edge *edge,
                    const struct short_record *record) {
    struct otrace_decoder_core *core = &decoder->core;
    struct otrace_frame *top = &core->stack[core->depth];
    uint32_t at = 0;
    if (top->flags & OTRACE_FRAME_PHANTOM) {
        if (--top->start_tick == 0) {
            core->depth--;
        }
    } else {
        at = search(decoder, record->kind, record->id);
    }
    int64_t ns = otrace_decoder_convert(decoder, record->tick);
    if (at != 0 && at < core->depth) {
        otrace_decoder_close(decoder, at, ns, true); /* then this word again */
        return 0;
    }
    core->position = record->behind;
    core->tick = record->tick;
    if (at == 0) {
        decoder->counts.ends_without_begin++;
        return 0;
    }
    uint32_t flags = record->kind == OTRACE_YIELD ? OTRACE_CALL_YIELDED : 0;
    if (record->has_exception) {
        flags |= OTRACE_CALL_UNWOUND;
        top->exception = record->exception;
    }
    return otrace_decoder_pop(core, edge, flags, otrace_decoder_advance(decoder, ns));
}

static void add_arrival(struct short_record *record, uint32_t argument) {
    switch (record->arrive_words++) {
    case 0:
        record->flow = argument;
        break;
    case 1:
        record->since = argument;
        break;
    default:
        record->since |= (uint64_t)argument << 24;
        break;
    }
}

/* Prefixes and the short word that they widen. */
static int short_word(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    struct otrace_decoder_core *core = &decoder->core;
    struct short_record record = {0};
    uint64_t delta = 0, id = 0;
    const otrace_word *word = core->position;
    while (otrace_word_kind(*word) == OTRACE_EXTENDED && otrace_word_sub(*word) < OTRACE_X_TICK) {
        uint32_t argument = otrace_word_argument(*word);
        switch (otrace_word_sub(*word)) {
        case OTRACE_X_TIME:
            delta = (uint64_t)argument << OTRACE_DELTA_SHORT_BITS;
            break;
        case OTRACE_X_ID:
            id = (uint64_t)argument << OTRACE_ID_SHORT_BITS;
            break;
        case OTRACE_X_EXC:
            record.has_exception = true;
            record.exception = argument;
            break;
        case OTRACE_X_ACT:
            record.activation |= argument;
            break;
        case OTRACE_X_TASK:
            record.task |= argument;
            break;
        case OTRACE_X_HIGH:
            record.activation |= argument << 24;
            record.task |= argument >> 8 << 24;
            break;
        case OTRACE_X_ARRIVE:
            add_arrival(&record, argument);
            break;
        default: /* later formats may have more */
            break;
        }
        if (++word == decoder->chunk_end || otrace_word_kind(*word) == 0 ||
            (otrace_word_kind(*word) == OTRACE_EXTENDED &&
             otrace_word_sub(*word) >= OTRACE_X_TICK)) {
            core->position = word; /* its word never came */
            return 0;
        }
    }
    id |= otrace_word_id(*word);
    record.kind = otrace_word_kind(*word);
    record.id = id > UINT32_MAX ? 0 : (uint32_t)id;
    record.tick = core->tick + (delta | otrace_word_delta(*word));
    record.behind = word + 1;
    bool begins = record.kind == OTRACE_BEGIN || record.kind == OTRACE_C_BEGIN ||
                  record.kind == OTRACE_RESUME;
    return begins ? begin_call(decoder, edge, &record) : end_call(decoder, edge, &record);
}

/* What is open at the end: events that do not nest, then calls. */
static int finish(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    struct otrace_decoder_core *core = &decoder->core;
    if (decoder->phase == OTRACE_RUNNING) {
        decoder->phase = OTRACE_FINISHING_EVENTS;
        decoder->finish_at = 0;
    }
    if (decoder->phase == OTRACE_FINISHING_EVENTS) {
        if (otrace_decoder_finish_event(decoder, edge)) {
            return 1;
        }
        decoder->phase = OTRACE_FINISHING_CALLS;
        decoder->finish_at = 1;
    }
    while (decoder->phase == OTRACE_FINISHING_CALLS && decoder->finish_at <= core->depth) {
        uint32_t at = decoder->finish_at++;
        struct otrace_frame *frame = &core->stack[at];
        if (frame->flags & OTRACE_FRAME_PHANTOM) {
            continue;
        }
        frame->flags |= OTRACE_CALL_OPEN;
        otrace_edge_fill(edge, frame, OTRACE_EDGE_OPEN, at, core->last_ns);
        const struct otrace_event *event = otrace_events_find(&decoder->events, frame->instance);
        if (event != NULL) {
            edge->begin_attributes = (struct otrace_attributes){event->words, event->count};
        }
        return 1;
    }
    decoder->phase = OTRACE_DONE;
    return OTRACE_DECODER_END;
}

int otrace_decoder_step(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    struct otrace_decoder_core *core = &decoder->core;
    if (decoder->lookahead != NULL) {
        return otrace_lookahead_step(decoder->lookahead, edge);
    }
    if (core->depth > decoder->close_to) {
        return close_top(decoder, edge);
    }
    if (decoder->close_to != UINT32_MAX) {
        decoder->close_to = UINT32_MAX;
        core->end = decoder->chunk_end;
    }
    if (decoder->phase != OTRACE_RUNNING) {
        return finish(decoder, edge);
    }
    if (core->position == core->end) {
        end_chunk(decoder);
        int loaded = load_chunk(decoder);
        return loaded == OTRACE_DECODER_END ? finish(decoder, edge) : 0;
    }
    uint32_t words = otrace_record_words(core->position, core->end);
    if (words == 0) {
        skip_chunk(decoder, *core->position != 0);
        return 0;
    }
    if (otrace_word_kind(*core->position) == OTRACE_EXTENDED &&
        otrace_word_sub(*core->position) >= OTRACE_X_TICK) {
        return otrace_decoder_record(decoder, edge, words);
    }
    return short_word(decoder, edge);
}
