/* Perfetto's native track events.
 *
 * Each track is one packet sequence with interned names and a clock of its own that counts from
 * packet to packet; all clocks hang on CLOCK_MONOTONIC by a snapshot at the sequence's start. */
#include "read/perfetto.h"

#include <stdlib.h>

#include "read/attributes.h"
#include "read/perfetto_fields.h"
#include "read/text.h"

#define PACKET_FAST_MAX 64u /* bytes of a begin or end packet without annotations */

void perfetto_begin_packet(struct otrace_perfetto *perfetto) {
    perfetto->message.size = 0;
    perfetto->packet = otrace_message_begin(&perfetto->message, TRACE_PACKET);
    otrace_message_varint(&perfetto->message, PACKET_SEQUENCE_ID, perfetto->sequence);
}

void perfetto_end_packet(struct otrace_perfetto *perfetto) {
    otrace_message_end(&perfetto->message, perfetto->packet);
    perfetto->output.failed |= perfetto->message.failed;
    otrace_output_append(&perfetto->output, perfetto->message.bytes, perfetto->message.size);
}

/* ---- the start of a sequence ---- */

static void add_clock(struct otrace_message *message, uint64_t id, uint64_t time) {
    size_t clock = otrace_message_begin(message, SNAPSHOT_CLOCKS);
    otrace_message_varint(message, CLOCK_ID, id);
    otrace_message_varint(message, CLOCK_TIMESTAMP, time);
    if (id == CLOCK_ID_SEQUENCE) {
        otrace_message_varint(message, CLOCK_INCREMENTAL, 1);
    }
    otrace_message_end(message, clock);
}

static void add_interned(struct otrace_message *message, uint32_t field, uint64_t iid,
                         const char *text, size_t size) {
    size_t entry = otrace_message_begin(message, field);
    otrace_message_varint(message, INTERNED_IID, iid);
    otrace_message_text(message, INTERNED_TEXT, text, size);
    otrace_message_end(message, entry);
}

static void write_start(struct otrace_perfetto *perfetto,
                        const struct otrace_perfetto_track *track) {
    static const char *const categories[] = PERFETTO_CATEGORIES;
    static const char *const annotations[] = PERFETTO_ANNOTATIONS;
    struct otrace_message *message = &perfetto->message;
    perfetto_begin_packet(perfetto);
    otrace_message_varint(message, PACKET_SEQUENCE_FLAGS, SEQUENCE_STATE_CLEARED);
    size_t defaults = otrace_message_begin(message, PACKET_DEFAULTS);
    otrace_message_varint(message, DEFAULTS_CLOCK_ID, CLOCK_ID_SEQUENCE);
    size_t events = otrace_message_begin(message, DEFAULTS_TRACK_EVENT);
    otrace_message_varint(message, TRACK_EVENT_DEFAULTS_TRACK, track->thread_uuid);
    otrace_message_end(message, events);
    otrace_message_end(message, defaults);
    size_t snapshot = otrace_message_begin(message, PACKET_CLOCK_SNAPSHOT);
    add_clock(message, CLOCK_ID_MONOTONIC, track->base_mono_ns);
    add_clock(message, CLOCK_ID_REALTIME, track->base_wall_ns);
    add_clock(message, CLOCK_ID_SEQUENCE, track->base_mono_ns);
    otrace_message_varint(message, SNAPSHOT_PRIMARY, CLOCK_ID_MONOTONIC);
    otrace_message_end(message, snapshot);
    perfetto_end_packet(perfetto);

    perfetto_begin_packet(perfetto);
    size_t interned = otrace_message_begin(message, PACKET_INTERNED_DATA);
    for (uint32_t i = 1; i < sizeof categories / sizeof categories[0]; i++) {
        add_interned(message, INTERNED_CATEGORIES, i, categories[i], strlen(categories[i]));
    }
    for (uint32_t i = 1; i < sizeof annotations / sizeof annotations[0]; i++) {
        add_interned(message, INTERNED_ANNOTATION_NAMES, i, annotations[i], strlen(annotations[i]));
    }
    otrace_message_end(message, interned);
    perfetto_end_packet(perfetto);

    perfetto_begin_packet(perfetto);
    size_t descriptor = otrace_message_begin(message, PACKET_TRACK_DESCRIPTOR);
    otrace_message_varint(message, TRACK_UUID, track->thread_uuid);
    otrace_message_varint(message, TRACK_PARENT, track->process_uuid);
    otrace_message_varint(message, TRACK_RANK, (uint64_t)(int64_t)track->order);
    size_t thread = otrace_message_begin(message, TRACK_THREAD);
    otrace_message_varint(message, THREAD_PID, track->pid);
    otrace_message_varint(message, THREAD_TID, track->tid);
    if (track->thread_name_size > 0) {
        otrace_message_text(message, THREAD_NAME, track->thread_name, track->thread_name_size);
    }
    otrace_message_end(message, thread);
    otrace_message_end(message, descriptor);
    perfetto_end_packet(perfetto);
}

int64_t otrace_perfetto_process(uint64_t process_uuid, uint32_t pid, const char *name,
                                size_t name_size, int32_t order, uint32_t sequence, char *buffer,
                                size_t capacity) {
    struct otrace_message message = {0};
    size_t packet = otrace_message_begin(&message, TRACE_PACKET);
    otrace_message_varint(&message, PACKET_SEQUENCE_ID, sequence);
    size_t descriptor = otrace_message_begin(&message, PACKET_TRACK_DESCRIPTOR);
    otrace_message_varint(&message, TRACK_UUID, process_uuid);
    otrace_message_varint(&message, TRACK_CHILD_ORDER, CHILD_ORDER_EXPLICIT);
    otrace_message_varint(&message, TRACK_RANK, (uint64_t)(int64_t)order);
    size_t process = otrace_message_begin(&message, TRACK_PROCESS);
    otrace_message_varint(&message, PROCESS_PID, pid);
    if (name != NULL) {
        otrace_message_text(&message, PROCESS_NAME, name, name_size);
    }
    otrace_message_end(&message, process);
    otrace_message_end(&message, descriptor);
    otrace_message_end(&message, packet);
    int64_t result = message.failed            ? OTRACE_READ_NO_MEMORY
                     : message.size > capacity ? OTRACE_READ_ARGUMENT
                                               : (int64_t)message.size;
    if (result > 0) {
        memcpy(buffer, message.bytes, message.size);
    }
    free(message.bytes);
    return result;
}

/* ---- names ---- */

/* An interned name's iid is its id + 1: ids of damaged records may be 0. */
void perfetto_intern(struct otrace_perfetto *perfetto, uint32_t id) {
    bool known = id <= perfetto->segment->names_count;
    if (known && perfetto->interned[id]) {
        return;
    }
    if (known) {
        perfetto->interned[id] = 1;
    }
    char unknown[32];
    struct otrace_name_info info;
    otrace_segment_get_name(perfetto->segment, id, &info);
    if (info.kind == 0) {
        info.display.text = unknown;
        info.display.size = (size_t)snprintf(unknown, sizeof unknown, "<unknown %u>", id);
    }
    struct otrace_message *message = &perfetto->message;
    perfetto_begin_packet(perfetto);
    size_t interned = otrace_message_begin(message, PACKET_INTERNED_DATA);
    add_interned(message, INTERNED_NAMES, id + UINT64_C(1), info.display.text, info.display.size);
    if (info.file.size > 0) {
        size_t source = otrace_message_begin(message, INTERNED_SOURCES);
        otrace_message_varint(message, SOURCE_IID, id + UINT64_C(1));
        otrace_message_text(message, SOURCE_FILE, info.file.text, info.file.size);
        otrace_message_varint(message, SOURCE_LINE, info.line);
        otrace_message_end(message, source);
        if (known) {
            perfetto->interned[id] = 2; /* has a source */
        }
    }
    otrace_message_end(message, interned);
    perfetto_end_packet(perfetto);
}

/* ---- begin and end packets of plain calls, written straight into the block ---- */

static inline uint32_t category_of(uint32_t flags) {
    return flags & OTRACE_CALL_EVENT ? PERFETTO_EVENT
           : flags & OTRACE_CALL_C   ? PERFETTO_C
                                     : PERFETTO_PYTHON;
}

/* `type, category, name, source` of a track event; at most 32 bytes. */
static inline char *write_call_fields(char *to, uint32_t id, uint32_t category, bool source) {
    *to++ = OTRACE_PROTO_TAG(EVENT_TYPE, OTRACE_PROTO_VARINT);
    *to++ = TYPE_BEGIN;
    *to++ = OTRACE_PROTO_TAG(EVENT_CATEGORY_IIDS, OTRACE_PROTO_VARINT);
    *to++ = (char)category;
    *to++ = OTRACE_PROTO_TAG(EVENT_NAME_IID, OTRACE_PROTO_VARINT);
    to = otrace_write_varint(to, id + UINT64_C(1));
    if (source) {
        to = otrace_write_varint(to, OTRACE_PROTO_TAG(EVENT_SOURCE_IID, OTRACE_PROTO_VARINT));
        to = otrace_write_varint(to, id + UINT64_C(1));
    }
    return to;
}

/* `timestamp, sequence` of a packet. */
static inline char *write_packet_head(struct otrace_perfetto *perfetto, char *to, int64_t ns) {
    *to++ = OTRACE_PROTO_TAG(PACKET_TIMESTAMP, OTRACE_PROTO_VARINT);
    to = otrace_write_varint(to, (uint64_t)(ns - perfetto->last_ns));
    perfetto->last_ns = ns;
    *to++ = OTRACE_PROTO_TAG(PACKET_SEQUENCE_ID, OTRACE_PROTO_VARINT);
    to = otrace_write_varint(to, perfetto->sequence);
    *to++ = OTRACE_PROTO_TAG(PACKET_TRACK_EVENT, OTRACE_PROTO_BYTES);
    return to;
}

static inline void write_begin(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    if (edge->id > perfetto->segment->names_count || perfetto->interned[edge->id] == 0) {
        perfetto_intern(perfetto, edge->id);
    }
    bool source = edge->id <= perfetto->segment->names_count && perfetto->interned[edge->id] == 2;
    char *start = otrace_output_reserve(&perfetto->output, PACKET_FAST_MAX);
    if (start == NULL) {
        return;
    }
    *start = OTRACE_PROTO_TAG(TRACE_PACKET, OTRACE_PROTO_BYTES);
    char *head = write_packet_head(perfetto, start + 2, edge->start_ns);
    char *to = write_call_fields(head + 1, edge->id, category_of(edge->flags), source);
    *head = (char)(to - head - 1);
    start[1] = (char)(to - start - 2); /* lengths below 128 are one byte */
    otrace_output_commit(&perfetto->output, to);
}

static inline void write_end(struct otrace_perfetto *perfetto, int64_t ns) {
    char *start = otrace_output_reserve(&perfetto->output, PACKET_FAST_MAX);
    if (start == NULL) {
        return;
    }
    *start = OTRACE_PROTO_TAG(TRACE_PACKET, OTRACE_PROTO_BYTES);
    char *to = write_packet_head(perfetto, start + 2, ns);
    *to++ = 2;
    *to++ = OTRACE_PROTO_TAG(EVENT_TYPE, OTRACE_PROTO_VARINT);
    *to++ = TYPE_END;
    start[1] = (char)(to - start - 2);
    otrace_output_commit(&perfetto->output, to);
}

/* ---- the cursor ---- */

int otrace_perfetto_new(struct otrace_segment *segment, uint32_t track_index,
                        const struct otrace_clock *clock, const struct otrace_perfetto_track *track,
                        struct otrace_perfetto **out) {
    struct otrace_perfetto *perfetto = *out = calloc(1, sizeof *perfetto);
    if (perfetto == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    perfetto->segment = segment;
    perfetto->sequence = track->sequence;
    perfetto->process_uuid = track->process_uuid;
    perfetto->thread_uuid = track->thread_uuid;
    perfetto->base_mono_ns = track->base_mono_ns;
    perfetto->interned = calloc((size_t)segment->names_count + 1, 1);
    int status = OTRACE_READ_NO_MEMORY;
    if (perfetto->interned != NULL) {
        status = otrace_decoder_new(segment, track_index, clock, OTRACE_DECODE_BEGINS,
                                    &perfetto->decoder);
    }
    if (status == 0) {
        otrace_output_begin(&perfetto->output, NULL, 0); /* waits in the spill */
        write_start(perfetto, track);
        perfetto_write_loss(perfetto, &segment->tracks[track_index], clock);
        status = perfetto->output.failed ? OTRACE_READ_NO_MEMORY : 0;
    }
    if (status != 0) {
        otrace_perfetto_free(perfetto);
        *out = NULL;
    }
    return status;
}

void otrace_perfetto_free(struct otrace_perfetto *perfetto) {
    if (perfetto != NULL) {
        otrace_decoder_free(perfetto->decoder);
        otrace_output_free(&perfetto->output);
        free(perfetto->message.bytes);
        free(perfetto->interned);
        free(perfetto->counters);
        free(perfetto);
    }
}

static void write_edge(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    if (edge->kind == OTRACE_EDGE_BEGIN && (edge->flags & ~(uint32_t)OTRACE_CALL_C) == 0) {
        write_begin(perfetto, edge);
    } else if (edge->kind == OTRACE_EDGE_END && edge->exception == 0 &&
               (edge->flags & PERFETTO_END_FLAGS) == 0 && edge->end_attributes.count == 0) {
        write_end(perfetto, edge->end_ns);
    } else {
        perfetto_write_special(perfetto, edge);
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
        write_edge(perfetto, &edge);
        if (output->spill_size > 0) {
            otrace_output_drain(output);
        }
    }
    *written = (size_t)(output->to - buffer);
    return output->failed ? OTRACE_READ_NO_MEMORY : status < 0 ? status : OTRACE_READ_OK;
}
