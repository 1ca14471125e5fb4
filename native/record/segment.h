/* The segment file of this process: made, mapped, grown, published. See format.h for its layout. */
#ifndef OTRACE_SEGMENT_H
#define OTRACE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "format.h"

struct otrace_segment {
    struct otrace_segment_header *header; /* the whole mapping; NULL: none */
    size_t size;
    size_t meta_reserved;     /* bytes of metadata that are safe to touch */
    uint32_t prepared_chunks; /* of these, all pages exist in the file */
    bool cannot_prepare;
    uint64_t allocated; /* end of the file's disk space, as far as it was asked for */
    ino_t inode;
    char path[4096];
};

struct otrace_segment_options {
    const char *folder; /* borrowed for the call; absolute */
    uint64_t buffer_size;
    uint64_t min_duration_ns;
    uint32_t max_depth;
    uint32_t flags;
    uint32_t python_version;
};

/* Makes <folder>/<pid>-<n>.segment and maps it. No descriptor stays open. The size asked for is
 * lowered to what RLIMIT_FSIZE and the address space allow. Returns 0 or a negative errno. */
int otrace_segment_create(struct otrace_segment *segment,
                          const struct otrace_segment_options *options);

/* Ends the segment in order (end anchor, state) and unmaps it. */
void otrace_segment_close(struct otrace_segment *segment);

/* Writes the end anchor and the state, keeps the mapping. */
void otrace_segment_end(struct otrace_segment *segment);

/* Forgets the parent's mapping in a forked child: unmapped, nothing written. */
void otrace_segment_forget(struct otrace_segment *segment);

/* Makes `size` bytes at `address` (inside the mapping) safe to write: a full file system is an
 * error here and never a SIGBUS later. Returns 0 or a negative errno. */
int otrace_segment_reserve(struct otrace_segment *segment, void *address, size_t size);

/* Makes the file's pages of the next chunks, `index` (the next one never used) among them, much
 * cheaper than page by page at first touch. Under the recorder's mutex. False when that is not
 * possible: the chunk is reserved in small steps then. */
bool otrace_segment_prepare(struct otrace_segment *segment, uint32_t index);

/* Room for a metadata record of `size` bytes (a multiple of 8), zeroed; NULL when full. The caller
 * fills it and calls otrace_segment_meta_publish. Both under the recorder's mutex. */
struct otrace_meta *otrace_segment_meta_room(struct otrace_segment *segment, size_t size);
void otrace_segment_meta_publish(struct otrace_segment *segment, const struct otrace_meta *meta);

static inline struct otrace_chunk *otrace_segment_chunk(const struct otrace_segment *segment,
                                                        uint32_t index) {
    struct otrace_segment_header *header = segment->header;
    return (struct otrace_chunk *)((char *)header + header->chunks_offset +
                                   (size_t)index * header->chunk_size);
}

#endif
