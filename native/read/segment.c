/* Opening a segment: nothing in it is believed before it was compared with the file. */
#include "read/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read/events.h"

int64_t otrace_segment_read(const struct otrace_segment *segment, uint64_t offset, void *buffer,
                            uint64_t size) {
    uint64_t done = 0;
    while (done < size) {
        ssize_t got =
            pread(segment->fd, (char *)buffer + done, size - done, (off_t)(offset + done));
        if (got == 0) {
            break;
        }
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

int otrace_segment_read_chunk(struct otrace_segment *segment,
                              const struct otrace_chunk_entry *entry, void *buffer) {
    uint64_t size = segment->header.chunk_size;
    uint64_t offset = segment->header.chunks_offset + entry->slot * size;
    int64_t got = otrace_segment_read(segment, offset, buffer, size);
    if (got < (int64_t)sizeof(struct otrace_chunk)) {
        otrace_segment_warn(segment, OTRACE_WARN_UNREADABLE);
        return 0;
    }
    memset((char *)buffer + got, 0, size - (uint64_t)got);
    const struct otrace_chunk *chunk = buffer;
    uint64_t sequence = 0; /* read again: the chunk may have been taken over during the copy */
    int64_t again = otrace_segment_read(segment, offset + offsetof(struct otrace_chunk, sequence),
                                        &sequence, sizeof sequence);
    if (again != sizeof sequence || sequence != entry->sequence ||
        chunk->sequence != entry->sequence || chunk->thread_id != entry->thread_id ||
        chunk->thread_sequence != entry->thread_sequence) {
        otrace_segment_warn(segment, OTRACE_WARN_TAKEN_OVER);
        return 0;
    }
    return 1;
}

static int refuse(struct otrace_read_problem *problem, int status, const char *field,
                  uint64_t number) {
    problem->number = (int64_t)number;
    strncpy(problem->field, field, sizeof problem->field - 1);
    return status;
}

static int check_layout(const struct otrace_segment_header *header,
                        struct otrace_read_problem *problem) {
    const uint64_t limit = UINT64_C(1) << 56; /* sums below cannot overflow */
    if (header->clock_kind < OTRACE_CLOCK_MONOTONIC || header->clock_kind > OTRACE_CLOCK_CNTVCT) {
        return refuse(problem, OTRACE_READ_DAMAGED, "clock_kind", header->clock_kind);
    }
    if (header->chunk_size < OTRACE_CHUNK_SIZE_MIN || header->chunk_size > OTRACE_CHUNK_SIZE_MAX ||
        header->chunk_size % 8 != 0) {
        return refuse(problem, OTRACE_READ_DAMAGED, "chunk_size", header->chunk_size);
    }
    if (header->chunk_count > OTRACE_CHUNK_COUNT_MAX) {
        return refuse(problem, OTRACE_READ_DAMAGED, "chunk_count", header->chunk_count);
    }
    if (header->meta_offset < sizeof *header || header->meta_offset % 8 != 0 ||
        header->meta_offset > limit || header->meta_capacity > limit ||
        header->meta_offset + header->meta_capacity > header->chunks_offset) {
        return refuse(problem, OTRACE_READ_DAMAGED, "meta_offset", header->meta_offset);
    }
    if (header->chunks_offset % 8 != 0 || header->chunks_offset > limit) {
        return refuse(problem, OTRACE_READ_DAMAGED, "chunks_offset", header->chunks_offset);
    }
    if (header->min_duration_ns > INT64_MAX) {
        return refuse(problem, OTRACE_READ_DAMAGED, "min_duration_ns", header->min_duration_ns);
    }
    return OTRACE_READ_OK;
}

static int check_header(struct otrace_segment *segment, struct otrace_read_problem *problem) {
    struct otrace_segment_header *header = &segment->header;
    int64_t got = otrace_segment_read(segment, 0, header, sizeof *header);
    if (got < 0) {
        return refuse(problem, OTRACE_READ_IO, "", (uint64_t)errno);
    }
    if (got < (int64_t)sizeof header->magic) {
        return refuse(problem, got == 0 ? OTRACE_READ_EMPTY : OTRACE_READ_FOREIGN, "magic", 0);
    }
    if (header->magic == 0) { /* made, but never set up */
        return refuse(problem, OTRACE_READ_EMPTY, "magic", 0);
    }
    if (header->magic != OTRACE_MAGIC) {
        return refuse(problem, OTRACE_READ_FOREIGN, "magic", 0);
    }
    if (got < (int64_t)sizeof *header) {
        return refuse(problem, OTRACE_READ_DAMAGED, "header", (uint64_t)got);
    }
    if (header->endian_mark != OTRACE_ENDIAN_MARK) {
        return refuse(problem, OTRACE_READ_FOREIGN, "endian_mark", header->endian_mark);
    }
    if (header->format_major != OTRACE_FORMAT_MAJOR) {
        return refuse(problem, OTRACE_READ_VERSION, "format_major", header->format_major);
    }
    return check_layout(header, problem);
}

static int open_checked(struct otrace_segment *segment, int fd,
                        struct otrace_read_problem *problem) {
    struct stat status;
    segment->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (segment->fd < 0 || fstat(segment->fd, &status) != 0) {
        return refuse(problem, OTRACE_READ_IO, "", (uint64_t)errno);
    }
    if (!S_ISREG(status.st_mode)) { /* pread would block on a pipe, or never end on a device */
        return refuse(problem, OTRACE_READ_FOREIGN, "", 0);
    }
    segment->file_size = (uint64_t)status.st_size;
    int result = check_header(segment, problem);
    if (result == OTRACE_READ_OK) {
        result = otrace_segment_parse_metadata(segment);
    }
    if (result == OTRACE_READ_OK) {
        result = otrace_segment_index_chunks(segment);
    }
    return result;
}

int otrace_segment_open(int fd, struct otrace_segment **out, struct otrace_read_problem *problem) {
    memset(problem, 0, sizeof *problem);
    *out = NULL;
    struct otrace_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    segment->fd = -1;
    pthread_mutex_init(&segment->lock, NULL);
    int result = open_checked(segment, fd, problem);
    if (result != OTRACE_READ_OK) {
        otrace_segment_free(segment);
        return result;
    }
    *out = segment;
    return OTRACE_READ_OK;
}

void otrace_segment_free(struct otrace_segment *segment) {
    if (segment == NULL) {
        return;
    }
    if (segment->fd >= 0) {
        close(segment->fd);
    }
    otrace_orphans_free(segment->orphans);
    pthread_mutex_destroy(&segment->lock);
    free(segment->meta);
    free(segment->names);
    free(segment->displays);
    free(segment->display_texts);
    free(segment->tracks);
    free(segment->notes);
    free(segment->off);
    free(segment->entries);
    free(segment);
}
