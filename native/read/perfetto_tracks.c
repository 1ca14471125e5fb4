/* What a sequence starts with, its tracks, and the names that it interns. */
#include <stdlib.h>

#include "read/perfetto.h"
#include "read/perfetto_fields.h"
#include "read/text.h"

/* A name seen this often gets an iid of one byte, while there are some. */
#define SIGHTS_OFTEN 64u
#define IID_SHORT_MAX 127u

enum track_kind { TRACK_DEEPER = 4 }; /* beside those of perfetto_special.c */

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

static void add_constants(struct otrace_message *message, uint32_t field, const char *const *texts,
                          uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        add_interned(message, field, i, texts[i], strlen(texts[i]));
    }
}

void perfetto_write_state(struct otrace_perfetto *perfetto,
                          const struct otrace_perfetto_track *track) {
    static const char *const categories[] = PERFETTO_CATEGORIES;
    static const char *const annotations[] = PERFETTO_ANNOTATIONS;
    static const char *const texts[] = PERFETTO_TEXTS;
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
    add_constants(message, INTERNED_CATEGORIES, categories,
                  sizeof categories / sizeof categories[0]);
    add_constants(message, INTERNED_ANNOTATION_NAMES, annotations,
                  sizeof annotations / sizeof annotations[0]);
    add_constants(message, INTERNED_ANNOTATION_TEXTS, texts, sizeof texts / sizeof texts[0]);
    otrace_message_end(message, interned);
    perfetto_end_packet(perfetto);
}

void perfetto_write_start(struct otrace_perfetto *perfetto,
                          const struct otrace_perfetto_track *track) {
    struct otrace_message *message = &perfetto->message;
    perfetto_write_state(perfetto, track);
    perfetto_begin_packet(perfetto);
    size_t descriptor = otrace_message_begin(message, PACKET_TRACK_DESCRIPTOR);
    otrace_message_varint(message, TRACK_UUID, track->thread_uuid);
    otrace_message_varint(message, TRACK_PARENT, track->process_uuid);
    otrace_message_varint(message, TRACK_CHILD_ORDER, CHILD_ORDER_EXPLICIT);
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
    return otrace_message_finish(&message, buffer, capacity);
}

/* ---- tracks beside the thread's ---- */

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

uint64_t perfetto_track_uuid(uint64_t parent, uint64_t first, uint64_t second) {
    uint64_t uuid = mix(mix(mix(parent) + first) + second);
    return uuid == 0 ? 1 : uuid;
}

void perfetto_describe_track(struct otrace_perfetto *perfetto, uint64_t uuid, uint64_t parent,
                             const char *name, size_t size, uint32_t rank, bool counter) {
    struct otrace_message *message = &perfetto->message;
    perfetto_begin_packet(perfetto);
    size_t descriptor = otrace_message_begin(message, PACKET_TRACK_DESCRIPTOR);
    otrace_message_varint(message, TRACK_UUID, uuid);
    otrace_message_varint(message, TRACK_PARENT, parent);
    otrace_message_varint(message, TRACK_RANK, rank);
    otrace_message_text(message, TRACK_NAME, name, size);
    if (counter) {
        otrace_message_end(message, otrace_message_begin(message, TRACK_COUNTER));
    }
    otrace_message_end(message, descriptor);
    perfetto_end_packet(perfetto);
}

static void describe_deeper(struct otrace_perfetto *perfetto, uint32_t number) {
    char *name = malloc(perfetto->thread_name_size + 32);
    if (name == NULL) {
        perfetto->output.failed = true;
        return;
    }
    char *to = otrace_write_bytes(name, perfetto->thread_name, perfetto->thread_name_size);
    to += snprintf(to, 32, " (deeper, %u)", number);
    perfetto_describe_track(perfetto,
                            perfetto_track_uuid(perfetto->thread_uuid, TRACK_DEEPER, number),
                            perfetto->thread_uuid, name, (size_t)(to - name), number, false);
    free(name);
}

uint64_t perfetto_track_at(struct otrace_perfetto *perfetto, uint32_t depth) {
    uint32_t number = depth / PERFETTO_DEPTH;
    if (number == 0) {
        return perfetto->thread_uuid;
    }
    while (perfetto->deeper < number) {
        describe_deeper(perfetto, ++perfetto->deeper);
    }
    return perfetto_track_uuid(perfetto->thread_uuid, TRACK_DEEPER, number);
}

/* ---- names ---- */

struct otrace_text perfetto_name_of(const struct otrace_perfetto *perfetto, uint32_t id) {
    struct otrace_name_info info;
    otrace_segment_get_name(perfetto->segment, id, &info);
    return info.kind != 0 ? info.display : (struct otrace_text){"<unknown>", 9};
}

static void prepare_begin(struct perfetto_name *name) {
    char *to = name->begin;
    *to++ = OTRACE_PROTO_TAG(EVENT_TYPE, OTRACE_PROTO_VARINT);
    *to++ = TYPE_BEGIN;
    *to++ = OTRACE_PROTO_TAG(EVENT_CATEGORY_IIDS, OTRACE_PROTO_VARINT);
    *to++ = 0; /* PERFETTO_CATEGORY_AT */
    *to++ = OTRACE_PROTO_TAG(EVENT_NAME_IID, OTRACE_PROTO_VARINT);
    to = otrace_write_varint(to, name->iid);
    if (name->has_source) {
        to = otrace_write_varint(to, OTRACE_PROTO_TAG(EVENT_SOURCE_IID, OTRACE_PROTO_VARINT));
        to = otrace_write_varint(to, name->iid);
    }
    name->size = (uint8_t)(to - name->begin);
}

static void write_name(struct otrace_perfetto *perfetto, struct perfetto_name *name, uint32_t id) {
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
    add_interned(message, INTERNED_NAMES, name->iid, info.display.text, info.display.size);
    name->has_source = info.file.size > 0;
    if (name->has_source) {
        size_t source = otrace_message_begin(message, INTERNED_SOURCES);
        otrace_message_varint(message, SOURCE_IID, name->iid);
        otrace_message_text(message, SOURCE_FILE, info.file.text, info.file.size);
        otrace_message_varint(message, SOURCE_LINE, info.line);
        otrace_message_end(message, source);
    }
    otrace_message_end(message, interned);
    perfetto_end_packet(perfetto);
    prepare_begin(name);
}

const struct perfetto_name *perfetto_see_name(struct otrace_perfetto *perfetto, uint32_t id) {
    uint64_t iid_long = id + UINT64_C(1) + IID_SHORT_MAX;
    if (id > perfetto->segment->names_count) {
        struct perfetto_name *stranger = &perfetto->stranger;
        stranger->iid = iid_long;
        stranger->sights = 0; /* the next one is another */
        write_name(perfetto, stranger, id);
        return stranger;
    }
    struct perfetto_name *name = &perfetto->names[id];
    if (name->iid == 0) {
        name->iid = iid_long;
        name->sights = SIGHTS_OFTEN;
        write_name(perfetto, name, id);
    } else if (name->sights == UINT8_MAX && name->iid > IID_SHORT_MAX &&
               perfetto->iids_short < IID_SHORT_MAX) {
        name->iid = ++perfetto->iids_short;
        write_name(perfetto, name, id);
    }
    return name;
}

uint64_t perfetto_text(struct otrace_perfetto *perfetto, uint32_t id) {
    uint64_t iid = (uint64_t)id + PERFETTO_FIRST_TEXT;
    bool known = id <= perfetto->segment->names_count;
    if (!known || !perfetto->names[id].is_text) {
        struct otrace_text text = perfetto_name_of(perfetto, id);
        perfetto_begin_packet(perfetto);
        size_t interned = otrace_message_begin(&perfetto->message, PACKET_INTERNED_DATA);
        add_interned(&perfetto->message, INTERNED_ANNOTATION_TEXTS, iid, text.text, text.size);
        otrace_message_end(&perfetto->message, interned);
        perfetto_end_packet(perfetto);
        if (known) {
            perfetto->names[id].is_text = true;
        }
    }
    return iid;
}
