/* The reading side's door for OpenTelemetry: which calls become spans, and their bytes.
 *
 * A plan goes twice over each track: `measure` finds the calls worth a span, `collect` gathers
 * them, and `encode` gives their bytes. A call belongs to the trace of the window that it starts
 * in; roots and threads are spans of the caller, below whose ids the calls are put.
 * Rules as in api_read.h; segments and clocks must outlive the plan. One thread at a time.
 * Order: new, add_track (all), measure (all), select, collect (all), finish; then the others.
 *
 * A request, the outermost call of one of certain functions, is a trace of its own. In an ordinary
 * plan it is one span with a link to that trace. A plan of requests has one track, and each window
 * is a request, in the order of their beginnings; they may overlap. What begins in a request
 * `window_ns` after its beginning, or later, is other work again.
 *
 * The slices of a coroutine's call are one call: it lies where the coroutine was started, or where
 * its task was made. */
#ifndef OTRACE_API_OTLP_H
#define OTRACE_API_OTLP_H

#include "api_read.h"

struct otrace_otlp;

struct otrace_otlp_options {
    uint32_t max_spans; /* of calls, a trace; the caller's own spans are not among them */
    uint32_t max_depth; /* calls nested deeper than this become no spans */
    uint32_t windows;   /* traces, at least 1; later calls go to the last one */
    uint32_t tracks;    /* that will be added, of all processes */
    int64_t window_ns;
    uint64_t salt;          /* of the span ids: other in each plan */
    uint64_t requests_salt; /* of the ids of requests: the same in all plans of an export */
    uint64_t base_wall_ns;
    uint32_t requests; /* 1: a plan of requests, at most `windows` */
};

/* What became of one track's calls in one window. calls = spans + collapsed_calls + left_out. */
struct otrace_otlp_part {
    uint64_t span_id; /* for the caller's span of this thread's work */
    uint64_t calls;
    uint64_t spans, collapsed_spans, collapsed_calls;
    uint64_t left_out;      /* calls that are in no span at all */
    uint64_t left_out_here; /* those of them that no other span of the trace counts */
    uint64_t marks;         /* instants and counters of the thread's own span */
    uint64_t marks_dropped;
    int64_t first_ns, last_ns; /* -1: nothing happened */
    uint64_t inside; /* span of an earlier window that the first call here is in; 0: none */
    uint32_t inside_window;
    uint32_t escaped;   /* an exception left the thread */
    uint32_t exception; /* its name id, 0: not known */
};

struct otrace_otlp_block {
    const char *bytes; /* of the plan, until its next call */
    size_t size;       /* 0: the end */
    uint32_t spans;
};

int otrace_otlp_new(const struct otrace_otlp_options *options, struct otrace_otlp **plan);
void otrace_otlp_free(struct otrace_otlp *plan);
/* Tracks are numbered from 0 in the order they are added. Calls that never ended end at
 * open_end_ns. `attributes` (copied): encoded KeyValue fields of Span that all spans of the
 * thread carry. */
int otrace_otlp_add_track(struct otrace_otlp *plan, struct otrace_segment *segment,
                          uint32_t track_index, const struct otrace_clock *clock,
                          int64_t open_end_ns, const char *attributes, size_t size);
/* Which functions are requests: for each name id its span's kind as OTLP numbers them, or 0
 * (copied). `identity` is the track's own in the recording. */
int otrace_otlp_set_requests(struct otrace_otlp *plan, uint32_t track, const uint8_t *kinds,
                             uint32_t count, uint64_t identity);

/* A part of a track, in ticks. Calls that began earlier or begin later are in no span; those that
 * go on behind the part end, open, at open_end_ns. Of a plan of requests: those that go on are left
 * for a later plan unless `open` is set or their time is over. */
struct otrace_otlp_range {
    uint64_t from_tick, until_tick; /* until_tick 0: to the end of what is recorded as yet */
    uint32_t open;
};
/* The tick of a time after the clock's base. */
uint64_t otrace_otlp_tick(const struct otrace_clock *clock, int64_t ns);
int otrace_otlp_set_range(struct otrace_otlp *plan, uint32_t track,
                          const struct otrace_otlp_range *range);
/* Requests of the range that a plan has given before: their start ticks, in order (copied). */
int otrace_otlp_set_sent(struct otrace_otlp *plan, uint32_t track, const uint64_t *ticks,
                         uint32_t count);

int otrace_otlp_measure(struct otrace_otlp *plan, uint32_t track);
int otrace_otlp_select(struct otrace_otlp *plan);
int otrace_otlp_collect(struct otrace_otlp *plan, uint32_t track);
int otrace_otlp_finish(struct otrace_otlp *plan);

void otrace_otlp_get_part(const struct otrace_otlp *plan, uint32_t window, uint32_t track,
                          struct otrace_otlp_part *part);
/* An id for a span of the caller's, such as a process's: by number, unlike all others. */
uint64_t otrace_otlp_own_id(const struct otrace_otlp *plan, uint32_t window, uint32_t number);
/* The innermost call of a track with a span that holds the whole time; 1: *span_id is set. */
int otrace_otlp_find(const struct otrace_otlp *plan, uint32_t window, uint32_t track,
                     int64_t start_ns, int64_t end_ns, uint64_t *span_id);
/* Requests of a plan of requests, by window. */
struct otrace_otlp_request_info {
    uint8_t trace_id[16];
    uint64_t span_id, start_tick;
    int64_t start_ns, end_ns; /* end_ns -1: it goes on */
    uint32_t left;            /* 1: for a later plan, this one has no spans of it */
};
uint32_t otrace_otlp_count_requests(const struct otrace_otlp *plan);
void otrace_otlp_get_request(const struct otrace_otlp *plan, uint32_t window,
                             struct otrace_otlp_request_info *info);
/* Where the next plan of requests of the track goes on, apart from requests that were left; 1: with
 * requests that are there already. */
int otrace_otlp_next(const struct otrace_otlp *plan, uint64_t *tick);
/* Encoded fields of Span (copied) that the root of a request gets as well: its link to the run. */
int otrace_otlp_set_root(struct otrace_otlp *plan, const char *fields, size_t size);

/* Spans of a track in a window, as ScopeSpans' field `spans`, about `target` bytes a block.
 * *position is 0 at first. trace_id is 16 bytes; state may be empty. */
int otrace_otlp_encode(struct otrace_otlp *plan, uint32_t window, uint32_t track,
                       const uint8_t *trace_id, const char *state, size_t state_size, size_t target,
                       uint64_t *position, struct otrace_otlp_block *block);
/* Instants and counters of the thread's own span, as Span's field `events`. */
int otrace_otlp_encode_marks(struct otrace_otlp *plan, uint32_t window, uint32_t track,
                             struct otrace_otlp_block *block);

#endif
