/* The decoder's inside: decode.c (chunks, calls), decode_records.c (records of several words),
 * decode_events.c (which events nest), lookahead.c (short calls left out of begin edges). */
#ifndef OTRACE_READ_DECODER_H
#define OTRACE_READ_DECODER_H

#include "read/decode.h"
#include "read/events.h"
#include "read/segment.h"
#include "words.h"

#define OTRACE_STACK_MAX (1u << 20)

/* Private options. */
#define OTRACE_DECODE_SCOUT                                                                        \
    0x100u                       /* finds out which events do not nest; its edges are not used     \
                                  */
#define OTRACE_DECODE_ALL 0x200u /* short calls too */

struct otrace_lookahead;

struct otrace_decoder {
    struct otrace_decoder_core core;
    struct otrace_segment *segment;
    const struct otrace_track *track;
    const struct otrace_clock *clock;
    uint32_t track_index, options;
    char *chunk;
    const otrace_word *chunk_end; /* the real one: core.end hides the words while frames close */
    uint32_t next_entry;
    uint64_t thread_sequence; /* of the chunk at hand */
    uint64_t search_credit;   /* stack frames that searches may still look at */
    bool gap;                 /* records are missing since the last SYNC */
    uint32_t sync_left;       /* OPEN records to come that begin a frame */
    int64_t sync_ns;
    uint64_t phantom; /* calls that the SYNC counts and no OPEN record tells of */

    uint32_t close_to; /* while the stack is deeper, its top frames are closed at close_ns */
    int64_t close_ns;
    bool close_crossing; /* closed by an end below them: events among them do not nest */

    bool scouted;
    struct otrace_instances detached; /* events that do not nest */
    struct otrace_events events;      /* open events */
    otrace_word *retired;             /* attributes that the last edge points to */
    enum { OTRACE_RUNNING, OTRACE_FINISHING_EVENTS, OTRACE_FINISHING_CALLS, OTRACE_DONE } phase;
    uint32_t finish_at;

    struct otrace_lookahead *lookahead;
    struct otrace_decode_counts counts;
};

/* tick as ns, not earlier than the last edge. */
int64_t otrace_decoder_convert(struct otrace_decoder *decoder, uint64_t tick);
/* The time of a begin or end: later than all before. */
int64_t otrace_decoder_advance(struct otrace_decoder *decoder, int64_t ns);
/* Makes the coming steps close the frames above `depth`, before the next word is looked at. */
void otrace_decoder_close(struct otrace_decoder *decoder, uint32_t depth, int64_t ns,
                          bool crossing);
/* Room for a frame: 1, 0 (too deep) or a negative status. */
int otrace_decoder_reserve(struct otrace_decoder *decoder);
/* Puts a phantom for `count` calls on the stack, or adds them to one that is on top. */
void otrace_decoder_push_phantom(struct otrace_decoder *decoder, uint64_t count);
/* One record of several words, `words` long, at core.position: as otrace_decoder_step. */
int otrace_decoder_record(struct otrace_decoder *decoder, struct otrace_edge *edge, uint32_t words);

/* decode_events.c */
int otrace_decoder_event_begin(struct otrace_decoder *decoder, struct otrace_edge *edge,
                               uint32_t words);
int otrace_decoder_event_end(struct otrace_decoder *decoder, struct otrace_edge *edge,
                             uint32_t words);
int otrace_decoder_event_open(struct otrace_decoder *decoder, struct otrace_edge *edge);
/* The frame at the top, an event's, is closed without its EVENT_END. */
void otrace_decoder_event_closed(struct otrace_decoder *decoder, struct otrace_edge *edge);
/* Fills the edge of the next event that is open at the end; false when there is none. */
bool otrace_decoder_finish_event(struct otrace_decoder *decoder, struct otrace_edge *edge);
/* Runs a scout over the track when its first event is met. */
int otrace_decoder_scout(struct otrace_decoder *decoder);

/* lookahead.c */
int otrace_lookahead_new(struct otrace_segment *segment, uint32_t track_index,
                         const struct otrace_clock *clock, uint32_t options,
                         struct otrace_lookahead **lookahead);
void otrace_lookahead_limit(struct otrace_lookahead *lookahead, const struct otrace_track *part);
void otrace_lookahead_free(struct otrace_lookahead *lookahead);
int otrace_lookahead_step(struct otrace_lookahead *lookahead, struct otrace_edge *edge);
void otrace_lookahead_counts(const struct otrace_lookahead *lookahead,
                             struct otrace_decode_counts *counts);

#endif
