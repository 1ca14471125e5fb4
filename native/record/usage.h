/* How often each function is called, and for how little: counted from the records of each chunk
 * when it is closed, for the overhead governor. The hot path has no part in it. */
#ifndef OTRACE_USAGE_H
#define OTRACE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

/* One Python function, by its name id. */
struct otrace_use {
    void *object;                /* what the host knows it by, borrowed; NULL: not to be governed */
    struct otrace_meta_off *off; /* in the segment, once it was switched off; else NULL */
    uint64_t calls;              /* recorded since the segment began */
    uint64_t words, ticks;       /* in the window: of its records, of its C calls', in it alone */
    uint32_t host;               /* the host's own number for it */
};

/* All of it under the recorder's mutex, but for `on`, and `uses` of a host that keeps others from
 * otrace_usage_meet. */
extern struct otrace_usage {
    bool on;
    uint32_t capacity;
    struct otrace_use *uses;
    uint32_t *touched; /* ids with words in the window */
    uint32_t touched_count;
    uint64_t words;      /* in the window */
    uint64_t word_ticks; /* what one word's event costs, by the host; not counted as the function's
                            own */
} otrace_usage __attribute__((visibility("hidden")));

/* Starts counting anew; ends it. */
void otrace_usage_begin(void);
void otrace_usage_end(void);

/* A function that may be governed, and its end. Take the mutex. */
void otrace_usage_meet(uint32_t id, void *object);
void otrace_usage_forget(uint32_t id);

/* Counts the records of one chunk. Under the mutex. */
void otrace_usage_scan(const otrace_word *from, const otrace_word *to);

/* Counts what is in chunks that are not closed yet, for the last time. Takes the mutex. */
void otrace_usage_scan_open(void);

/* Forgets the window. Under the mutex. */
void otrace_usage_clear_window(void);

/* In the child of a fork: nothing was counted, no segment tells of it. */
void otrace_usage_forked(void);

/* Publishes the record of a function that is switched off at `tick`; NULL without room. Takes the
 * mutex. */
struct otrace_meta_off *otrace_usage_publish(uint32_t id, uint64_t tick);

#endif
