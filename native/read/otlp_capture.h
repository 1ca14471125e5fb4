/* What a plan that is limited to one trace of a service knows of that trace. */
#ifndef OTRACE_READ_OTLP_CAPTURE_H
#define OTRACE_READ_OTLP_CAPTURE_H

#include "api_capture.h"
#include "read/otlp_coroutines.h"
#include "read/segment.h"

struct otrace_otlp_capture {
    struct otrace_capture_span *spans;
    uint32_t *parents; /* numbers of spans, or NONE */
    uint32_t *openers; /* span of the call that opened it, in the window, or NONE */
    uint32_t count;
    uint32_t *places; /* a hash table: 1 + number of a span by its id */
    uint32_t places_mask;
    int64_t start_ns, end_ns;
    int64_t last_ns; /* no call is shown to start or end later */
};

/* The number of the span with this id, or NONE. */
uint32_t otrace_otlp_capture_number(const struct otrace_otlp_capture *capture, uint64_t id);
/* The entries of a track that may hold records of this time: first and behind the last. */
void otrace_otlp_entries_in(const struct otrace_segment *segment, const struct otrace_track *track,
                            const struct otrace_clock *clock, int64_t start_ns, int64_t end_ns,
                            uint32_t *from, uint32_t *to);

#endif
