/* The Perfetto encoder's inside: perfetto.c (the cursor, calls), perfetto_tracks.c (sequences,
 * tracks, names), perfetto_special.c (all the rest). */
#ifndef OTRACE_READ_PERFETTO_H
#define OTRACE_READ_PERFETTO_H

#include <stdio.h>

#include "read/decode.h"
#include "read/output.h"
#include "read/proto.h"
#include "read/segment.h"

/* Perfetto keeps at most 512 open slices a track and mistakes the ends of deeper ones for others':
 * calls from each multiple of this depth on have a track of their own. */
#define PERFETTO_DEPTH 512u

/* Categories by their iid. */
enum {
    PERFETTO_PYTHON = 1,
    PERFETTO_C,
    PERFETTO_EVENT,
    PERFETTO_INSTANT,
    PERFETTO_COUNTER,
    PERFETTO_LOST,
    PERFETTO_FLOW,
};
#define PERFETTO_CATEGORIES {NULL, "python", "c", "event", "instant", "counter", "lost", "flow"}

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
    PERFETTO_QUEUED,
};
#define PERFETTO_ANNOTATIONS                                                                       \
    {NULL,  "ended",    "exception", "resumed", "thrown",                                          \
     "cut", "inferred", "calls",     "records", "queued_us"}

/* Texts of annotations by their iid; names follow. */
enum {
    PERFETTO_YIELD = 1,
    PERFETTO_UNWIND,
    PERFETTO_FIRST_TEXT,
};
#define PERFETTO_TEXTS {NULL, "yield", "unwind"}

/* Flags that a begin or end packet tells of. */
#define PERFETTO_BEGIN_FLAGS (uint32_t)(OTRACE_CALL_RESUMED | OTRACE_CALL_THROWN | OTRACE_CALL_CUT)
#define PERFETTO_END_FLAGS                                                                         \
    (uint32_t)(OTRACE_CALL_YIELDED | OTRACE_CALL_UNWOUND | OTRACE_CALL_INFERRED)
#define PERFETTO_FLAGS_MAX 40u /* bytes of their annotations */
#define PERFETTO_CATEGORY_AT 3u

/* A function's or event's name as the sequence knows it. */
struct perfetto_name {
    uint64_t iid;    /* 0: not interned yet */
    uint8_t sights;  /* begins until perfetto_see_name wants to know of one */
    uint8_t size;    /* of begin */
    bool has_source; /* interned under the name's iid */
    bool is_text;    /* interned as an annotation's text */
    char begin[16];  /* a call's begin event, its category in PERFETTO_CATEGORY_AT */
};

struct otrace_perfetto {
    struct otrace_segment *segment;
    struct otrace_decoder *decoder;
    struct otrace_output output;
    struct otrace_encoded encoded;
    struct otrace_message message; /* the packet being put together */
    size_t packet;
    uint64_t process_uuid, thread_uuid, base_mono_ns;
    char *thread_name;
    size_t thread_name_size;
    int64_t last_ns; /* the sequence's clock */
    uint32_t sequence;
    uint32_t deeper; /* tracks described for calls at PERFETTO_DEPTH and below */
    char head[8];    /* `sequence, track event` of a packet, without its length */
    uint32_t head_size;
    uint32_t iids_short;           /* one-byte iids given out */
    struct perfetto_name *names;   /* by name id */
    struct perfetto_name stranger; /* an id that the segment does not know */
    uint64_t *counters;            /* a hash set of the uuids of described counter tracks */
    uint32_t counters_count, counters_capacity;
};

/* Starts a packet of the sequence in `message`; its end hands it to the output. */
void perfetto_begin_packet(struct otrace_perfetto *perfetto);
void perfetto_end_packet(struct otrace_perfetto *perfetto);

/* The sequence's first packets: clocks and constant names, then the thread's track. */
void perfetto_write_state(struct otrace_perfetto *perfetto,
                          const struct otrace_perfetto_track *track);
void perfetto_write_start(struct otrace_perfetto *perfetto,
                          const struct otrace_perfetto_track *track);
uint64_t perfetto_track_uuid(uint64_t parent, uint64_t first, uint64_t second);
void perfetto_describe_track(struct otrace_perfetto *perfetto, uint64_t uuid, uint64_t parent,
                             const char *name, size_t size, uint32_t rank, bool counter);
/* The track for calls and instants with `depth` calls around them: the thread's, or a deeper one,
 * described when it is new. */
uint64_t perfetto_track_at(struct otrace_perfetto *perfetto, uint32_t depth);

/* Writes the interned name if it is new, or seen so often that it should have a short iid. Like
 * all that describes or interns: not between begin_packet and end_packet. */
const struct perfetto_name *perfetto_see_name(struct otrace_perfetto *perfetto, uint32_t id);
/* The iid of a name as an annotation's text. */
uint64_t perfetto_text(struct otrace_perfetto *perfetto, uint32_t id);
struct otrace_text perfetto_name_of(const struct otrace_perfetto *perfetto, uint32_t id);

/* Annotations of how a call or event began and ended; exception_iid: 0 for none. Need
 * PERFETTO_FLAGS_MAX bytes. */
char *perfetto_write_begin_flags(char *to, uint32_t flags);
char *perfetto_write_end_flags(char *to, uint32_t flags, uint64_t exception_iid);

/* One end of a flow's arrow, at the slice that is innermost now: its start, or the call of `edge`.
 */
void perfetto_write_flow(struct otrace_perfetto *perfetto, const struct otrace_edge *edge);

/* An event of a track at any time, until its end; and the program's attributes, in between. */
size_t perfetto_begin_event_at(struct otrace_perfetto *perfetto, int64_t ns, uint32_t type,
                               uint64_t track);
void perfetto_end_event(struct otrace_perfetto *perfetto, size_t event);
void perfetto_add_attributes(struct otrace_perfetto *perfetto,
                             const struct otrace_attributes *attributes);

/* Events, instants, counters and flows. */
void perfetto_write_special(struct otrace_perfetto *perfetto, const struct otrace_edge *edge);
/* What was overwritten, as a slice on a track of its own. */
void perfetto_write_loss(struct otrace_perfetto *perfetto, const struct otrace_track *track,
                         const struct otrace_clock *clock);

#endif
