/* The decoder's fast path, inlined into its users: short words without prefixes whose begin and
 * end match. Everything else is otrace_decoder_step's. Included by decode.h only. */
#ifndef OTRACE_READ_DECODE_FAST_H
#define OTRACE_READ_DECODE_FAST_H

#include "words.h"

#define OTRACE_LIKELY(condition) __builtin_expect(!!(condition), 1)

static inline void otrace_edge_fill(struct otrace_edge *edge, const struct otrace_frame *frame,
                                    uint32_t kind, uint32_t depth, int64_t end_ns) {
    edge->kind = kind;
    edge->flags = frame->flags;
    edge->id = frame->id;
    edge->depth = depth - 1;
    edge->exception = frame->exception;
    edge->instance = frame->instance;
    edge->activation = frame->activation;
    edge->task = frame->task;
    edge->flow = frame->flow;
    edge->queued_us = frame->queued_us;
    edge->start_ns = frame->start_ns;
    edge->end_ns = end_ns;
    edge->index = frame->index;
    edge->start_tick = frame->start_tick;
    edge->parent = (int64_t)frame[-1].index;
    edge->begin_attributes.count = 0;
    edge->end_attributes.count = 0;
}

/* Whether a short word can be taken as it is: the top frame is the one it ends, or a frame may be
 * put on top. */
static inline bool otrace_word_is_plain(const struct otrace_decoder_core *core, otrace_word word) {
    const struct otrace_frame *top = &core->stack[core->depth];
    uint32_t special = OTRACE_CALL_C | OTRACE_CALL_EVENT | OTRACE_FRAME_PHANTOM;
    switch (otrace_word_kind(word)) {
    case OTRACE_BEGIN:
    case OTRACE_RESUME:
        return core->depth < core->capacity && !(top->flags & OTRACE_FRAME_PHANTOM);
    case OTRACE_C_BEGIN: /* on top of a C call: that one's end is missing */
        return core->depth < core->capacity &&
               !(top->flags & (OTRACE_CALL_C | OTRACE_FRAME_PHANTOM));
    case OTRACE_END:
    case OTRACE_YIELD:
        return top->id == otrace_word_id(word) && !(top->flags & special);
    case OTRACE_C_END:
        return top->id == otrace_word_id(word) && (top->flags & special) == OTRACE_CALL_C;
    default:
        return false;
    }
}

/* Puts a frame on the stack; there must be room. */
static inline struct otrace_frame *otrace_decoder_push(struct otrace_decoder_core *core,
                                                       uint32_t id, uint32_t flags, int64_t ns) {
    struct otrace_frame *frame = &core->stack[++core->depth];
    frame->start_tick = core->tick;
    frame->start_ns = ns;
    frame->index = core->next_index++;
    frame->id = id;
    frame->flags = flags;
    frame->exception = 0;
    frame->instance = 0;
    frame->activation = 0;
    frame->task = frame[-1].task;
    frame->flow = 0;
    frame->queued_us = 0;
    return frame;
}

/* Takes the top frame off; 1 when the call is long enough to be told of. */
static inline int otrace_decoder_pop(struct otrace_decoder_core *core, struct otrace_edge *edge,
                                     uint32_t flags, int64_t ns) {
    struct otrace_frame *frame = &core->stack[core->depth];
    frame->flags |= flags;
    if (ns - frame->start_ns < core->min_ns && !(frame->flags & OTRACE_CALL_EVENT)) {
        core->depth--;
        core->calls_short++;
        return 0;
    }
    otrace_edge_fill(edge, frame, OTRACE_EDGE_END, core->depth--, ns);
    return 1;
}

static inline int otrace_decoder_next(struct otrace_decoder *decoder, struct otrace_edge *edge) {
    struct otrace_decoder_core *core = (struct otrace_decoder_core *)decoder;
    for (;;) {
        if (OTRACE_LIKELY(core->position < core->end)) {
            otrace_word word = *core->position;
            uint64_t tick = core->tick + otrace_word_delta(word);
            uint32_t kind = otrace_word_kind(word), id = otrace_word_id(word);
            if (OTRACE_LIKELY(tick - core->piece.tick < core->piece.end - core->piece.tick &&
                              otrace_word_is_plain(core, word))) {
                int64_t ns = otrace_clock_piece_convert(&core->piece, tick);
                core->tick = tick;
                core->position++;
                core->last_ns = ns = ns <= core->last_ns ? core->last_ns + 1 : ns;
                if (kind & 1) { /* 1, 3, 5: BEGIN, C_BEGIN, RESUME */
                    uint32_t flags = kind == OTRACE_C_BEGIN  ? OTRACE_CALL_C
                                     : kind == OTRACE_RESUME ? OTRACE_CALL_RESUMED
                                                             : 0;
                    struct otrace_frame *frame = otrace_decoder_push(core, id, flags, ns);
                    if (!core->begins) {
                        continue;
                    }
                    otrace_edge_fill(edge, frame, OTRACE_EDGE_BEGIN, core->depth, ns);
                    return 1;
                }
                uint32_t flags = kind == OTRACE_YIELD ? OTRACE_CALL_YIELDED : 0;
                if (otrace_decoder_pop(core, edge, flags, ns)) {
                    return 1;
                }
                continue;
            }
        }
        int status = otrace_decoder_step(decoder, edge);
        if (status != 0) {
            return status == OTRACE_DECODER_END ? 0 : status;
        }
    }
}

#endif
