/* OTLP, the inside: the plan, the walk over a track, and what its two passes keep.
 *
 *   otlp_plan.c     the plan, span ids
 *   otlp_walk.c     edges of a track as a stack of frames
 *   otlp_coroutines.c  calls that go on behind an await; otlp_parents.c: what made them
 *   otlp_requests.c calls that are traces of their own, and parts of a track
 *   otlp_measure.c  pass 1: a heap of the best calls for each window
 *   otlp_collect.c  pass 2: those calls' spans
 *   otlp_groups.c   calls without a span, collapsed with the siblings of their name
 *   otlp_capture.c  one trace of a service; otlp_capture_walk.c: the walk in place of the ordinary
 *   otlp_encode.c   spans as bytes; otlp_values.c attributes; otlp_wire.h protobuf */
#ifndef OTRACE_READ_OTLP_H
#define OTRACE_READ_OTLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api_otlp.h"
#include "read/decode.h"
#include "read/otlp_wire.h"

#define OTRACE_OTLP_NONE UINT32_MAX
#define OTRACE_OTLP_MARKS_MAX 128u          /* a span */
#define OTRACE_OTLP_PAYLOAD_MAX (16u << 20) /* words of attributes, in all */
#define OTRACE_OTLP_AT_ONCE 100000u         /* candidates of a plan of requests, about */

/* Bits beside enum otrace_call_flag. */
#define OTRACE_OTLP_RAISED 0x10000u  /* the exception began in this call */
#define OTRACE_OTLP_ESCAPED 0x20000u /* and in this one it left the thread */
#define OTRACE_OTLP_AWAITED 0x40000u /* a whole call of a coroutine or asynchronous generator */

/* A call that may get a span. The key orders by class, duration, and depth (outer first); an
 * enclosing call's is above those of all calls in it, so the best calls bring their ancestors. */
struct otrace_otlp_candidate {
    uint64_t key, index;
    uint32_t track;
};

struct otrace_otlp_mark {
    int64_t time_ns;
    uint64_t payload; /* first word of the attributes */
    uint32_t words, name, next, scope;
};

struct otrace_otlp_marks {
    uint32_t first, last, count;
    uint64_t dropped;
};

struct otrace_otlp_span {
    uint64_t id, parent_id;
    int64_t start_ns, end_ns;
    uint64_t left_out; /* calls below it that no span below it counts */
    uint64_t count;    /* of calls; 0: it is one call, not a collapsed run of siblings */
    int64_t total_ns;  /* collapsed: time of all together */
    uint64_t payload;  /* attributes of its begin, then of its end */
    uint32_t begin_words, end_words, attributes_dropped;
    uint32_t function, exception, flags, track;
    uint32_t keeper;       /* the span around it, in the window; NONE: the thread's */
    uint32_t kind;         /* of a request: OTLP's number; 0: internal */
    uint64_t request_tick; /* not 0: a request that is a trace of its own */
    int64_t running_ns;    /* of a coroutine: of its slices */
    uint64_t awaits;
    struct otrace_otlp_marks marks;
};

struct otrace_otlp_window {
    struct otrace_otlp_candidate *candidates; /* a heap, its worst first; then sorted */
    uint32_t candidates_count, candidates_capacity;
    uint64_t calls;
    struct otrace_otlp_span *spans; /* by track, then in order of start */
    uint32_t spans_count, spans_capacity;
    struct otrace_otlp_span *collapsed;
    uint32_t collapsed_count, collapsed_capacity;
    struct otrace_otlp_mark *marks;
    uint32_t marks_count, marks_capacity;
};

/* One track in one window. */
struct otrace_otlp_cell {
    struct otrace_otlp_part part;
    uint32_t next, end; /* its candidates that are still to come */
    uint32_t spans_from, spans_to;
    struct otrace_otlp_marks marks;
};

struct otrace_otlp_track {
    struct otrace_segment *segment;
    const struct otrace_clock *clock;
    char *attributes;
    size_t attributes_size;
    uint64_t seed, request_seed;
    uint32_t index;
    int64_t open_end_ns;
    uint8_t *requests; /* by name id: kind of the span, 0: no request */
    uint32_t requests_size;
    struct otrace_otlp_range range;
    uint64_t *sent; /* start ticks, in order */
    uint32_t sent_count;
    uint64_t edges, taken_over; /* of pass 1: pass 2 must see the same */
};

/* A call that is a trace of its own. */
struct otrace_otlp_found {
    uint64_t start_tick;
    int64_t start_ns, end_ns; /* end_ns -1: it goes on */
    int64_t until_ns;
    uint32_t open; /* its call, and coroutines in it, that have not ended */
    bool left;     /* for a later plan */
};

struct otrace_otlp_group;   /* otlp_groups.c */
struct otrace_otlp_capture; /* otlp_capture.c */

struct otrace_otlp_groups {
    struct otrace_otlp_group *places; /* a hash table of one track */
    uint32_t *used;
    uint32_t count;
};

/* Encoded name and code attributes of a function. */
struct otrace_otlp_fragment {
    const struct otrace_segment *segment;
    uint32_t id, size;
    size_t offset;
};

struct otrace_otlp {
    struct otrace_otlp_options options;
    struct otrace_otlp_window *windows;
    struct otrace_otlp_capture *capture; /* NULL: all calls */
    struct otrace_otlp_track *tracks;
    uint32_t tracks_count;
    struct otrace_otlp_cell *cells; /* window after window */
    struct otrace_otlp_groups groups;
    struct otrace_otlp_found *found; /* by window: of a plan of requests */
    uint32_t found_count;
    uint64_t next_tick;  /* of a plan of requests: where the next one goes on */
    bool more;           /* at once */
    uint64_t candidates; /* in all windows */
    struct otrace_bytes root_fields;
    otrace_word *payload;
    uint64_t payload_words, payload_capacity;
    struct otrace_otlp_fragment *fragments; /* a hash table */
    uint32_t fragments_count, fragments_capacity;
    struct otrace_bytes fragment_bytes, output;
};

/* otlp_plan.c */
static inline struct otrace_otlp_cell *otrace_otlp_cell(const struct otrace_otlp *plan,
                                                        uint32_t window, uint32_t track) {
    return &plan->cells[(size_t)window * plan->options.tracks + track];
}
uint64_t otrace_otlp_call_id(const struct otrace_otlp *plan, uint32_t track, uint64_t index);
uint64_t otrace_otlp_collapsed_id(const struct otrace_otlp *plan, uint32_t track, uint32_t window,
                                  uint64_t number);
/* Room for one more item of `size` bytes behind `count`; false: no memory. */
bool otrace_otlp_grow(void *items, size_t size, uint32_t count, uint32_t *capacity);

/* otlp_requests.c */
struct otrace_otlp_frame;
struct otrace_otlp_walk;
enum otrace_otlp_request { OTRACE_OTLP_OTHER, OTRACE_OTLP_ROOT, OTRACE_OTLP_INSIDE };
/* Decides to which trace a call belongs: sets its window, NONE when it is in no trace of the plan.
 * 1: the plan is full, the call is the next one's. */
int otrace_otlp_place(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                      const struct otrace_otlp_frame *parent, const struct otrace_edge *edge);
/* Pass 1: a frame ended, which may be a request's. */
void otrace_otlp_request_ended(struct otrace_otlp_walk *walk, const struct otrace_otlp_frame *frame,
                               const struct otrace_edge *edge);
/* Pass 1 is over: requests that go on are left for a later plan. */
void otrace_otlp_requests_settle(struct otrace_otlp_walk *walk);
/* The window of what begins now inside `around` (NULL: nothing), or NONE. */
uint32_t otrace_otlp_window_in(const struct otrace_otlp_walk *walk,
                               const struct otrace_otlp_frame *around,
                               const struct otrace_edge *edge);
/* The entries of the segment that the range of a track lies in. */
void otrace_otlp_part_of(const struct otrace_otlp_track *track, struct otrace_track *part);
void otrace_otlp_request_ids(const struct otrace_otlp_track *track, uint64_t tick,
                             uint64_t trace_id[2], uint64_t *span_id);

/* otlp_walk.c */
struct otrace_otlp_frame {
    uint64_t index, start_tick;
    int64_t request_until_ns; /* in a request: later calls are other work again */
    enum otrace_otlp_request request;
    uint32_t kind;           /* of a request's root */
    uint32_t request_window; /* of a plan of requests */
    uint64_t best;           /* pass 1: the highest key below it */
    int64_t start_ns;
    uint32_t window;
    uint32_t level;  /* frames around it that started in its window */
    uint32_t span;   /* pass 2: its own, or NONE */
    uint32_t keeper; /* pass 2: the nearest span around it in its window, or NONE */
    uint32_t caught; /* pass 2: 1 + exception that its last call was left by, 0: it returned */
    uint32_t function, flags;
    uint32_t task;       /* that the thread ran at its beginning */
    uint32_t coroutine;  /* the frame, or in the stack the slice, is its; or NONE */
    uint32_t coroutines; /* in the stack: the first of those that are its children, or NONE */
};

struct otrace_otlp_visitor;
struct otrace_otlp_walk {
    struct otrace_otlp *plan;
    uint32_t track;
    const struct otrace_otlp_visitor *visitor;
    struct otrace_otlp_frame *stack; /* of what is on the thread: calls, and slices of coroutines */
    uint32_t depth, capacity;
    struct otrace_otlp_coroutines *coroutines;
    /* A coroutine's call has ended, or has another parent from now on: for the visitor. */
    int (*tell_end)(struct otrace_otlp_walk *walk, uint32_t coroutine);
    void (*tell_move)(struct otrace_otlp_walk *walk, uint32_t coroutine);
    uint64_t begun; /* the index that the next call may have */
    uint64_t moves; /* of coroutines whose parent ended, so far */
    int64_t now_ns;
    uint32_t window;   /* of the event that `beside` and `mark` are told of */
    uint32_t requests; /* that began so far */
    uint32_t requests_open;
    bool full; /* later requests are the next plan's */
    uint64_t last_tick, last_request;
    int64_t until_ns;
    bool measures;
};

/* What a pass does; each returns 0 or a negative status. `parent` and `around` may be NULL. */
struct otrace_otlp_visitor {
    bool measures; /* pass 1 */
    int (*begin)(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                 struct otrace_otlp_frame *parent);
    /* An open call ends too, after `open` (outermost first) told of its attributes. */
    int (*end)(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
               struct otrace_otlp_frame *parent, const struct otrace_edge *edge);
    int (*open)(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                const struct otrace_edge *edge);
    /* An event that does not nest, `around`: the innermost frame that holds all of it. */
    int (*beside)(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *around,
                  const struct otrace_edge *edge);
    int (*mark)(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *around,
                const struct otrace_edge *edge);
};

int otrace_otlp_walk_track(struct otrace_otlp *plan, uint32_t track,
                           const struct otrace_otlp_visitor *visitor);

static inline uint32_t otrace_otlp_window_at(const struct otrace_otlp *plan, int64_t ns) {
    if (plan->options.windows == 1 || ns < 0) {
        return 0;
    }
    uint64_t window = (uint64_t)(ns / plan->options.window_ns);
    return window < plan->options.windows ? (uint32_t)window : plan->options.windows - 1;
}

/* otlp_collect.c: the call of this frame, which goes on, has another parent. */
void otrace_otlp_collect_moved(struct otrace_otlp_walk *walk, struct otrace_otlp_frame *frame,
                               const struct otrace_otlp_frame *parent);

/* otlp_parents.c: the frame that a place in the stack stands for. */
struct otrace_otlp_frame *otrace_otlp_frame_at(const struct otrace_otlp_walk *walk, uint32_t at);

/* otlp_capture_walk.c */
int otrace_otlp_capture_walk(struct otrace_otlp *plan, uint32_t track,
                             const struct otrace_otlp_visitor *visitor);
/* otlp_capture.c */
void otrace_otlp_capture_free(struct otrace_otlp_capture *capture);

/* otlp_groups.c */
int otrace_otlp_groups_begin(struct otrace_otlp *plan);
/* A call without a span, made directly by the call of the span `keeper` (NONE: the thread's). */
void otrace_otlp_groups_add(struct otrace_otlp *plan, uint32_t track, uint32_t window,
                            uint32_t keeper, const struct otrace_edge *edge);
/* The track's groups become collapsed spans, as far as they repeat. */
int otrace_otlp_groups_end(struct otrace_otlp *plan, uint32_t track);
/* Keeps the `most` collapsed spans with the most time in them. */
void otrace_otlp_groups_trim(struct otrace_otlp *plan, uint32_t window, uint32_t most);
void otrace_otlp_leave_out(struct otrace_otlp *plan, uint32_t window, uint32_t track,
                           uint32_t keeper, uint64_t calls);

/* otlp_values.c: attributes as KeyValue in `field`; returns how many were dropped. */
void otrace_otlp_put_attributes(struct otrace_bytes *to, uint32_t field,
                                const struct otrace_segment *segment,
                                const struct otrace_attributes *attributes);

#endif
