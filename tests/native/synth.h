/* Writes segments from the format's description alone, so that reader and recorder are checked
 * independently of each other. A segment is built in memory and given out as a file descriptor. */
#ifndef OTRACE_TEST_SYNTH_H
#define OTRACE_TEST_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format.h"

#define SYNTH_META_CAPACITY (1u << 14)
#define SYNTH_OPENS_MAX 4096u

struct synth_open {
    uint32_t id, kind, name; /* name: of events, whose id is the instance */
    uint64_t tick;
};

/* One thread's pen: it starts a new chunk by itself, with a SYNC of what is open. */
struct synth_thread {
    uint32_t id;
    uint64_t thread_sequence, tick;
    uint32_t slot; /* UINT32_MAX: no chunk yet */
    uint32_t words;
    struct synth_open open[SYNTH_OPENS_MAX];
    uint32_t depth;
};

struct synth {
    char *bytes;
    size_t size;
    struct otrace_segment_header *header;
    uint32_t slots;
    uint64_t sequence;
};

void synth_create(struct synth *synth, uint32_t chunk_size, uint32_t chunk_count,
                  uint32_t clock_kind);
void synth_free(struct synth *synth);
/* The segment as an anonymous file; the caller closes it. */
int synth_file(const struct synth *synth);
int synth_bytes_file(const void *bytes, size_t size);

void synth_name(struct synth *synth, uint32_t id, uint32_t kind, const char *module,
                const char *qualified, const char *file, uint32_t line);
void synth_thread(struct synth *synth, struct synth_thread *thread, uint32_t id, const char *name,
                  uint64_t tick);
void synth_note(struct synth *synth, const char *key, const char *value);

/* Begins the thread's next chunk (also done when one is full). */
void synth_chunk(struct synth *synth, struct synth_thread *thread);
struct otrace_chunk *synth_slot(struct synth *synth, uint32_t slot);
/* Words as they are, all in one chunk. */
void synth_words(struct synth *synth, struct synth_thread *thread, const otrace_word *words,
                 uint32_t count);
/* A short word at `tick` with the prefixes it needs. exception < 0: none. */
void synth_call(struct synth *synth, struct synth_thread *thread, uint32_t kind, uint32_t id,
                uint64_t tick, int64_t exception);
/* SYNC and an OPEN record for each open call. */
void synth_sync(struct synth *synth, struct synth_thread *thread, uint64_t tick);
/* A record of several words: tick, then payload. */
void synth_record(struct synth *synth, struct synth_thread *thread, uint32_t sub, uint32_t flags,
                  uint64_t tick, const otrace_word *payload, uint32_t count);

#endif
