/* What a thread did, written down beside the recorder, and compared with what the segment says. */
#ifndef OTRACE_TEST_RECORD_SHADOW_H
#define OTRACE_TEST_RECORD_SHADOW_H

#include "record/recorder.h"
#include "record/thread.h"
#include "record_file.h"

/* Starts a recording into the current folder, without an interpreter. */
void shadow_start(uint64_t buffer_size, uint32_t max_depth);
/* Ends it and loads its segment. */
void shadow_stop(struct record_file *file);

/* Adds `count` names; returns the first id. They are consecutive. */
uint32_t shadow_names(uint32_t count);

struct shadow_call {
    uint32_t id, kind, name; /* name: of events; ids of calls and events do not meet */
    bool event, visible;
    uint64_t tick; /* 0: not known to the test */
};

struct shadow_operation {
    enum {
        SHADOW_BEGIN,
        SHADOW_END,
        SHADOW_EVENT_BEGIN,
        SHADOW_EVENT_END,
        SHADOW_MARK,
        SHADOW_PAUSE,
        SHADOW_RESUME
    } what;
    uint32_t kind, id, exception; /* kind: of calls; sub of marks */
    uint32_t detail;              /* name of an event; first payload word of a mark */
    bool written;
    uint64_t now; /* 0: the clock's */
};

/* One thread's truth. */
struct shadow {
    uint32_t thread_id;
    uint32_t max_depth, pauses;
    struct shadow_call *stack;
    size_t depth, room;
    struct shadow_operation *operations;
    size_t count, operations_room;
};

void shadow_create(struct shadow *shadow, uint32_t max_depth);
void shadow_free(struct shadow *shadow);

/* Each does it on the calling thread, by the path that the hooks use, and notes it.
 * `exception`: 0, or a name id with OTRACE_WITH_EXCEPTION. */
void shadow_begin(struct shadow *shadow, uint32_t kind, uint32_t id, uint32_t exception);
void shadow_end(struct shadow *shadow, uint32_t kind, uint32_t id, uint32_t exception);
void shadow_event_begin(struct shadow *shadow, uint32_t instance, uint32_t name);
void shadow_event_end(struct shadow *shadow, uint32_t instance);
void shadow_mark(struct shadow *shadow, enum otrace_extended sub, const otrace_word *payload,
                 uint32_t words);
void shadow_pause(struct shadow *shadow);
void shadow_resume(struct shadow *shadow);

/* The same at a given tick. */
void shadow_begin_at(struct shadow *shadow, uint32_t kind, uint32_t id, uint64_t now);
void shadow_end_at(struct shadow *shadow, uint32_t kind, uint32_t id, uint64_t now);

/* What is in the segment is the end of what the thread did: each record, each SYNC, each chunk's
 * counters; what is missing was counted as lost. Returns the calls that were counted as lost. */
uint64_t shadow_check(const struct shadow *shadow, const struct record_file *file);

/* A call's begin and end by the path that the hooks take, without a note. */
void shadow_hot_begin(enum otrace_record_kind kind, uint32_t id);
void shadow_hot_end(enum otrace_record_kind kind, uint32_t id);

/* Numbers that are the same in each run. */
uint32_t shadow_random(uint64_t *state, uint32_t below);

#endif
