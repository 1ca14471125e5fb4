/* Events that do not nest: which ones, and their ends on other threads. */
#ifndef OTRACE_READ_EVENTS_H
#define OTRACE_READ_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "read/decode.h"

/* A set of instance ids: bitmaps in pages, bounded; what goes beyond the bound is not in it. */
struct otrace_instances_page {
    uint32_t number;
    uint64_t *bits; /* NULL: a free place of the table */
};

struct otrace_instances {
    struct otrace_instances_page *pages; /* a hash table */
    uint32_t capacity, count;
};

void otrace_instances_add(struct otrace_instances *set, uint32_t instance);
void otrace_instances_remove(struct otrace_instances *set, uint32_t instance);
bool otrace_instances_has(const struct otrace_instances *set, uint32_t instance);
void otrace_instances_free(struct otrace_instances *set);

/* An event that began and has not ended. */
struct otrace_event {
    uint32_t instance; /* 0: a free place of the table */
    uint32_t name;
    uint32_t position; /* on the stack; 0: detached */
    uint32_t depth, flags, count, task;
    int64_t start_ns, parent;
    uint64_t index;
    otrace_word *words; /* a copy of its attributes, `count` words */
};

/* A hash table of open events by instance, bounded in number and in bytes of attributes. */
struct otrace_events {
    struct otrace_event *places;
    uint32_t capacity, count;
    uint64_t words;
};

/* Adds `event` with a copy of its attributes; NULL when there is no room. */
struct otrace_event *otrace_events_add(struct otrace_events *events,
                                       const struct otrace_event *event,
                                       const struct otrace_attributes *attributes);
struct otrace_event *otrace_events_find(const struct otrace_events *events, uint32_t instance);
/* Takes the event out; the caller owns event.words of the returned copy. */
struct otrace_event otrace_events_take(struct otrace_events *events, struct otrace_event *event);
void otrace_events_free(struct otrace_events *events);

/* The end of an event that began on another thread, or before the recording. */
struct otrace_orphan {
    uint32_t instance, exception;
    uint64_t tick;
    uint64_t offset; /* of its attributes in the words */
    uint32_t count;
};

struct otrace_orphans {
    struct otrace_orphan *orphans; /* by instance */
    uint32_t count, capacity;
    otrace_word *words;
    uint64_t words_count, words_capacity;
};

struct otrace_segment;

/* All such ends in a segment: found in one pass when first asked for, then kept. NULL: memory. */
const struct otrace_orphans *otrace_orphans_get(struct otrace_segment *segment);
const struct otrace_orphan *otrace_orphans_find(const struct otrace_orphans *orphans,
                                                uint32_t instance);
void otrace_orphans_free(struct otrace_orphans *orphans);

#endif
