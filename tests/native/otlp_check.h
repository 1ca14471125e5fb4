/* What must hold for any plan, whatever the segment is. Shared by test_otlp.c and fuzz_otlp.c. */
#ifndef OTRACE_TEST_OTLP_CHECK_H
#define OTRACE_TEST_OTLP_CHECK_H

#include "read/otlp.h"

struct otlp_limits {
    uint32_t max_spans, max_depth, windows;
    int64_t window_ns;
};

struct otlp_requests {
    const uint8_t *kinds; /* by name id */
    uint32_t count;
    struct otrace_otlp_range range;
};

/* Plans all tracks of a segment; free with otrace_otlp_free. */
struct otrace_otlp *otlp_plan(struct otrace_segment *segment, const struct otrace_clock *clock,
                              const struct otlp_limits *limits);
/* The same of one track's requests; here `windows` is the most at once. */
struct otrace_otlp *otlp_plan_requests(struct otrace_segment *segment, uint32_t track,
                                       const struct otrace_clock *clock,
                                       const struct otlp_limits *limits,
                                       const struct otlp_requests *requests);
/* Accounts, parents, times and bytes. */
void otlp_check(struct otrace_otlp *plan);

#endif
