/* Reads segments for the recorder's tests, from the format's description alone: the product's
 * reader has no part in it. Anything that format.h does not allow ends the test. */
#ifndef OTRACE_TEST_RECORD_FILE_H
#define OTRACE_TEST_RECORD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format.h"

/* A segment as it was at one moment. */
struct record_file {
    char *bytes; /* the header's page, then the metadata that was published */
    size_t meta_used;
    struct otrace_segment_header *header;
    char **chunks; /* copies, in the order of their sequence; see record_file_load */
    uint32_t count;
    uint32_t changed; /* chunks left out because they were taken over while being copied */
};

/* Copies a file, which may be written to meanwhile. Chunks that are free, or that changed while
 * they were copied, are left out. */
void record_file_load(struct record_file *file, const char *path);
void record_file_free(struct record_file *file);

/* The number of metadata records of a type; the last one with `id` (NULL: none). */
uint32_t record_meta_count(const struct record_file *file, enum otrace_meta_type type);
const struct otrace_meta *record_meta_find(const struct record_file *file,
                                           enum otrace_meta_type type, uint32_t id);
/* True when text `index` of a metadata record is `text`. */
bool record_meta_is(const struct otrace_meta *meta, int index, const char *text);

/* One record of a chunk. A SYNC has its OPEN records with it. */
struct record_entry {
    uint32_t kind;  /* enum otrace_record_kind, or OTRACE_EXTENDED */
    uint32_t sub;   /* of extended ones */
    uint32_t flags; /* of extended ones */
    uint32_t id;    /* of calls */
    bool with_exception;
    uint32_t exception;
    uint64_t tick;
    const otrace_word *payload; /* behind the tick; of extended ones */
    size_t payload_words;
    uint32_t sync_count;             /* SYNC: open calls and events in truth */
    const struct record_open *opens; /* SYNC: those told, the outermost first */
    size_t opens_count;
};

struct record_open {
    uint32_t id, flags, name; /* name: of events */
    uint64_t tick;
    size_t words; /* of its record */
};

typedef void record_visit(void *context, const struct otrace_chunk *chunk,
                          const struct record_entry *entry);

/* Calls `visit` for every main record of a chunk, in order. Returns the bytes that were used. */
size_t record_chunk_walk(const char *chunk, uint32_t chunk_size, record_visit *visit,
                         void *context);

#endif
