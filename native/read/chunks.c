/* The index of chunks: one pass over their headers, sorted into tracks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "read/segment.h"

/* Moves *offset to the next bytes that were ever written; false when there are none. Where the
 * system cannot tell, *offset stays. */
static bool skip_hole(const struct otrace_segment *segment, uint64_t *offset) {
#ifdef SEEK_DATA
    off_t data = lseek(segment->fd, (off_t)*offset, SEEK_DATA);
    if (data >= 0) {
        *offset = (uint64_t)data;
    } else if (errno == ENXIO) {
        return false;
    }
#endif
    return true;
}

static int add_entry(struct otrace_segment *segment, uint32_t *capacity, uint32_t slot,
                     const struct otrace_chunk *chunk) {
    if (segment->entries_count == *capacity) {
        uint32_t more = *capacity == 0 ? 64 : *capacity * 2;
        void *grown = realloc(segment->entries, more * sizeof *segment->entries);
        if (grown == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
        segment->entries = grown;
        *capacity = more;
    }
    segment->entries[segment->entries_count++] = (struct otrace_chunk_entry){
        .sequence = chunk->sequence,
        .thread_sequence = chunk->thread_sequence,
        .anchor = chunk->anchor,
        .slot = slot,
        .thread_id = chunk->thread_id,
    };
    return OTRACE_READ_OK;
}

/* 1: a chunk with records; 0: none, or none that makes sense. */
static int read_header(struct otrace_segment *segment, uint64_t offset,
                       struct otrace_chunk *chunk) {
    int64_t got = otrace_segment_read(segment, offset, chunk, sizeof *chunk);
    if (got != sizeof *chunk) {
        otrace_segment_warn(segment, got < 0 ? OTRACE_WARN_UNREADABLE : OTRACE_WARN_CUT);
        return 0;
    }
    if (chunk->sequence == 0 || chunk->state == OTRACE_CHUNK_FREE) {
        return 0;
    }
    if (chunk->state > OTRACE_CHUNK_CLOSED || chunk->thread_id == 0 ||
        chunk->thread_sequence == 0) {
        otrace_segment_warn(segment, OTRACE_WARN_CHUNKS);
        return 0;
    }
    return 1;
}

/* Looks at all slots, not only at those below chunks_used: that counter may be the damaged part. */
static int read_headers(struct otrace_segment *segment) {
    const struct otrace_segment_header *header = &segment->header;
    uint64_t size = header->chunk_size, used = header->chunks_used;
    if (used > header->chunk_count) {
        otrace_segment_warn(segment, OTRACE_WARN_CHUNKS);
    } else if (used > 0 && header->chunks_offset + used * size > segment->file_size) {
        otrace_segment_warn(segment, OTRACE_WARN_CUT);
    }
    uint32_t capacity = 0;
    for (uint64_t slot = 0; slot < header->chunk_count; slot++) {
        uint64_t offset = header->chunks_offset + slot * size, data = offset;
        if (offset >= segment->file_size || !skip_hole(segment, &data)) {
            break;
        }
        if (data - offset >= size) {
            slot += (data - offset) / size - 1;
            continue;
        }
        struct otrace_chunk chunk;
        if (read_header(segment, offset, &chunk) &&
            add_entry(segment, &capacity, (uint32_t)slot, &chunk) != OTRACE_READ_OK) {
            return OTRACE_READ_NO_MEMORY;
        }
    }
    return OTRACE_READ_OK;
}

static int compare_entries(const void *left, const void *right) {
    const struct otrace_chunk_entry *a = left, *b = right;
    if (a->thread_id != b->thread_id) {
        return a->thread_id < b->thread_id ? -1 : 1;
    }
    if (a->thread_sequence != b->thread_sequence) {
        return a->thread_sequence < b->thread_sequence ? -1 : 1;
    }
    return a->sequence > b->sequence ? -1 : a->sequence < b->sequence;
}

/* Sorts, and keeps the newest of two chunks that claim the same place. */
static void sort_entries(struct otrace_segment *segment) {
    struct otrace_chunk_entry *entries = segment->entries;
    if (segment->entries_count == 0) {
        return;
    }
    qsort(entries, segment->entries_count, sizeof *entries, compare_entries);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < segment->entries_count; i++) {
        if (entries[i].thread_id == entries[kept - 1].thread_id &&
            entries[i].thread_sequence == entries[kept - 1].thread_sequence) {
            otrace_segment_warn(segment, OTRACE_WARN_CHUNKS);
        } else {
            entries[kept++] = entries[i];
        }
    }
    segment->entries_count = kept;
}

static uint64_t count_missing(const struct otrace_chunk_entry *entries, uint32_t count) {
    return count == 0 ? 0 : entries[count - 1].thread_sequence - count;
}

/* Gives every track its entries, merging the sorted tracks with the sorted entries; threads that
 * the metadata does not know get a track of their own. */
static int assign_tracks(struct otrace_segment *segment) {
    uint32_t threads = 0;
    for (uint32_t i = 0; i < segment->entries_count; i++) {
        threads += i == 0 || segment->entries[i].thread_id != segment->entries[i - 1].thread_id;
    }
    struct otrace_track *merged =
        calloc((size_t)segment->tracks_count + threads + 1, sizeof *merged);
    if (merged == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    uint32_t known = 0, entry = 0, count = 0;
    while (known < segment->tracks_count || entry < segment->entries_count) {
        struct otrace_track *track = &merged[count++];
        uint32_t next = entry < segment->entries_count ? segment->entries[entry].thread_id : 0;
        if (known < segment->tracks_count &&
            (next == 0 || segment->tracks[known].thread_id <= next)) {
            *track = segment->tracks[known++];
        } else {
            track->thread_id = next;
            otrace_segment_warn(segment, OTRACE_WARN_NO_THREAD);
        }
        track->first_entry = entry;
        while (entry < segment->entries_count &&
               segment->entries[entry].thread_id == track->thread_id) {
            entry++;
        }
        track->entries = entry - track->first_entry;
        track->missing = count_missing(segment->entries + track->first_entry, track->entries);
    }
    free(segment->tracks);
    segment->tracks = merged;
    segment->tracks_count = count;
    return OTRACE_READ_OK;
}

int otrace_segment_index_chunks(struct otrace_segment *segment) {
    int result = read_headers(segment);
    if (result != OTRACE_READ_OK) {
        return result;
    }
    sort_entries(segment);
    return assign_tracks(segment);
}
