/* What must hold for any plan, whatever the segment is. Shared by test_otlp.c and fuzz_otlp.c. */
#ifndef OTRACE_TEST_OTLP_CHECK_H
#define OTRACE_TEST_OTLP_CHECK_H

#include "read/otlp.h"

struct otlp_limits {
    uint32_t max_spans, max_depth, windows;
    int64_t window_ns;
};

/* Plans all tracks of a segment; free with otrace_otlp_free. */
struct otrace_otlp *otlp_plan(struct otrace_segment *segment, const struct otrace_clock *clock,
                              const struct otlp_limits *limits);
/* Accounts, parents, times and bytes. */
void otlp_check(struct otrace_otlp *plan);

#endif
