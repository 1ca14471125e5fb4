/* The program's own OpenTelemetry spans, which overlap as they like, in lanes where they nest. */
#ifndef OTRACE_READ_SPANS_H
#define OTRACE_READ_SPANS_H

#include <stdbool.h>
#include <stdint.h>

#include "read/attributes.h"
#include "read/decode.h"

struct otrace_span {
    int64_t start_ns, end_ns;
    uint64_t id, parent; /* parent 0: none */
    uint64_t trace[2];   /* high half first */
    uint32_t flags;      /* enum otrace_span_flag, with the kind and the status */
    uint32_t lane;
    bool cut;        /* it began before the recording */
    uint64_t offset; /* of its name and attributes in the words */
    uint32_t count;
};

struct otrace_spans {
    struct otrace_span *spans; /* by start, outer ones first */
    uint64_t count, capacity;
    otrace_word *words;
    uint64_t words_count, words_capacity;
    uint32_t lanes;
};

/* All spans that ended in a segment. Free with otrace_spans_free; 0 or a negative status. */
int otrace_spans_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                     struct otrace_spans **out);
void otrace_spans_free(struct otrace_spans *spans);

/* What a span is called, and its attributes. */
struct otrace_span_words {
    struct otrace_value name;
    struct otrace_attributes attributes;
};
struct otrace_span_words otrace_span_words(const struct otrace_spans *spans,
                                           const struct otrace_span *span);

const char *otrace_span_kind(const struct otrace_span *span);
const char *otrace_span_status(const struct otrace_span *span);

/* The span's place in Jaeger: "<page>/trace/<trace id>?uiFind=<span id>", to be freed. NULL for an
 * empty page, or without memory. */
char *otrace_span_link(const char *page, const struct otrace_span *span);
#define OTRACE_LANE_NAME_MAX 40u
void otrace_lane_name(char text[OTRACE_LANE_NAME_MAX], uint32_t lane);

#endif
