/* Packets of events, instants, counters and losses. */
#include <stdlib.h>

#include "read/attributes.h"
#include "read/perfetto.h"
#include "read/perfetto_fields.h"
#include "read/text.h"

#define COUNTERS_MAX (1u << 16) /* beyond it a counter track may be described again */

/* ---- annotations ---- */

static void add_number(struct otrace_message *message, uint32_t name, uint64_t number) {
    size_t annotation = otrace_message_begin(message, EVENT_ANNOTATIONS);
    otrace_message_varint(message, ANNOTATION_NAME_IID, name);
    otrace_message_varint(message, ANNOTATION_INT, number);
    otrace_message_end(message, annotation);
}

static void add_begin_flags(struct otrace_message *message, uint32_t flags) {
    char *to = otrace_message_reserve(message, PERFETTO_FLAGS_MAX);
    if (to != NULL) {
        message->size = (size_t)(perfetto_write_begin_flags(to, flags) - message->bytes);
    }
}

static void add_end_flags(struct otrace_message *message, uint32_t flags, uint64_t exception_iid) {
    char *to = otrace_message_reserve(message, PERFETTO_FLAGS_MAX);
    if (to != NULL) {
        message->size =
            (size_t)(perfetto_write_end_flags(to, flags, exception_iid) - message->bytes);
    }
}

static void add_value(struct otrace_message *message, const struct otrace_value *value, int depth);

static void add_list(struct otrace_message *message, const struct otrace_value *list, int depth) {
    struct otrace_values values = otrace_values_in(list);
    struct otrace_value value;
    while (depth < OTRACE_VALUE_DEPTH_MAX && otrace_values_next(&values, &value)) {
        size_t item = otrace_message_begin(message, ANNOTATION_ARRAY);
        add_value(message, &value, depth + 1);
        otrace_message_end(message, item);
    }
}

static void add_value(struct otrace_message *message, const struct otrace_value *value, int depth) {
    switch (value->type) {
    case OTRACE_VALUE_FALSE:
    case OTRACE_VALUE_TRUE:
        otrace_message_varint(message, ANNOTATION_BOOL, value->type == OTRACE_VALUE_TRUE);
        break;
    case OTRACE_VALUE_INT:
        otrace_message_varint(message, ANNOTATION_INT, (uint64_t)otrace_value_int(value));
        break;
    case OTRACE_VALUE_FLOAT:
        otrace_message_double(message, ANNOTATION_DOUBLE, otrace_value_float(value));
        break;
    case OTRACE_VALUE_TEXT:
    case OTRACE_VALUE_BIGINT:
    case OTRACE_VALUE_REPR: {
        size_t text = otrace_message_begin(message, ANNOTATION_STRING);
        char *to = otrace_message_reserve(message, (size_t)value->size * OTRACE_UTF8_GROWTH + 3);
        if (to != NULL) {
            to = otrace_write_utf8(to, (const char *)value->payload, value->size);
            to = value->cut ? otrace_write_bytes(to, "\xe2\x80\xa6", 3) : to;
            message->size = (size_t)(to - message->bytes);
            otrace_message_end(message, text);
        }
        break;
    }
    case OTRACE_VALUE_LIST:
        add_list(message, value, depth);
        break;
    default:
        otrace_message_text(message, ANNOTATION_STRING, "None", 4);
        break;
    }
}

void perfetto_add_attributes(struct otrace_perfetto *perfetto,
                             const struct otrace_attributes *attributes) {
    struct otrace_message *message = &perfetto->message;
    struct otrace_values values = otrace_values_of(attributes);
    struct otrace_value value;
    uint32_t key;
    while (otrace_attributes_next(&values, &key, &value)) {
        size_t annotation = otrace_message_begin(message, EVENT_ANNOTATIONS);
        struct otrace_text name = perfetto_name_of(perfetto, key);
        otrace_message_text(message, ANNOTATION_NAME, name.text, name.size);
        add_value(message, &value, 0);
        otrace_message_end(message, annotation);
    }
}

/* ---- packets ---- */

static uint64_t exception_of(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    return edge->exception != 0 ? perfetto_text(perfetto, edge->exception) : 0;
}

/* On the sequence's clock, which only goes forward. */
static size_t begin_event(struct otrace_perfetto *perfetto, int64_t ns, uint32_t type,
                          uint64_t track) {
    perfetto_begin_packet(perfetto);
    otrace_message_varint(&perfetto->message, PACKET_TIMESTAMP, (uint64_t)(ns - perfetto->last_ns));
    perfetto->last_ns = ns;
    size_t event = otrace_message_begin(&perfetto->message, PACKET_TRACK_EVENT);
    otrace_message_varint(&perfetto->message, EVENT_TYPE, type);
    if (track != perfetto->thread_uuid) {
        otrace_message_varint(&perfetto->message, EVENT_TRACK, track);
    }
    return event;
}

/* At any time, on another track. */
size_t perfetto_begin_event_at(struct otrace_perfetto *perfetto, int64_t ns, uint32_t type,
                               uint64_t track) {
    perfetto_begin_packet(perfetto);
    struct otrace_message *message = &perfetto->message;
    otrace_message_varint(message, PACKET_TIMESTAMP, perfetto->base_mono_ns + (uint64_t)ns);
    otrace_message_varint(message, PACKET_TIMESTAMP_CLOCK_ID, CLOCK_ID_MONOTONIC);
    size_t event = otrace_message_begin(message, PACKET_TRACK_EVENT);
    otrace_message_varint(message, EVENT_TYPE, type);
    otrace_message_varint(message, EVENT_TRACK, track);
    return event;
}

void perfetto_end_event(struct otrace_perfetto *perfetto, size_t event) {
    otrace_message_end(&perfetto->message, event);
    perfetto_end_packet(perfetto);
}

static void add_name(struct otrace_message *message, const struct perfetto_name *name,
                     uint32_t category) {
    otrace_message_varint(message, EVENT_CATEGORY_IIDS, category);
    otrace_message_varint(message, EVENT_NAME_IID, name->iid);
    if (name->has_source) {
        otrace_message_varint(message, EVENT_SOURCE_IID, name->iid);
    }
}

/* A nested event. */
static void write_begin(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    const struct perfetto_name *name = perfetto_see_name(perfetto, edge->id);
    uint64_t track = perfetto_track_at(perfetto, edge->depth);
    size_t event = begin_event(perfetto, edge->start_ns, TYPE_BEGIN, track);
    add_name(&perfetto->message, name, PERFETTO_EVENT);
    add_begin_flags(&perfetto->message, edge->flags);
    perfetto_add_attributes(perfetto, &edge->begin_attributes);
    perfetto_end_event(perfetto, event);
}

static void write_end(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    uint64_t exception_iid = exception_of(perfetto, edge);
    uint64_t track = perfetto_track_at(perfetto, edge->depth);
    size_t event = begin_event(perfetto, edge->end_ns, TYPE_END, track);
    add_end_flags(&perfetto->message, edge->flags, exception_iid);
    perfetto_add_attributes(perfetto, &edge->end_attributes);
    perfetto_end_event(perfetto, event);
}

/* An event that does not nest: a track of its own, beside its thread's calls. */
static void write_detached(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    uint64_t uuid = perfetto_track_uuid(perfetto->process_uuid, 1, edge->instance);
    struct otrace_text text = perfetto_name_of(perfetto, edge->id);
    const struct perfetto_name *name = perfetto_see_name(perfetto, edge->id);
    uint64_t exception_iid = exception_of(perfetto, edge);
    perfetto_describe_track(perfetto, uuid, perfetto->thread_uuid, text.text, text.size, 0, false);
    size_t event = perfetto_begin_event_at(perfetto, edge->start_ns, TYPE_BEGIN, uuid);
    add_name(&perfetto->message, name, PERFETTO_EVENT);
    add_begin_flags(&perfetto->message, edge->flags);
    perfetto_add_attributes(perfetto, &edge->begin_attributes);
    perfetto_end_event(perfetto, event);
    if (edge->flags & OTRACE_CALL_OPEN) {
        return;
    }
    event = perfetto_begin_event_at(perfetto, edge->end_ns, TYPE_END, uuid);
    add_end_flags(&perfetto->message, edge->flags, exception_iid);
    perfetto_add_attributes(perfetto, &edge->end_attributes);
    perfetto_end_event(perfetto, event);
}

static void write_instant(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    const struct perfetto_name *name = perfetto_see_name(perfetto, edge->id);
    uint64_t track = edge->scope == OTRACE_SCOPE_PROCESS ? perfetto->process_uuid
                     : edge->scope == OTRACE_SCOPE_GLOBAL
                         ? 0
                         : perfetto_track_at(perfetto, edge->depth);
    size_t event = begin_event(perfetto, edge->start_ns, TYPE_INSTANT, track);
    add_name(&perfetto->message, name, PERFETTO_INSTANT);
    perfetto_add_attributes(perfetto, &edge->begin_attributes);
    perfetto_end_event(perfetto, event);
}

/* ---- counters: a track for each key of a name ---- */

/* Whether the track is new; notes it. */
static bool is_new_counter(struct otrace_perfetto *perfetto, uint64_t uuid) {
    if (2 * (perfetto->counters_count + 1) > perfetto->counters_capacity) {
        uint32_t capacity = perfetto->counters_capacity ? 2 * perfetto->counters_capacity : 64;
        uint64_t *bigger = capacity > COUNTERS_MAX ? NULL : calloc(capacity, sizeof *bigger);
        if (bigger == NULL) {
            return true;
        }
        for (uint32_t i = 0; i < perfetto->counters_capacity; i++) {
            uint64_t known = perfetto->counters[i];
            uint32_t at = (uint32_t)known & (capacity - 1);
            while (known != 0 && bigger[at] != 0) {
                at = (at + 1) & (capacity - 1);
            }
            bigger[at] = known != 0 ? known : bigger[at];
        }
        free(perfetto->counters);
        perfetto->counters = bigger;
        perfetto->counters_capacity = capacity;
    }
    uint32_t at = (uint32_t)uuid & (perfetto->counters_capacity - 1);
    while (perfetto->counters[at] != 0) {
        if (perfetto->counters[at] == uuid) {
            return false;
        }
        at = (at + 1) & (perfetto->counters_capacity - 1);
    }
    perfetto->counters[at] = uuid;
    perfetto->counters_count++;
    return true;
}

static void describe_counter(struct otrace_perfetto *perfetto, uint64_t uuid, uint32_t id,
                             uint32_t key) {
    struct otrace_text name = perfetto_name_of(perfetto, id),
                       part = perfetto_name_of(perfetto, key);
    char *full = malloc(name.size + part.size + 1);
    if (full == NULL) {
        perfetto->output.failed = true;
        return;
    }
    char *to = otrace_write_bytes(full, name.text, name.size);
    *to++ = '.';
    to = otrace_write_bytes(to, part.text, part.size);
    perfetto_describe_track(perfetto, uuid, perfetto->process_uuid, full, (size_t)(to - full), 0,
                            true);
    free(full);
}

static void write_counter(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    struct otrace_values values = otrace_values_of(&edge->begin_attributes);
    struct otrace_value value;
    uint32_t key;
    while (otrace_attributes_next(&values, &key, &value)) {
        bool whole = value.type == OTRACE_VALUE_INT || value.type == OTRACE_VALUE_TRUE ||
                     value.type == OTRACE_VALUE_FALSE;
        if (!whole && value.type != OTRACE_VALUE_FLOAT) {
            continue; /* no number */
        }
        uint64_t uuid =
            perfetto_track_uuid(perfetto->process_uuid, 2, (uint64_t)edge->id << 32 | key);
        if (is_new_counter(perfetto, uuid)) {
            describe_counter(perfetto, uuid, edge->id, key);
        }
        size_t event = begin_event(perfetto, edge->start_ns, TYPE_COUNTER, uuid);
        if (whole) {
            int64_t number = value.type == OTRACE_VALUE_INT ? otrace_value_int(&value)
                                                            : value.type == OTRACE_VALUE_TRUE;
            otrace_message_varint(&perfetto->message, EVENT_COUNTER, (uint64_t)number);
        } else {
            otrace_message_double(&perfetto->message, EVENT_COUNTER_DOUBLE,
                                  otrace_value_float(&value));
        }
        perfetto_end_event(perfetto, event);
    }
}

void perfetto_write_flow(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    static const char name[] = "leads to";
    bool starts = edge->kind == OTRACE_EDGE_FLOW;
    if (starts && edge->depth == 0) {
        return; /* no slice to start from */
    }
    uint64_t track = perfetto_track_at(perfetto, starts ? edge->depth - 1 : edge->depth);
    struct otrace_message *message = &perfetto->message;
    perfetto_begin_packet(perfetto);
    otrace_message_varint(message, PACKET_TIMESTAMP,
                          (uint64_t)(edge->start_ns - perfetto->last_ns));
    perfetto->last_ns = edge->start_ns;
    size_t event = otrace_message_begin(message, PACKET_TRACK_EVENT);
    otrace_message_varint(message, EVENT_CATEGORY_IIDS, PERFETTO_FLOW);
    otrace_message_text(message, EVENT_NAME, name, sizeof name - 1);
    if (track != perfetto->thread_uuid) {
        otrace_message_varint(message, EVENT_TRACK, track);
    }
    size_t legacy = otrace_message_begin(message, EVENT_LEGACY);
    otrace_message_varint(message, LEGACY_PHASE, starts ? 's' : 'f');
    otrace_message_varint(message, LEGACY_ID, perfetto->process_uuid << 24 | edge->flow);
    otrace_message_varint(message, LEGACY_TO_ENCLOSING, 1);
    otrace_message_end(message, legacy);
    perfetto_end_event(perfetto, event);
}

void perfetto_write_special(struct otrace_perfetto *perfetto, const struct otrace_edge *edge) {
    switch (edge->kind) {
    case OTRACE_EDGE_BEGIN:
        write_begin(perfetto, edge);
        break;
    case OTRACE_EDGE_END:
        write_end(perfetto, edge);
        break;
    case OTRACE_EDGE_EVENT:
        write_detached(perfetto, edge);
        break;
    case OTRACE_EDGE_INSTANT:
        write_instant(perfetto, edge);
        break;
    case OTRACE_EDGE_COUNTER:
        write_counter(perfetto, edge);
        break;
    case OTRACE_EDGE_FLOW:
        perfetto_write_flow(perfetto, edge);
        break;
    default: /* OPEN: its begin was told, and no end will be */
        break;
    }
}

void perfetto_write_loss(struct otrace_perfetto *perfetto, const struct otrace_track *track,
                         const struct otrace_clock *clock) {
    const struct otrace_meta_thread *thread = track->thread;
    if (thread == NULL || (thread->lost_calls == 0 && thread->lost_records == 0)) {
        return;
    }
    static const char name[] = "lost";
    uint64_t uuid = perfetto_track_uuid(perfetto->thread_uuid, 3, 0);
    int64_t first = otrace_clock_convert(clock, thread->lost_first_tick);
    int64_t last = otrace_clock_convert(clock, thread->lost_last_tick);
    perfetto_describe_track(perfetto, uuid, perfetto->thread_uuid, name, sizeof name - 1, 0, false);
    size_t event = perfetto_begin_event_at(perfetto, first, TYPE_BEGIN, uuid);
    otrace_message_varint(&perfetto->message, EVENT_CATEGORY_IIDS, PERFETTO_LOST);
    otrace_message_text(&perfetto->message, EVENT_NAME, name, sizeof name - 1);
    add_number(&perfetto->message, PERFETTO_LOST_CALLS, thread->lost_calls);
    add_number(&perfetto->message, PERFETTO_LOST_RECORDS, thread->lost_records);
    perfetto_end_event(perfetto, event);
    event = perfetto_begin_event_at(perfetto, last < first ? first : last, TYPE_END, uuid);
    perfetto_end_event(perfetto, event);
}
