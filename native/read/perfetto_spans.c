/* The program's OpenTelemetry spans in a Perfetto trace: a track of the process for each lane. */
#include <inttypes.h>
#include <stdlib.h>

#include "read/perfetto.h"
#include "read/perfetto_fields.h"
#include "read/spans.h"

#define SPANS_RANK 900000u /* behind the threads, before the tasks */

enum track_kind { TRACK_LANE = 8 }; /* beside those of other files */

struct otrace_perfetto_spans {
    struct otrace_perfetto perfetto; /* without a decoder */
    struct otrace_spans *spans;
    uint64_t next;
    char *link; /* the viewer's address, or empty */
};

static uint64_t lane_uuid(const struct otrace_perfetto_spans *encoder, uint32_t lane) {
    return perfetto_track_uuid(encoder->perfetto.process_uuid, TRACK_LANE, lane);
}

static void describe_lane(struct otrace_perfetto_spans *encoder, uint32_t lane) {
    char name[OTRACE_LANE_NAME_MAX];
    otrace_lane_name(name, lane);
    perfetto_describe_track(&encoder->perfetto, lane_uuid(encoder, lane),
                            encoder->perfetto.process_uuid, name, strlen(name), SPANS_RANK + lane,
                            false);
}

static void add_text(struct otrace_message *message, const char *name, const char *text) {
    size_t annotation = otrace_message_begin(message, EVENT_ANNOTATIONS);
    otrace_message_text(message, ANNOTATION_NAME, name, strlen(name));
    otrace_message_text(message, ANNOTATION_STRING, text, strlen(text));
    otrace_message_end(message, annotation);
}

static void add_flag(struct otrace_message *message, const char *name, bool value) {
    size_t annotation = otrace_message_begin(message, EVENT_ANNOTATIONS);
    otrace_message_text(message, ANNOTATION_NAME, name, strlen(name));
    otrace_message_varint(message, ANNOTATION_BOOL, value);
    otrace_message_end(message, annotation);
}

static void add_link(struct otrace_perfetto_spans *encoder, const struct otrace_span *span) {
    char *whole = otrace_span_link(encoder->link, span);
    if (whole != NULL) {
        add_text(&encoder->perfetto.message, "jaeger", whole);
    }
    free(whole);
}

static void add_annotations(struct otrace_perfetto_spans *encoder, const struct otrace_span *span,
                            const struct otrace_attributes *attributes) {
    struct otrace_message *message = &encoder->perfetto.message;
    char text[40];
    snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, span->trace[0], span->trace[1]);
    add_text(message, "trace_id", text);
    snprintf(text, sizeof text, "%016" PRIx64, span->id);
    add_text(message, "span_id", text);
    if (span->parent != 0) {
        snprintf(text, sizeof text, "%016" PRIx64, span->parent);
        add_text(message, "parent_span_id", text);
    }
    add_text(message, "span_kind", otrace_span_kind(span));
    add_text(message, "span_status", otrace_span_status(span));
    if (!(span->flags & OTRACE_SPAN_SAMPLED)) {
        add_flag(message, "sampled", false);
    }
    if (span->flags & OTRACE_SPAN_CUT) {
        add_flag(message, "attributes_cut", true);
    }
    if (span->cut) {
        add_flag(message, "cut", true);
    }
    add_link(encoder, span);
    perfetto_add_attributes(&encoder->perfetto, attributes);
}

static void write_span(struct otrace_perfetto_spans *encoder, const struct otrace_span *span) {
    struct otrace_perfetto *perfetto = &encoder->perfetto;
    struct otrace_span_words words = otrace_span_words(encoder->spans, span);
    uint64_t track = lane_uuid(encoder, span->lane);
    size_t event = perfetto_begin_event_at(perfetto, span->start_ns, TYPE_BEGIN, track);
    otrace_message_text(&perfetto->message, EVENT_CATEGORY, "span", 4);
    otrace_message_text(&perfetto->message, EVENT_NAME, (const char *)words.name.payload,
                        words.name.size);
    add_annotations(encoder, span, &words.attributes);
    perfetto_end_event(perfetto, event);
    perfetto_end_event(perfetto, perfetto_begin_event_at(perfetto, span->end_ns, TYPE_END, track));
}

int otrace_perfetto_spans_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                              const struct otrace_perfetto_track *track, const char *link,
                              struct otrace_perfetto_spans **out) {
    struct otrace_perfetto_spans *encoder = *out = calloc(1, sizeof *encoder);
    if (encoder == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    struct otrace_perfetto *perfetto = &encoder->perfetto;
    perfetto->segment = segment;
    perfetto->sequence = track->sequence;
    perfetto->process_uuid = track->process_uuid;
    perfetto->base_mono_ns = track->base_mono_ns;
    encoder->link = malloc(strlen(link) + 1);
    int status = encoder->link == NULL ? OTRACE_READ_NO_MEMORY
                                       : otrace_spans_new(segment, clock, &encoder->spans);
    if (status != 0) {
        otrace_perfetto_spans_free(encoder);
        *out = NULL;
        return status;
    }
    strcpy(encoder->link, link);
    otrace_output_begin(&perfetto->output, NULL, 0); /* waits in the spill */
    if (encoder->spans->count > 0) {
        perfetto_write_state(perfetto, track);
    }
    for (uint32_t lane = 0; lane < encoder->spans->lanes; lane++) {
        describe_lane(encoder, lane);
    }
    return 0;
}

void otrace_perfetto_spans_free(struct otrace_perfetto_spans *encoder) {
    if (encoder != NULL) {
        otrace_spans_free(encoder->spans);
        otrace_output_free(&encoder->perfetto.output);
        free(encoder->perfetto.message.bytes);
        free(encoder->link);
        free(encoder);
    }
}

static int write_next(void *cursor) {
    struct otrace_perfetto_spans *encoder = cursor;
    if (encoder->next == encoder->spans->count) {
        return 0;
    }
    write_span(encoder, &encoder->spans->spans[encoder->next++]);
    return 1;
}

int otrace_perfetto_spans_next(struct otrace_perfetto_spans *encoder, char *buffer, size_t capacity,
                               size_t *written) {
    return otrace_output_fill(&encoder->perfetto.output, buffer, capacity, written, write_next,
                              encoder);
}
