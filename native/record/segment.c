#include "record/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/clock.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define META_CAPACITY ((UINT64_C(64) << 20) - OTRACE_PAGE) /* so that chunks lie on large pages */
#define META_STEP (UINT64_C(64) << 10)
#define CHUNK_LARGEST (UINT32_C(64) << 10)
#define CHUNK_SMALLEST (UINT32_C(4) << 10)
#define CHUNKS_WANTED 64u /* a small buffer has smaller chunks, so that many threads get one */
#define BUFFER_SMALLEST (CHUNKS_WANTED * (uint64_t)CHUNK_SMALLEST)
#define PREPARE_SIZE (UINT32_C(256) << 10) /* pages made at once: some 30 us of work */
#define ALLOCATE_SIZE (UINT64_C(4) << 20)  /* disk space asked for at once */
#define NAMES_TRIED 4096                   /* <pid>-<n>: exec keeps the pid, and pids come again */

_Static_assert(sizeof(struct otrace_segment_header) <= OTRACE_PAGE, "the header is one page");
_Static_assert(sizeof(struct otrace_chunk) % 8 == 0, "records start aligned");

static uint32_t chunk_size_for(uint64_t buffer_size) {
    uint32_t size = CHUNK_LARGEST;
    while (size > CHUNK_SMALLEST && buffer_size / size < CHUNKS_WANTED) {
        size /= 2;
    }
    return size;
}

/* The part of `wanted` that RLIMIT_FSIZE allows: crossing it would raise SIGXFSZ. */
static uint64_t within_file_limit(uint64_t wanted) {
    struct rlimit limit;
    uint64_t overhead = OTRACE_PAGE + META_CAPACITY;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur >= overhead + wanted) {
        return wanted;
    }
    return limit.rlim_cur > overhead ? limit.rlim_cur - overhead : 0;
}

static int create_file(struct otrace_segment *segment, const char *folder, char *final_path,
                       size_t final_size) {
    for (int n = 0; n < NAMES_TRIED; n++) {
        int length =
            snprintf(final_path, final_size, "%s/%ld-%d.segment", folder, (long)getpid(), n);
        int hidden = snprintf(segment->path, sizeof segment->path, "%s/.%ld-%d.part", folder,
                              (long)getpid(), n);
        if (length < 0 || hidden < 0 || (size_t)length >= final_size ||
            (size_t)hidden >= sizeof segment->path) {
            return -ENAMETOOLONG;
        }
        if (access(final_path, F_OK) == 0) {
            continue;
        }
        int fd = open(segment->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            return fd;
        }
        if (errno != EEXIST) {
            return -errno;
        }
    }
    return -EEXIST;
}

/* Sizes and maps the file, with less room when the address space is limited. */
static int map_file(struct otrace_segment *segment, int fd, uint64_t buffer_size,
                    uint32_t *chunk_size, uint32_t *chunk_count) {
    for (uint64_t wanted = buffer_size; wanted >= BUFFER_SMALLEST; wanted /= 2) {
        *chunk_size = chunk_size_for(wanted);
        *chunk_count = (uint32_t)(wanted / *chunk_size);
        segment->size =
            (size_t)(OTRACE_PAGE + META_CAPACITY + (uint64_t)*chunk_size * *chunk_count);
        if (ftruncate(fd, (off_t)segment->size) != 0) {
            return -errno;
        }
        void *base = mmap(NULL, segment->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (base != MAP_FAILED) {
            segment->header = base;
            /* A fault in a hole reads ahead by megabytes, all zeros: see otrace_segment_prepare. */
            madvise(base, segment->size, MADV_RANDOM);
            return 0;
        }
        if (errno != ENOMEM && errno != EAGAIN) {
            return -errno;
        }
    }
    return -ENOMEM;
}

static void fill_header(struct otrace_segment_header *header,
                        const struct otrace_segment_options *options, uint32_t chunk_size,
                        uint32_t chunk_count) {
    header->magic = OTRACE_MAGIC;
    header->format_major = OTRACE_FORMAT_MAJOR;
    header->format_minor = OTRACE_FORMAT_MINOR;
    header->endian_mark = OTRACE_ENDIAN_MARK;
    header->clock_kind = (uint32_t)otrace_clock_kind;
    header->pid = (uint32_t)getpid();
    header->parent_pid = (uint32_t)getppid();
    header->python_version = options->python_version;
    header->flags = options->flags;
    header->meta_offset = OTRACE_PAGE;
    header->meta_capacity = META_CAPACITY;
    header->chunks_offset = OTRACE_PAGE + META_CAPACITY;
    header->chunk_size = chunk_size;
    header->chunk_count = chunk_count;
    header->min_duration_ns = options->min_duration_ns;
    header->max_depth = options->max_depth;
    header->start_anchor = otrace_clock_anchor();
    atomic_store_explicit(&header->next_sequence, 1, memory_order_relaxed);
    atomic_store_explicit(&header->state, OTRACE_SEGMENT_RECORDING, memory_order_release);
}

int otrace_segment_create(struct otrace_segment *segment,
                          const struct otrace_segment_options *options) {
    char final_path[sizeof segment->path];
    uint32_t chunk_size = 0, chunk_count = 0;
    *segment = (struct otrace_segment){.header = NULL};
    uint64_t buffer_size = within_file_limit(options->buffer_size);
    if (buffer_size < BUFFER_SMALLEST && buffer_size < options->buffer_size) {
        return -EFBIG;
    }
    if (buffer_size < BUFFER_SMALLEST) {
        buffer_size = BUFFER_SMALLEST;
    }
    int fd = create_file(segment, options->folder, final_path, sizeof final_path);
    if (fd < 0) {
        return fd;
    }
    int status = map_file(segment, fd, buffer_size, &chunk_size, &chunk_count);
    struct stat made;
    if (fstat(fd, &made) == 0) {
        segment->inode = made.st_ino;
    }
    close(fd);
    if (status == 0) {
        status = otrace_segment_reserve(segment, segment->header, OTRACE_PAGE + META_STEP);
    }
    if (status == 0) {
        segment->meta_reserved = META_STEP;
        fill_header(segment->header, options, chunk_size, chunk_count);
        status = rename(segment->path, final_path) == 0 ? 0 : -errno;
    }
    if (status != 0) {
        unlink(segment->path);
        otrace_segment_forget(segment);
        return status;
    }
    memcpy(segment->path, final_path, sizeof final_path);
    return 0;
}

void otrace_segment_end(struct otrace_segment *segment) {
    struct otrace_segment_header *header = segment->header;
    if (header != NULL) {
        header->end_anchor = otrace_clock_anchor();
        atomic_store_explicit(&header->state, OTRACE_SEGMENT_ENDED, memory_order_release);
    }
}

void otrace_segment_close(struct otrace_segment *segment) {
    otrace_segment_end(segment);
    otrace_segment_forget(segment);
}

void otrace_segment_forget(struct otrace_segment *segment) {
    if (segment->header != NULL) {
        munmap(segment->header, segment->size);
        segment->header = NULL;
    }
}

/* Kernels before 5.14: space through the path, since no descriptor is kept. */
static int reserve_by_path(struct otrace_segment *segment, void *address, size_t size) {
    int fd = open(segment->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    off_t offset = (off_t)((char *)address - (char *)segment->header);
    int status = -posix_fallocate(fd, offset, (off_t)size);
    close(fd);
    return status;
}

int otrace_segment_reserve(struct otrace_segment *segment, void *address, size_t size) {
    uintptr_t first = (uintptr_t)address & ~(uintptr_t)(OTRACE_PAGE - 1);
    uintptr_t last = ((uintptr_t)address + size + OTRACE_PAGE - 1) & ~(uintptr_t)(OTRACE_PAGE - 1);
    if (madvise((void *)first, last - first, MADV_POPULATE_WRITE) == 0) {
        return 0;
    }
    if (errno == EINVAL || errno == ENOSYS) {
        return reserve_by_path(segment, (void *)first, last - first);
    }
    return errno == EFAULT ? -ENOSPC : -errno;
}

/* The segment's file by its path, since no descriptor is kept; -1 when it is not there any more. */
static int open_again(const struct otrace_segment *segment) {
    struct stat named;
    int fd = open(segment->path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &named) != 0 || named.st_size != (off_t)segment->size ||
                    named.st_ino != segment->inode)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A program may have lowered its limit on file sizes: a write beyond it would be a signal. */
static bool may_write_all(const struct otrace_segment *segment) {
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
           (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= segment->size);
}

/* From here on pages are made at their first touch, where reading ahead helps after all. */
static void give_up_preparing(struct otrace_segment *segment) {
    if (!segment->cannot_prepare) {
        segment->cannot_prepare = true;
        madvise(segment->header, segment->size, MADV_NORMAL);
    }
}

bool otrace_segment_prepare(struct otrace_segment *segment, uint32_t index) {
    static char
        zeros[PREPARE_SIZE]; /* never written: not const, so that it is no part of the file */
    const struct otrace_segment_header *header = segment->header;
    if (index < segment->prepared_chunks) {
        return true;
    }
    int fd = segment->cannot_prepare || !may_write_all(segment) ? -1 : open_again(segment);
    if (fd < 0) {
        give_up_preparing(segment);
        return false;
    }
    off_t start = (off_t)(header->chunks_offset + (uint64_t)index * header->chunk_size);
    off_t left = (off_t)segment->size - start;
    off_t aligned = (off_t)PREPARE_SIZE - start % (off_t)PREPARE_SIZE;
    off_t size = left < aligned ? left : aligned;
    if (start + size > (off_t)segment->allocated) {
        off_t more = left < (off_t)ALLOCATE_SIZE ? left : (off_t)ALLOCATE_SIZE;
        (void)fallocate(fd, 0, start,
                        more); /* cheaper writes; without it they find space or fail */
        segment->allocated = (uint64_t)(start + more);
    }
    bool written = pwrite(fd, zeros, (size_t)size, start) == (ssize_t)size;
    close(fd);
    if (!written) {
        give_up_preparing(segment);
    } else {
        segment->prepared_chunks = index + (uint32_t)(size / header->chunk_size);
    }
    return written;
}

struct otrace_meta *otrace_segment_meta_room(struct otrace_segment *segment, size_t size) {
    struct otrace_segment_header *header = segment->header;
    uint64_t used = atomic_load_explicit(&header->meta_used, memory_order_relaxed);
    char *meta = (char *)header + header->meta_offset;
    if (used + size > header->meta_capacity) {
        return NULL;
    }
    while (used + size > segment->meta_reserved) {
        if (otrace_segment_reserve(segment, meta + segment->meta_reserved, META_STEP) != 0) {
            return NULL;
        }
        segment->meta_reserved += META_STEP;
    }
    return (struct otrace_meta *)(meta + used);
}

void otrace_segment_meta_publish(struct otrace_segment *segment, const struct otrace_meta *meta) {
    struct otrace_segment_header *header = segment->header;
    uint64_t used = atomic_load_explicit(&header->meta_used, memory_order_relaxed);
    atomic_store_explicit(&header->meta_used, used + meta->size, memory_order_release);
}
