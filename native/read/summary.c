/* Totals of one track, in one pass. */
#include <string.h>

#include "read/decode.h"
#include "read/segment.h"

static void count_call(struct otrace_track_summary *summary, const struct otrace_edge *edge) {
    uint32_t flags = edge->flags;
    if (flags & OTRACE_CALL_EVENT) {
        summary->events++;
    } else if (flags & OTRACE_CALL_C) {
        summary->calls_c++;
    } else {
        summary->calls_python++;
    }
    summary->calls_open += (flags & OTRACE_CALL_OPEN) != 0;
    summary->calls_cut += (flags & OTRACE_CALL_CUT) != 0;
    summary->calls_inferred += (flags & OTRACE_CALL_INFERRED) != 0;
    if (edge->depth + 1 > summary->max_depth) {
        summary->max_depth = edge->depth + 1;
    }
}

int otrace_track_summarize(struct otrace_segment *segment, uint32_t track_index,
                           const struct otrace_clock *clock, struct otrace_track_summary *summary) {
    memset(summary, 0, sizeof *summary);
    struct otrace_decoder *decoder;
    int status = otrace_decoder_new(segment, track_index, clock, 0, &decoder);
    if (status != 0) {
        return status;
    }
    struct otrace_edge edge;
    while ((status = otrace_decoder_next(decoder, &edge)) > 0) {
        if (edge.kind == OTRACE_EDGE_INSTANT) {
            summary->instants++;
        } else if (edge.kind == OTRACE_EDGE_COUNTER) {
            summary->counters++;
        } else {
            count_call(summary, &edge);
        }
    }
    struct otrace_decode_counts counts;
    otrace_decoder_counts(decoder, &counts);
    otrace_decoder_free(decoder);
    summary->calls_short = counts.calls_short;
    summary->ends_without_begin = counts.ends_without_begin;
    summary->record_bytes = counts.words * sizeof(otrace_word);
    summary->gaps = counts.gaps;
    summary->taken_over = counts.taken_over;
    summary->first_ns = counts.first_ns;
    summary->last_ns = counts.last_ns;
    return status;
}
