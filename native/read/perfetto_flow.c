/* Arrows between slices, as pairs of packets that refer to the slices open at their times. */
#include "read/perfetto_fields.h"
#include "read/proto.h"

#include "api_read.h"

int64_t otrace_perfetto_flow(const struct otrace_perfetto_flow *flow, char *buffer,
                             size_t capacity) {
    static const char category[] = "process", name[] = "start";
    struct otrace_message message = {0};
    size_t packet = otrace_message_begin(&message, TRACE_PACKET);
    otrace_message_varint(&message, PACKET_SEQUENCE_ID, flow->sequence);
    otrace_message_varint(&message, PACKET_SEQUENCE_FLAGS, SEQUENCE_STATE_CLEARED);
    otrace_message_varint(&message, PACKET_TIMESTAMP, flow->mono_ns);
    otrace_message_varint(&message, PACKET_TIMESTAMP_CLOCK_ID, CLOCK_ID_MONOTONIC);
    size_t event = otrace_message_begin(&message, PACKET_TRACK_EVENT);
    otrace_message_varint(&message, EVENT_TRACK, flow->track_uuid);
    otrace_message_bytes(&message, EVENT_CATEGORY, category, sizeof category - 1);
    otrace_message_bytes(&message, EVENT_NAME, name, sizeof name - 1);
    size_t legacy = otrace_message_begin(&message, EVENT_LEGACY);
    otrace_message_varint(&message, LEGACY_PHASE, flow->is_end ? 'f' : 's');
    otrace_message_varint(&message, LEGACY_ID, flow->id);
    otrace_message_varint(&message, LEGACY_TO_ENCLOSING, 1);
    otrace_message_end(&message, legacy);
    otrace_message_end(&message, event);
    otrace_message_end(&message, packet);
    return otrace_message_finish(&message, buffer, capacity);
}
