/* A segment as the reader keeps it: checked header, parsed metadata, index of chunks. */
#ifndef OTRACE_READ_SEGMENT_H
#define OTRACE_READ_SEGMENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "api_read.h"
#include "format.h"

#define OTRACE_CHUNK_SIZE_MIN 512u
#define OTRACE_CHUNK_SIZE_MAX (16u << 20)
#define OTRACE_CHUNK_COUNT_MAX (1u << 22)
#define OTRACE_METADATA_MAX (256u << 20)

/* A chunk that held records when the segment was opened. */
struct otrace_chunk_entry {
    uint64_t sequence, thread_sequence;
    struct otrace_anchor anchor;
    uint32_t slot, thread_id;
};

/* A thread. Pointers lead into the metadata. */
struct otrace_track {
    uint32_t thread_id;
    const struct otrace_meta_thread *thread; /* NULL: no metadata */
    struct otrace_text name;
    uint32_t first_entry, entries; /* in otrace_segment.entries */
    uint64_t missing;
};

struct otrace_note {
    struct otrace_text key, value;
};

struct otrace_orphans; /* read/events.h: ends of events that began on other threads */

struct otrace_segment {
    int fd;
    uint64_t file_size;
    struct otrace_segment_header header; /* a copy */
    char *meta;                          /* metadata records, a copy; texts point into it */
    uint64_t meta_size;
    const struct otrace_meta **names; /* by id, from 0 to names_count */
    uint32_t names_count;
    bool has_async;               /* there are names of code whose calls have activations */
    struct otrace_text *displays; /* by id */
    char *display_texts;
    struct otrace_track *tracks;
    uint32_t tracks_count;
    struct otrace_note *notes;
    uint32_t notes_count;
    const struct otrace_meta_off **off; /* functions that were switched off */
    uint32_t off_count;
    struct otrace_text process_name;
    struct otrace_chunk_entry *entries; /* by thread, then thread_sequence */
    uint32_t entries_count;
    _Atomic uint32_t warnings;
    pthread_mutex_t lock; /* of orphans */
    struct otrace_orphans *orphans;
};

/* Reads up to `size` bytes, fewer only at the end of the file; -1 on an error. */
int64_t otrace_segment_read(const struct otrace_segment *segment, uint64_t offset, void *buffer,
                            uint64_t size);

static inline void otrace_segment_warn(struct otrace_segment *segment, uint32_t warning) {
    atomic_fetch_or_explicit(&segment->warnings, warning, memory_order_relaxed);
}

/* Copies a chunk of chunk_size bytes; what lies behind the end of the file reads as zero.
 * 1: it is the entry's; 0: it was taken over or cannot be read (the segment is warned). */
int otrace_segment_read_chunk(struct otrace_segment *segment,
                              const struct otrace_chunk_entry *entry, void *buffer);

/* read/meta.c: parses the metadata into the segment. */
int otrace_segment_parse_metadata(struct otrace_segment *segment);
/* read/chunks.c: reads the chunk headers, sorts them into tracks (which metadata began). */
int otrace_segment_index_chunks(struct otrace_segment *segment);

#endif
