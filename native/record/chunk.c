#include "record/chunk.h"

#include <string.h>

#include "record/recorder.h"
#include "record/thread.h"
#include "record/usage.h"

#define STEP_FIRST 4096u    /* of a thread's first chunk: short threads are many */
#define STEP_LARGEST 16384u /* populating more at once stalls the thread noticeably */
#define SYNC_WORDS 4u
#define SPAN_WORDS 2u /* of a SYNC while a span is current */
#define OPEN_WORDS 4u
#define OPEN_EVENT_WORDS 5u
#define OPEN_ASYNC_WORDS 6u

static size_t open_limit(void) {
    return otrace_recorder.segment.header->chunk_size / sizeof(otrace_word) / 4 / OPEN_ASYNC_WORDS;
}

static void put(otrace_word *at, otrace_word word) {
    /* Release: a reader of a live chunk, or of a killed process, sees what was written before. */
    atomic_store_explicit((_Atomic otrace_word *)at, word, memory_order_release);
}

static void write_open(struct otrace_thread *thread, const struct otrace_open *open,
                       struct otrace_async async) {
    otrace_word *at = thread->cursor;
    bool event = (open->key & OTRACE_KEY_EVENT) != 0;
    size_t words = event ? OPEN_EVENT_WORDS : async.activation != 0 ? OPEN_ASYNC_WORDS : OPEN_WORDS;
    uint32_t flags =
        event ? OTRACE_OPEN_EVENT : open->kind & (OTRACE_OPEN_KIND | OTRACE_OPEN_INHERITED);
    at[1] = otrace_key_id(open->key);
    at[2] = (otrace_word)open->start_tick;
    at[3] = (otrace_word)(open->start_tick >> 32);
    if (event) {
        at[4] = open->kind >> 8;
    } else if (async.activation != 0) {
        at[4] = async.activation;
        at[5] = async.task;
    }
    put(at, OTRACE_LONG(OTRACE_X_OPEN, words | (size_t)flags << 16));
    thread->cursor = at + words;
    thread->chunk_extra_words += (int64_t)words;
}

/* Of a stack that would fill more than a quarter of the chunk, the innermost calls are left out. */
void otrace_chunk_sync(struct otrace_thread *thread, uint64_t now) {
    size_t room = open_limit();
    otrace_word *at = thread->cursor;
    otrace_word count = 0;
    uint32_t async_from = 0;
    for (const struct otrace_open *open = thread->stack + 1; open < thread->top; open++) {
        count += !(open->kind & OTRACE_OPEN_SILENT);
    }
    at[1] = (otrace_word)now;
    at[2] = (otrace_word)(now >> 32);
    at[3] = count;
    size_t words = SYNC_WORDS;
    if (thread->span != 0) {
        at[4] = (otrace_word)thread->span;
        at[5] = (otrace_word)(thread->span >> 32);
        words += SPAN_WORDS;
    }
    put(at, OTRACE_LONG(OTRACE_X_SYNC, words));
    thread->cursor = at + words;
    thread->chunk_extra_words += (int64_t)words;
    thread->last_tick = now;
    for (const struct otrace_open *open = thread->stack + 1; open < thread->top && room > 0;
         open++) {
        if (!(open->kind & OTRACE_OPEN_SILENT)) {
            write_open(thread, open, otrace_async_of(thread, open, &async_from));
            room--;
        }
    }
}

size_t otrace_chunk_sync_words(const struct otrace_thread *thread) {
    size_t depth = (size_t)(thread->top - thread->stack) - 1;
    size_t limit = open_limit();
    return SYNC_WORDS + SPAN_WORDS + OPEN_ASYNC_WORDS * (depth < limit ? depth : limit);
}

static int64_t calls_open(const struct otrace_thread *thread) {
    return thread->top - thread->stack - 1 - (int64_t)thread->events_open;
}

/* begins + ends = records; begins - ends = change of depth, but for what left no record. */
static int64_t calls_ended(const struct otrace_thread *thread, int64_t records) {
    int64_t change = calls_open(thread) - thread->chunk_depth;
    int64_t without_end = thread->chunk_implicit + thread->chunk_silent_ends;
    int64_t ends = (records - without_end + thread->chunk_silent - change) / 2;
    return ends + without_end;
}

static void close_locked(struct otrace_thread *thread) {
    struct otrace_recorder *recorder = &otrace_recorder;
    struct otrace_chunk *chunk = thread->chunk;
    int64_t records = thread->cursor - thread->chunk_data - thread->chunk_extra_words;
    chunk->calls_ended = (uint32_t)calls_ended(thread, records);
    chunk->records = (uint32_t)records;
    chunk->last_tick = thread->last_tick;
    chunk->used = (uint64_t)((char *)thread->cursor - (char *)chunk);
    atomic_store_explicit(&chunk->state, OTRACE_CHUNK_CLOSED, memory_order_release);
    if (otrace_usage.on) {
        otrace_usage_scan(thread->chunk_data, thread->cursor);
    }
    uint32_t count = recorder->segment.header->chunk_count;
    recorder->closed[recorder->closed_end++ % count] = thread->chunk_index;
    thread->chunk = NULL;
    thread->cursor = thread->limit = NULL;
}

void otrace_chunk_close(struct otrace_thread *thread) {
    if (thread->chunk != NULL) {
        otrace_recorder_lock();
        close_locked(thread);
        otrace_recorder_unlock();
    }
}

/* Counts what is overwritten, for the whole segment and for the thread that wrote it. */
static void account_loss(struct otrace_segment_header *header, const struct otrace_chunk *chunk) {
    struct otrace_meta_thread *meta =
        (struct otrace_meta_thread *)((char *)header + chunk->thread_meta);
    atomic_fetch_add_explicit(&header->lost_chunks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&header->lost_calls, chunk->calls_ended, memory_order_relaxed);
    atomic_fetch_add_explicit(&header->lost_records, chunk->records, memory_order_relaxed);
    if (atomic_load_explicit(&meta->lost_first_tick, memory_order_relaxed) == 0) {
        atomic_store_explicit(&meta->lost_first_tick, chunk->anchor.tick, memory_order_relaxed);
    }
    atomic_store_explicit(&meta->lost_last_tick, chunk->last_tick, memory_order_relaxed);
    atomic_fetch_add_explicit(&meta->lost_calls, chunk->calls_ended, memory_order_relaxed);
    atomic_fetch_add_explicit(&meta->lost_records, chunk->records, memory_order_relaxed);
}

static struct otrace_chunk *take_over_oldest(uint32_t *index) {
    struct otrace_recorder *recorder = &otrace_recorder;
    struct otrace_segment_header *header = recorder->segment.header;
    if (recorder->closed_first == recorder->closed_end) {
        return NULL; /* every chunk is in a thread's hands */
    }
    *index = recorder->closed[recorder->closed_first++ % header->chunk_count];
    struct otrace_chunk *chunk = otrace_segment_chunk(&recorder->segment, *index);
    account_loss(header, chunk);
    size_t used = chunk->used;
    atomic_store_explicit(&chunk->sequence, 0, memory_order_seq_cst);
    atomic_store_explicit(&chunk->state, OTRACE_CHUNK_FREE, memory_order_seq_cst);
    atomic_thread_fence(memory_order_seq_cst);
    memset(chunk + 1, 0, used - sizeof *chunk);
    return chunk;
}

static bool reserve_step(struct otrace_thread *thread, size_t wanted) {
    struct otrace_recorder *recorder = &otrace_recorder;
    char *start = (char *)thread->chunk;
    char *end = start + recorder->segment.header->chunk_size;
    size_t done = (size_t)(thread->reserved_end - start);
    size_t step = thread->thread_sequence == 1 ? (done == 0 ? STEP_FIRST : done) : STEP_LARGEST;
    step = step > STEP_LARGEST ? STEP_LARGEST : step;
    step = step < wanted ? wanted : step;
    step =
        step > (size_t)(end - thread->reserved_end) ? (size_t)(end - thread->reserved_end) : step;
    int status = otrace_segment_reserve(&recorder->segment, thread->reserved_end, step);
    if (status != 0) {
        otrace_recorder_fail(status);
        return false;
    }
    thread->reserved_end += step;
    return true;
}

/* Space for the chunk's beginning at least, with its open calls: a chunk without its SYNC would be
 * of no use. */
static bool reserve_first(struct otrace_thread *thread, uint32_t used) {
    struct otrace_recorder *recorder = &otrace_recorder;
    uint32_t size = recorder->segment.header->chunk_size;
    thread->reserved_end = (char *)thread->chunk;
    if (used >= recorder->segment.header->chunk_count) {
        return reserve_step(thread, size); /* of a short thread's chunk there was a part only */
    }
    if (thread->thread_sequence > 1 && otrace_segment_prepare(&recorder->segment, used)) {
        thread->reserved_end += size;
        return true;
    }
    return reserve_step(thread, sizeof *thread->chunk +
                                    otrace_chunk_sync_words(thread) * sizeof(otrace_word));
}

static bool take_locked(struct otrace_thread *thread) {
    struct otrace_recorder *recorder = &otrace_recorder;
    struct otrace_segment_header *header = recorder->segment.header;
    uint32_t used = atomic_load_explicit(&header->chunks_used, memory_order_relaxed);
    if (used < header->chunk_count) {
        thread->chunk_index = used;
        thread->chunk = otrace_segment_chunk(&recorder->segment, used);
    } else {
        thread->chunk = take_over_oldest(&thread->chunk_index);
    }
    if (thread->chunk == NULL) {
        return false;
    }
    thread->thread_sequence++;
    if (!recorder->recording || !reserve_first(thread, used)) {
        thread->chunk = NULL;
        return false;
    }
    if (used < header->chunk_count) {
        atomic_store_explicit(&header->chunks_used, used + 1, memory_order_release);
    }
    return true;
}

static void open_chunk(struct otrace_thread *thread) {
    struct otrace_segment_header *header = otrace_recorder.segment.header;
    struct otrace_chunk *chunk = thread->chunk;
    chunk->thread_id = thread->id;
    chunk->thread_sequence = thread->thread_sequence;
    chunk->thread_meta = (uint64_t)((char *)thread->meta - (char *)header);
    chunk->anchor = otrace_clock_anchor();
    chunk->calls_ended = chunk->records = 0;
    chunk->last_tick = chunk->used = 0;
    thread->cursor = thread->chunk_data = (otrace_word *)(chunk + 1);
    thread->chunk_extra_words = 0;
    thread->chunk_depth = calls_open(thread);
    thread->chunk_implicit = thread->chunk_silent = thread->chunk_silent_ends = 0;
    uint64_t sequence = atomic_fetch_add_explicit(&header->next_sequence, 1, memory_order_relaxed);
    atomic_store_explicit(&chunk->sequence, sequence, memory_order_release);
    atomic_store_explicit(&chunk->state, OTRACE_CHUNK_WRITING, memory_order_release);
}

static bool reserve_words(struct otrace_thread *thread, size_t words) {
    char *end = (char *)thread->chunk + otrace_recorder.segment.header->chunk_size;
    while ((char *)(thread->cursor + words) > thread->reserved_end) {
        size_t missing = (size_t)((char *)(thread->cursor + words) - thread->reserved_end);
        /* Once it has failed it is not tried again: that would be a system call at each event. */
        if (thread->reserved_end == end || !otrace_recorder.recording ||
            !reserve_step(thread, missing)) {
            return false;
        }
    }
    return true;
}

static bool next_chunk(struct otrace_thread *thread, uint64_t now) {
    otrace_recorder_lock();
    if (thread->chunk != NULL) {
        close_locked(thread);
    }
    bool taken = take_locked(thread);
    otrace_recorder_unlock();
    if (!taken) {
        return false;
    }
    open_chunk(thread);
    otrace_chunk_sync(thread, now);
    return true;
}

bool otrace_chunk_room(struct otrace_thread *thread, size_t words, uint64_t now) {
    if (thread->chunk != NULL && reserve_words(thread, words)) {
        return true;
    }
    if (otrace_recorder.recording && next_chunk(thread, now) && reserve_words(thread, words)) {
        return true;
    }
    otrace_chunk_close(thread); /* its last words would get ends of calls whose begin was dropped */
    return false;
}
