/* The parts of Perfetto's trace format that are written, by their field numbers. */
#ifndef OTRACE_READ_PERFETTO_FIELDS_H
#define OTRACE_READ_PERFETTO_FIELDS_H

enum { TRACE_PACKET = 1 };

enum trace_packet {
    PACKET_CLOCK_SNAPSHOT = 6,
    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE_ID = 10,
    PACKET_TRACK_EVENT = 11,
    PACKET_INTERNED_DATA = 12,
    PACKET_SEQUENCE_FLAGS = 13,
    PACKET_TIMESTAMP_CLOCK_ID = 58,
    PACKET_DEFAULTS = 59,
    PACKET_TRACK_DESCRIPTOR = 60,
};
enum { SEQUENCE_STATE_CLEARED = 1 };

enum clock_snapshot { SNAPSHOT_CLOCKS = 1, SNAPSHOT_PRIMARY = 2 };
enum clock { CLOCK_ID = 1, CLOCK_TIMESTAMP = 2, CLOCK_INCREMENTAL = 3 };
/* The last one is the sequence's own: the sum of all timestamps so far. */
enum clock_ids { CLOCK_ID_REALTIME = 1, CLOCK_ID_MONOTONIC = 3, CLOCK_ID_SEQUENCE = 64 };

enum packet_defaults { DEFAULTS_TRACK_EVENT = 11, DEFAULTS_CLOCK_ID = 58 };
enum { TRACK_EVENT_DEFAULTS_TRACK = 11 };

enum track_descriptor {
    TRACK_UUID = 1,
    TRACK_NAME = 2,
    TRACK_PROCESS = 3,
    TRACK_THREAD = 4,
    TRACK_PARENT = 5,
    TRACK_COUNTER = 8,
    TRACK_CHILD_ORDER = 11,
    TRACK_RANK = 12,
};
enum { CHILD_ORDER_EXPLICIT = 3 };
enum process_descriptor { PROCESS_PID = 1, PROCESS_NAME = 6 };
enum thread_descriptor { THREAD_PID = 1, THREAD_TID = 2, THREAD_NAME = 5 };

enum track_event {
    EVENT_CATEGORY_IIDS = 3,
    EVENT_ANNOTATIONS = 4,
    EVENT_LEGACY = 6,
    EVENT_TYPE = 9,
    EVENT_NAME_IID = 10,
    EVENT_TRACK = 11,
    EVENT_CATEGORY = 22,
    EVENT_NAME = 23,
    EVENT_COUNTER = 30,
    EVENT_SOURCE_IID = 34,
    EVENT_COUNTER_DOUBLE = 44,
};
/* Flow events, which refer to the slices that are open at their times, are only there. */
enum legacy_event { LEGACY_PHASE = 2, LEGACY_ID = 6, LEGACY_TO_ENCLOSING = 12 };
enum event_type { TYPE_BEGIN = 1, TYPE_END = 2, TYPE_INSTANT = 3, TYPE_COUNTER = 4 };

enum interned_data {
    INTERNED_CATEGORIES = 1,
    INTERNED_NAMES = 2,
    INTERNED_ANNOTATION_NAMES = 3,
    INTERNED_SOURCES = 4,
    INTERNED_ANNOTATION_TEXTS = 29,
};
enum interned { INTERNED_IID = 1, INTERNED_TEXT = 2 };
enum source_location { SOURCE_IID = 1, SOURCE_FILE = 2, SOURCE_LINE = 4 };

enum debug_annotation {
    ANNOTATION_NAME_IID = 1,
    ANNOTATION_BOOL = 2,
    ANNOTATION_INT = 4,
    ANNOTATION_DOUBLE = 5,
    ANNOTATION_STRING = 6,
    ANNOTATION_NAME = 10,
    ANNOTATION_ARRAY = 12,
    ANNOTATION_STRING_IID = 17,
};

#endif
