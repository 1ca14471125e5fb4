/* The reading side's door for a service: the calls of one trace, out of a segment that goes on.
 *
 * A plan of api_otlp.h is limited, before any track is added, to the calls made while one of the
 * given spans was current. Their parents are the calls around them as far as those belong to the
 * same span, and then that span. The spans themselves are the caller's. */
#ifndef OTRACE_API_CAPTURE_H
#define OTRACE_API_CAPTURE_H

#include "api_otlp.h"

/* A span that the program made. Ids are the numbers that OpenTelemetry's SDK shows. */
struct otrace_capture_span {
    uint64_t id;
    uint64_t parent_id; /* another one of them, or 0 */
    int64_t start_ns;   /* after the clock's base */
};

/* Limits the plan, which must have one window, to calls that began from start_ns to end_ns. */
int otrace_capture_limit(struct otrace_otlp *plan, const struct otrace_capture_span *spans,
                         uint32_t count, int64_t start_ns, int64_t end_ns);
/* Tracks with records in that time, their indices: returns how many, `capacity` at most. */
uint32_t otrace_capture_tracks(const struct otrace_segment *segment,
                               const struct otrace_clock *clock, int64_t start_ns, int64_t end_ns,
                               uint32_t *indices, uint32_t capacity);
/* After collect: the span of the call that opened the span of this number, and its track; 0: none
 * is known, or it is none of the chosen ones. */
uint64_t otrace_capture_opener(const struct otrace_otlp *plan, uint32_t number, uint32_t *track);

#endif
