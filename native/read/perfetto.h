/* The Perfetto encoder's inside: perfetto.c (sequences, plain calls), perfetto_special.c (all the
 * rest). */
#ifndef OTRACE_READ_PERFETTO_H
#define OTRACE_READ_PERFETTO_H

#include <stdio.h>

#include "read/decode.h"
#include "read/output.h"
#include "read/proto.h"
#include "read/segment.h"

/* Categories by their iid. */
enum {
    PERFETTO_PYTHON = 1,
    PERFETTO_C,
    PERFETTO_EVENT,
    PERFETTO_INSTANT,
    PERFETTO_COUNTER,
    PERFETTO_LOST,
};
#define PERFETTO_CATEGORIES {NULL, "python", "c", "event", "instant", "counter", "lost"}

/* Names of annotations by their iid. */
enum {
    PERFETTO_ENDED = 1,
    PERFETTO_EXCEPTION,
    PERFETTO_RESUMED,
    PERFETTO_THROWN,
    PERFETTO_CUT,
    PERFETTO_INFERRED,
    PERFETTO_LOST_CALLS,
    PERFETTO_LOST_RECORDS,
};
#define PERFETTO_ANNOTATIONS                                                                       \
    {NULL, "ended", "exception", "resumed", "thrown", "cut", "inferred", "calls", "records"}

/* Flags that an end packet tells of. */
#define PERFETTO_END_FLAGS                                                                         \
    (uint32_t)(OTRACE_CALL_YIELDED | OTRACE_CALL_UNWOUND | OTRACE_CALL_INFERRED)

struct otrace_perfetto {
    struct otrace_segment *segment;
    struct otrace_decoder *decoder;
    struct otrace_output output;
    struct otrace_message message; /* the packet being put together */
    size_t packet;
    uint32_t sequence;
    uint64_t process_uuid, thread_uuid, base_mono_ns;
    int64_t last_ns;    /* the sequence's clock */
    uint8_t *interned;  /* by name id: 0 no, 1 yes, 2 with a source location */
    uint64_t *counters; /* a hash set of the uuids of described counter tracks */
    uint32_t counters_count, counters_capacity;
};

/* Starts a packet of the sequence in `message`; its end hands it to the output. */
void perfetto_begin_packet(struct otrace_perfetto *perfetto);
void perfetto_end_packet(struct otrace_perfetto *perfetto);
/* Writes the interned name, if it is new. Not between begin_packet and end_packet. */
void perfetto_intern(struct otrace_perfetto *perfetto, uint32_t id);
/* Any edge. */
void perfetto_write_special(struct otrace_perfetto *perfetto, const struct otrace_edge *edge);
/* What was overwritten, as a slice on a track of its own. */
void perfetto_write_loss(struct otrace_perfetto *perfetto, const struct otrace_track *track,
                         const struct otrace_clock *clock);

#endif
