/* The program's OpenTelemetry spans in a Chrome trace: rows of threads that stand for lanes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "read/chrome_names.h"
#include "read/json.h"
#include "read/segment.h"
#include "read/spans.h"

#define BASE_NS 1000u /* what ts says at the start */

struct otrace_chrome_spans {
    struct otrace_segment *segment;
    struct otrace_spans *spans;
    struct otrace_output output;
    uint64_t pid, tid, next;
    char *link; /* the viewer's address, or empty */
};

static void append_text(struct otrace_output *output, const char *text) {
    otrace_output_append(output, text, strlen(text));
}

static void append_lane(struct otrace_chrome_spans *encoder, uint32_t lane) {
    char row[160], name[OTRACE_LANE_NAME_MAX];
    otrace_lane_name(name, lane);
    snprintf(row, sizeof row,
             "{\"ph\":\"M\",\"pid\":%" PRIu64 ",\"tid\":%" PRIu64
             ",\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}},\n",
             encoder->pid, encoder->tid + lane, name);
    append_text(&encoder->output, row);
}

/* `,"key":"value"` of a text that needs no escapes. */
static void append_plain(struct otrace_output *output, const char *key, const char *value) {
    APPEND(output, ",\"");
    append_text(output, key);
    APPEND(output, "\":\"");
    append_text(output, value);
    APPEND(output, "\"");
}

static void append_link(struct otrace_chrome_spans *encoder, const struct otrace_span *span) {
    struct otrace_output *output = &encoder->output;
    char *whole = otrace_span_link(encoder->link, span);
    if (whole != NULL) {
        APPEND(output, ",\"jaeger\":");
        otrace_json_string(output, whole, strlen(whole));
    }
    free(whole);
}

static void append_attributes(struct otrace_chrome_spans *encoder,
                              const struct otrace_attributes *attributes) {
    struct otrace_output *output = &encoder->output;
    struct otrace_values values = otrace_values_of(attributes);
    struct otrace_value value;
    struct otrace_name_info key;
    uint32_t id;
    while (otrace_attributes_next(&values, &id, &value)) {
        otrace_segment_get_name(encoder->segment, id, &key);
        APPEND(output, ",");
        otrace_json_string(output, key.display.text, key.display.size);
        APPEND(output, ":");
        otrace_json_value(output, &value);
    }
}

static void append_args(struct otrace_chrome_spans *encoder, const struct otrace_span *span,
                        const struct otrace_attributes *attributes) {
    struct otrace_output *output = &encoder->output;
    char text[96];
    snprintf(text, sizeof text, ",\"args\":{\"trace_id\":\"%016" PRIx64 "%016" PRIx64 "\"",
             span->trace[0], span->trace[1]);
    append_text(output, text);
    snprintf(text, sizeof text, "%016" PRIx64, span->id);
    append_plain(output, "span_id", text);
    if (span->parent != 0) {
        snprintf(text, sizeof text, "%016" PRIx64, span->parent);
        append_plain(output, "parent_span_id", text);
    }
    append_plain(output, "span_kind", otrace_span_kind(span));
    append_plain(output, "span_status", otrace_span_status(span));
    append_text(output, span->flags & OTRACE_SPAN_SAMPLED ? "" : ",\"sampled\":false");
    append_text(output, span->flags & OTRACE_SPAN_CUT ? ",\"attributes_cut\":true" : "");
    append_text(output, span->cut ? ",\"cut\":true" : "");
    append_link(encoder, span);
    append_attributes(encoder, attributes);
    APPEND(output, "}},\n");
}

static void append_span(struct otrace_chrome_spans *encoder, const struct otrace_span *span) {
    struct otrace_output *output = &encoder->output;
    struct otrace_span_words words = otrace_span_words(encoder->spans, span);
    char row[96], times[64];
    snprintf(row, sizeof row,
             "{\"ph\":\"X\",\"pid\":%" PRIu64 ",\"tid\":%" PRIu64 ",\"ts\":", encoder->pid,
             encoder->tid + span->lane);
    append_text(output, row);
    char *to = otrace_write_micros(times, (uint64_t)span->start_ns + BASE_NS);
    to = WRITE(to, ",\"dur\":");
    to = otrace_write_micros(to, (uint64_t)(span->end_ns - span->start_ns));
    otrace_output_append(output, times, (size_t)(to - times));
    struct otrace_text name = {(const char *)words.name.payload, words.name.size};
    otrace_chrome_append_name(output, name, "span");
    append_args(encoder, span, &words.attributes);
}

int otrace_chrome_spans_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                            uint64_t pid, uint64_t first_tid, const char *link,
                            struct otrace_chrome_spans **out) {
    struct otrace_chrome_spans *encoder = *out = calloc(1, sizeof *encoder);
    if (encoder == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    encoder->segment = segment;
    encoder->pid = pid;
    encoder->tid = first_tid;
    encoder->link = malloc(strlen(link) + 1);
    int status = encoder->link == NULL ? OTRACE_READ_NO_MEMORY
                                       : otrace_spans_new(segment, clock, &encoder->spans);
    if (status != 0) {
        otrace_chrome_spans_free(encoder);
        *out = NULL;
        return status;
    }
    strcpy(encoder->link, link);
    otrace_output_begin(&encoder->output, NULL, 0); /* waits in the spill */
    for (uint32_t lane = 0; lane < encoder->spans->lanes; lane++) {
        append_lane(encoder, lane);
    }
    return 0;
}

uint32_t otrace_chrome_spans_lanes(const struct otrace_chrome_spans *encoder) {
    return encoder->spans->lanes;
}

void otrace_chrome_spans_free(struct otrace_chrome_spans *encoder) {
    if (encoder != NULL) {
        otrace_spans_free(encoder->spans);
        otrace_output_free(&encoder->output);
        free(encoder->link);
        free(encoder);
    }
}

static int write_next(void *cursor) {
    struct otrace_chrome_spans *encoder = cursor;
    if (encoder->next == encoder->spans->count) {
        return 0;
    }
    append_span(encoder, &encoder->spans->spans[encoder->next++]);
    return 1;
}

int otrace_chrome_spans_next(struct otrace_chrome_spans *encoder, char *buffer, size_t capacity,
                             size_t *written) {
    return otrace_output_fill(&encoder->output, buffer, capacity, written, write_next, encoder);
}
