/* The decoder: one track's chunks in, begin and end edges out. Internal to native/read.
 *
 * Pull `struct otrace_edge` after edge with otrace_decoder_next until it returns 0:
 *
 *   OTRACE_EDGE_BEGIN    a call or nested event began (only with OTRACE_DECODE_BEGINS)
 *   OTRACE_EDGE_END      it ended: the completed call, start and end
 *   OTRACE_EDGE_OPEN     at the end of the track: a call that never ended, outermost first
 *   OTRACE_EDGE_EVENT    an event that does not nest: whole, given when its end is known or (OPEN
 *                        in its flags) at the end of the track; it is never on the stack
 *   OTRACE_EDGE_INSTANT, OTRACE_EDGE_COUNTER
 *   OTRACE_EDGE_TASK     what was recorded of a task (only with OTRACE_DECODE_TASKS): its record is
 *                        in begin_attributes, from the task's id on
 *   OTRACE_EDGE_FLOW     what the call around it (edges of depth 0 have none) does goes on
 * elsewhere (only with OTRACE_DECODE_FLOWS): in the call with the same number as flow
 *   OTRACE_EDGE_SPAN_BEGIN, OTRACE_EDGE_SPAN_CURRENT (only with OTRACE_DECODE_SPANS): a span of
 *                        OpenTelemetry's was opened, is current from here on; index is its id.
 *                        At a SYNC SPAN_CURRENT comes before the BEGINs of calls cut there
 *   OTRACE_EDGE_SPAN_END a span of OpenTelemetry's ended (only with OTRACE_DECODE_SPAN_ENDS): its
 *                        record is in begin_attributes, from its id on; scope has its flags
 *
 * BEGIN, END, INSTANT and COUNTER edges come in the order of time; calls nest strictly in whole
 * nanoseconds. Calls shorter than the segment's min_duration are left out (with BEGINS by looking
 * ahead). Every BEGIN is followed by its END or, at the end, by its OPEN.
 * A decoder is used by one thread; memory is one chunk and the stack. */
#ifndef OTRACE_READ_DECODE_H
#define OTRACE_READ_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api_read.h"
#include "format.h"
#include "read/clock.h"

enum otrace_edge_kind {
    OTRACE_EDGE_BEGIN = 1,
    OTRACE_EDGE_END,
    OTRACE_EDGE_OPEN,
    OTRACE_EDGE_EVENT,
    OTRACE_EDGE_INSTANT,
    OTRACE_EDGE_COUNTER,
    OTRACE_EDGE_TASK,
    OTRACE_EDGE_FLOW,
    OTRACE_EDGE_SPAN_END,
    OTRACE_EDGE_SPAN_BEGIN,
    OTRACE_EDGE_SPAN_CURRENT,
};

/* Attributes as recorded, already checked against their size; valid until the next edge. */
struct otrace_attributes {
    const otrace_word *words;
    uint32_t count; /* of words */
};

struct otrace_edge {
    uint32_t kind;
    uint32_t flags;      /* enum otrace_call_flag; BEGIN has those known so far */
    uint32_t id;         /* name id of the function, event, instant or counter */
    uint32_t depth;      /* frames around it */
    uint32_t exception;  /* name id; of BEGIN: the one thrown in */
    uint32_t instance;   /* events */
    uint32_t scope;      /* instants: enum otrace_scope; tasks: enum otrace_task_flag */
    uint32_t activation; /* of a coroutine or asynchronous generator, 0: none or not known */
    uint32_t task;       /* that the thread runs, 0: none */
    uint32_t flow;       /* the number of the flow that goes on here, 0: none */
    uint32_t queued_us;  /* the time since that flow began */
    int64_t start_ns;    /* of an instant or counter: its time */
    int64_t end_ns;      /* of BEGIN: start_ns; when open: the track's last time */
    uint64_t index;      /* ordinal of the call's beginning; not for instants and counters */
    uint64_t start_tick; /* as recorded: the same in every reading */
    int64_t parent;      /* index of the frame around it, -1: none */
    struct otrace_attributes begin_attributes; /* events (BEGIN and later), instants, counters */
    struct otrace_attributes end_attributes;   /* events, when they ended */
};

enum otrace_decode_option {
    OTRACE_DECODE_BEGINS = 1,
    OTRACE_DECODE_SPANS = 2,
    OTRACE_DECODE_TASKS = 4,
    OTRACE_DECODE_FLOWS = 8,
    OTRACE_DECODE_SPAN_ENDS = 16,
};

struct otrace_decoder;

/* `segment` and `clock` must outlive the decoder. Free with otrace_decoder_free. */
int otrace_decoder_new(struct otrace_segment *segment, uint32_t track_index,
                       const struct otrace_clock *clock, uint32_t options,
                       struct otrace_decoder **decoder);
void otrace_decoder_free(struct otrace_decoder *decoder);

/* Before the first edge: only these entries of the track, whose copy must outlive the decoder. */
struct otrace_track;
void otrace_decoder_limit(struct otrace_decoder *decoder, const struct otrace_track *part);

struct otrace_decode_counts {
    uint64_t calls_short, ends_without_begin, gaps, taken_over, begins_too_deep;
    uint64_t words; /* decoded so far, chunk headers included */
    int64_t first_ns, last_ns;
};
void otrace_decoder_counts(const struct otrace_decoder *decoder,
                           struct otrace_decode_counts *counts);

/* ---- what the inlined fast path needs to see; not for users --------------------------------- */

#define OTRACE_FRAME_PHANTOM                                                                       \
    0x40000000u /* stands for `index` open calls that nobody told about                            \
                 */

struct otrace_frame {
    uint64_t start_tick; /* as recorded: resynchronising compares it */
    int64_t start_ns;
    uint64_t index;
    uint32_t id;
    uint32_t flags; /* enum otrace_call_flag */
    uint32_t exception;
    uint32_t instance; /* events */
    uint32_t activation, task;
    uint32_t flow, queued_us;
};

/* The first member of struct otrace_decoder. */
struct otrace_decoder_core {
    const otrace_word *position, *end; /* in the chunk's copy; equal: the slow path goes on */
    uint64_t tick;
    struct otrace_clock_piece piece;
    struct otrace_frame *stack; /* [0] is a sentinel that no record matches, [depth] the top */
    uint32_t depth, capacity;
    uint64_t next_index;
    int64_t last_ns; /* each begin and end comes later than all before, by 1 ns if need be */
    int64_t min_ns;  /* of completed calls */
    uint64_t calls_short;
    bool begins;
};

#define OTRACE_DECODER_END 2

/* One record, the end of a chunk, or a waiting edge: 1 an edge, 0 none yet, OTRACE_DECODER_END,
 * or a negative status. */
int otrace_decoder_step(struct otrace_decoder *decoder, struct otrace_edge *edge);

/* 1: *edge is filled; 0: the end; a negative enum otrace_read_status on failure. */
static inline int otrace_decoder_next(struct otrace_decoder *decoder, struct otrace_edge *edge);

#include "read/decode_fast.h"

#endif
