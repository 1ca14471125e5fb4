/* Perfetto's native track events.
 *
 * Each track is one packet sequence with interned names and a clock of its own that counts from
 * packet to packet; all clocks hang on CLOCK_MONOTONIC by a snapshot at the sequence's start.
 * Packets of calls, by far the most, are put together from ready pieces straight in the block. */
#include "read/perfetto.h"

#include <stdlib.h>

#include "read/perfetto_fields.h"

#define PACKET_CALL_MAX 120u /* bytes of a call's begin or end packet: lengths are one byte */
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* ---- annotations of calls ---- */

static char *write_flag(char *to, uint32_t name) {
    *to++ = OTRACE_PROTO_TAG(EVENT_ANNOTATIONS, OTRACE_PROTO_BYTES);
    *to++ = 4;
    *to++ = OTRACE_PROTO_TAG(ANNOTATION_NAME_IID, OTRACE_PROTO_VARINT);
    *to++ = (char)name;
    *to++ = OTRACE_PROTO_TAG(ANNOTATION_BOOL, OTRACE_PROTO_VARINT);
    *to++ = 1;
    return to;
}

static char *write_text(char *to, uint32_t name, uint64_t text_iid) {
    *to++ = OTRACE_PROTO_TAG(EVENT_ANNOTATIONS, OTRACE_PROTO_BYTES);
    char *size = to++;
    *to++ = OTRACE_PROTO_TAG(ANNOTATION_NAME_IID, OTRACE_PROTO_VARINT);
    *to++ = (char)name;
    to = otrace_write_varint(to, OTRACE_PROTO_TAG(ANNOTATION_STRING_IID, OTRACE_PROTO_VARINT));
    to = otrace_write_varint(to, text_iid);
    *size = (char)(to - size - 1);
    return to;
}

char *perfetto_write_begin_flags(char *to, uint32_t flags) {
    to = flags & OTRACE_CALL_RESUMED ? write_flag(to, PERFETTO_RESUMED) : to;
    to = flags & OTRACE_CALL_THROWN ? write_flag(to, PERFETTO_THROWN) : to;
    return flags & OTRACE_CALL_CUT ? write_flag(to, PERFETTO_CUT) : to;
}

char *perfetto_write_end_flags(char *to, uint32_t flags, uint64_t exception_iid) {
    to = flags & OTRACE_CALL_YIELDED ? write_text(to, PERFETTO_ENDED, PERFETTO_YIELD) : to;
    to = flags & OTRACE_CALL_UNWOUND ? write_text(to, PERFETTO_ENDED, PERFETTO_UNWIND) : to;
    to = exception_iid != 0 ? write_text(to, PERFETTO_EXCEPTION, exception_iid) : to;
    return flags & OTRACE_CALL_INFERRED ? write_flag(to, PERFETTO_INFERRED) : to;
}

static char *write_queued(char *to, uint32_t queued_us) {
    *to++ = OTRACE_PROTO_TAG(EVENT_ANNOTATIONS, OTRACE_PROTO_BYTES);
    char *size = to++;
    *to++ = OTRACE_PROTO_TAG(ANNOTATION_NAME_IID, OTRACE_PROTO_VARINT);
    *to++ = PERFETTO_QUEUED;
    *to++ = OTRACE_PROTO_TAG(ANNOTATION_INT, OTRACE_PROTO_VARINT);
    to = otrace_write_varint(to, queued_us);
    *size = (char)(to - size - 1);
    return to;
}

/* ---- calls ---- */

/* `timestamp, sequence, track event` of a packet that starts at `to`. */
static inline char *write_head(struct otrace_perfetto *perfetto, char *to, int64_t ns) {
    *to++ = OTRACE_PROTO_TAG(TRACE_PACKET, OTRACE_PROTO_BYTES);
    to++; /* its length */
    *to++ = OTRACE_PROTO_TAG(PACKET_TIMESTAMP, OTRACE_PROTO_VARINT);
    to = otrace_write_varint(to, (uint64_t)(ns - perfetto->last_ns));
    perfetto->last_ns = ns;
    memcpy(to, perfetto->head, sizeof perfetto->head);
    return to + perfetto->head_size;
}

/* The track of a call that lies too deep for the thread's, else 0. It may have to be described:
 * before a packet is begun. */
static inline uint64_t deeper_track(struct otrace_perfetto *perfetto, uint32_t depth) {
    return UNLIKELY(depth >= PERFETTO_DEPTH) ? perfetto_track_at(perfetto, depth) : 0;
}

/* The end of an event that began behind its length at `event`, and of its packet. */
static inline void end_packet(struct otrace_perfetto *perfetto, char *packet, char *event, char *to,
                              uint64_t track) {
    if (UNLIKELY(track != 0)) {
        *to++ = OTRACE_PROTO_TAG(EVENT_TRACK, OTRACE_PROTO_VARINT);
        to = otrace_write_varint(to, track);
    }
    *event = (char)(to - event - 1);
    packet[1] = (char)(to - packet - 2);
    otrace_output_commit(&perfetto->output, to);
}

static inline void write_begin(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    perfetto->encoded.calls++;
    const struct otrace_segment *segment = perfetto->segment;
    struct perfetto_name *known =
        edge->id <= segment->names_count ? perfetto->names + edge->id : &perfetto->stranger;
    const struct perfetto_name *name = known;
    if (UNLIKELY(known->sights-- == 0)) {
        name = perfetto_see_name(perfetto, edge->id);
    }
    uint64_t track = deeper_track(perfetto, edge->depth);
    char *packet = otrace_output_reserve(&perfetto->output, PACKET_CALL_MAX);
    if (packet == NULL) {
        return;
    }
    char *event = write_head(perfetto, packet, edge->start_ns), *to = event + 1;
    memcpy(to, name->begin, sizeof name->begin);
    to[PERFETTO_CATEGORY_AT] = edge->flags & OTRACE_CALL_C ? PERFETTO_C : PERFETTO_PYTHON;
    to += name->size;
    if (edge->flags & PERFETTO_BEGIN_FLAGS) {
        to = perfetto_write_begin_flags(to, edge->flags);
    }
    if (UNLIKELY(edge->flow != 0)) {
        to = write_queued(to, edge->queued_us);
    }
    end_packet(perfetto, packet, event, to, track);
    if (UNLIKELY(edge->flow != 0)) {
        perfetto_write_flow(perfetto, edge);
    }
}

static inline void write_end(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    uint64_t exception_iid = 0, track = deeper_track(perfetto, edge->depth);
    if (UNLIKELY(edge->exception != 0)) {
        exception_iid = perfetto_text(perfetto, edge->exception);
    }
    char *packet = otrace_output_reserve(&perfetto->output, PACKET_CALL_MAX);
    if (packet == NULL) {
        return;
    }
    char *event = write_head(perfetto, packet, edge->end_ns), *to = event + 1;
    *to++ = OTRACE_PROTO_TAG(EVENT_TYPE, OTRACE_PROTO_VARINT);
    *to++ = TYPE_END;
    if (edge->flags & PERFETTO_END_FLAGS || exception_iid != 0) {
        to = perfetto_write_end_flags(to, edge->flags, exception_iid);
    }
    end_packet(perfetto, packet, event, to, track);
}

/* ---- the cursor ---- */

static int start(struct otrace_perfetto *perfetto, uint32_t track_index,
                 const struct otrace_clock *clock, const struct otrace_perfetto_track *track) {
    perfetto->names = calloc((size_t)perfetto->segment->names_count + 1, sizeof *perfetto->names);
    perfetto->thread_name = malloc(track->thread_name_size + 1);
    if (perfetto->names == NULL || perfetto->thread_name == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    memcpy(perfetto->thread_name, track->thread_name, track->thread_name_size);
    int status = otrace_decoder_new(perfetto->segment, track_index, clock,
                                    OTRACE_DECODE_BEGINS | OTRACE_DECODE_FLOWS, &perfetto->decoder);
    if (status == 0) {
        otrace_output_begin(&perfetto->output, NULL, 0); /* waits in the spill */
        perfetto_write_start(perfetto, track);
        perfetto_write_loss(perfetto, &perfetto->segment->tracks[track_index], clock);
        status = perfetto->output.failed ? OTRACE_READ_NO_MEMORY : 0;
    }
    return status;
}

int otrace_perfetto_new(struct otrace_segment *segment, uint32_t track_index,
                        const struct otrace_clock *clock, const struct otrace_perfetto_track *track,
                        struct otrace_perfetto **out) {
    struct otrace_perfetto *perfetto = *out = calloc(1, sizeof *perfetto);
    if (perfetto == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    perfetto->segment = segment;
    perfetto->encoded.first_ns = -1;
    perfetto->sequence = track->sequence;
    perfetto->process_uuid = track->process_uuid;
    perfetto->thread_uuid = track->thread_uuid;
    perfetto->base_mono_ns = track->base_mono_ns;
    perfetto->thread_name_size = track->thread_name_size;
    char *to = perfetto->head;
    *to++ = OTRACE_PROTO_TAG(PACKET_SEQUENCE_ID, OTRACE_PROTO_VARINT);
    to = otrace_write_varint(to, track->sequence);
    *to++ = OTRACE_PROTO_TAG(PACKET_TRACK_EVENT, OTRACE_PROTO_BYTES);
    perfetto->head_size = (uint32_t)(to - perfetto->head);
    int status = start(perfetto, track_index, clock, track);
    if (status != 0) {
        otrace_perfetto_free(perfetto);
        *out = NULL;
    }
    return status;
}

void otrace_perfetto_encoded(const struct otrace_perfetto *perfetto,
                             struct otrace_encoded *encoded) {
    *encoded = perfetto->encoded;
}

void otrace_perfetto_free(struct otrace_perfetto *perfetto) {
    if (perfetto != NULL) {
        otrace_decoder_free(perfetto->decoder);
        otrace_output_free(&perfetto->output);
        free(perfetto->message.bytes);
        free(perfetto->thread_name);
        free(perfetto->names);
        free(perfetto->counters);
        free(perfetto);
    }
}

int otrace_perfetto_next(struct otrace_perfetto *perfetto, char *buffer, size_t capacity,
                         size_t *written) {
    struct otrace_output *output = &perfetto->output;
    struct otrace_edge edge;
    int status = 1;
    *written = 0;
    if (capacity < OTRACE_BLOCK_MIN) {
        return OTRACE_READ_ARGUMENT;
    }
    otrace_output_begin(output, buffer, capacity);
    while (!otrace_output_full(output) &&
           (status = otrace_decoder_next(perfetto->decoder, &edge)) > 0) {
        if (UNLIKELY(perfetto->encoded.first_ns < 0) && edge.kind == OTRACE_EDGE_BEGIN) {
            perfetto->encoded.first_ns = edge.start_ns;
        }
        bool call = !(edge.flags & OTRACE_CALL_EVENT);
        if (edge.kind == OTRACE_EDGE_BEGIN && call) {
            write_begin(perfetto, &edge);
        } else if (edge.kind == OTRACE_EDGE_END && call) {
            write_end(perfetto, &edge);
        } else {
            perfetto_write_special(perfetto, &edge);
        }
        if (output->spill_size > 0) {
            otrace_output_drain(output);
        }
    }
    *written = (size_t)(output->to - buffer);
    return output->failed ? OTRACE_READ_NO_MEMORY : status < 0 ? status : OTRACE_READ_OK;
}
