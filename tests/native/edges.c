#include "edges.h"

#include <string.h>
#include <unistd.h>

#include "check.h"
#include "read/decode.h"

static void write_flags(FILE *out, uint32_t flags) {
    static const char *const names[] = {"resumed", "yielded",  "unwound", "thrown", "cut",
                                        "open",    "inferred", "c",       "event",  "detached"};
    const char *before = " [";
    for (int i = 0; i < 10; i++) {
        if (flags >> i & 1) {
            fprintf(out, "%s%s", before, names[i]);
            before = " ";
        }
    }
    fprintf(out, "%s", flags == 0 ? "" : "]");
}

static void write_edge(FILE *out, const struct otrace_edge *edge) {
    switch (edge->kind) {
    case OTRACE_EDGE_BEGIN:
        fprintf(out, "begin %u at %" PRId64 " depth %u", edge->id, edge->start_ns, edge->depth);
        break;
    case OTRACE_EDGE_END:
        fprintf(out, "end %u %" PRId64 "..%" PRId64 " depth %u", edge->id, edge->start_ns,
                edge->end_ns, edge->depth);
        break;
    case OTRACE_EDGE_OPEN:
        fprintf(out, "open %u from %" PRId64 " depth %u", edge->id, edge->start_ns, edge->depth);
        break;
    case OTRACE_EDGE_EVENT:
        fprintf(out, "event %u %" PRId64 "..%" PRId64, edge->id, edge->start_ns, edge->end_ns);
        break;
    case OTRACE_EDGE_INSTANT:
        fprintf(out, "instant %u at %" PRId64 " scope %u", edge->id, edge->start_ns, edge->scope);
        break;
    case OTRACE_EDGE_FLOW:
        fprintf(out, "flow at %" PRId64 " depth %u", edge->start_ns, edge->depth);
        break;
    default:
        fprintf(out, "counter %u at %" PRId64, edge->id, edge->start_ns);
        break;
    }
    write_flags(out, edge->flags);
    if (edge->exception != 0) {
        fprintf(out, " !%u", edge->exception);
    }
    if (edge->instance != 0) {
        fprintf(out, " #%u (%u, %u)", edge->instance, edge->begin_attributes.count,
                edge->end_attributes.count);
    }
    if (edge->flow != 0) {
        fprintf(out, " ~%u +%u", edge->flow, edge->queued_us);
    }
    fprintf(out, "\n");
}

char *edges_text(const struct synth *synth, uint32_t index, uint32_t options) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int fd = synth_file(synth);
    struct otrace_segment *segment;
    struct otrace_read_problem problem;
    CHECK_EQUAL(otrace_segment_open(fd, &segment, &problem), 0);
    close(fd);
    struct otrace_clock *clock;
    CHECK_EQUAL(otrace_clock_new(synth->header->clock_kind, &clock), 0);
    CHECK_EQUAL(otrace_clock_add(clock, segment), 0);
    CHECK_EQUAL(otrace_clock_fit(clock, 1000), 0);
    struct otrace_decoder *decoder;
    CHECK_EQUAL(otrace_decoder_new(segment, index, clock, options, &decoder), 0);
    struct otrace_edge edge;
    int status;
    while ((status = otrace_decoder_next(decoder, &edge)) > 0) {
        write_edge(out, &edge);
    }
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(otrace_decoder_next(decoder, &edge), 0); /* the end stays the end */
    otrace_decoder_free(decoder);
    otrace_clock_free(clock);
    otrace_segment_free(segment);
    fclose(out);
    return text;
}

void edges_check(const struct synth *synth, uint32_t index, uint32_t options, const char *expected,
                 const char *file, int line) {
    char *text = edges_text(synth, index, options);
    if (strcmp(text, expected) != 0) {
        fprintf(stderr, "%s:%d: edges are\n%sand should be\n%s", file, line, text, expected);
        exit(1);
    }
    free(text);
}
