#include "record/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record/chunk.h"
#include "record/recorder.h"
#include "record/states.h"

#define SHORT_WORDS 12u /* a short word with every prefix, or TICK before it */
#define STACK_FIRST 1024u
#define STACK_LARGEST (UINT32_C(1) << 24)

static struct otrace_open none_stack[1];
static struct otrace_thread none = {.stack = none_stack, .top = none_stack + 1};

__thread struct otrace_thread *otrace_thread_self
    __attribute__((tls_model("initial-exec"), visibility("hidden"))) = &none;

static void put(struct otrace_thread *thread, otrace_word word) {
    atomic_store_explicit((_Atomic otrace_word *)thread->cursor++, word, memory_order_release);
}

/* ---- the stack of open calls ---- */

static size_t depth_of(const struct otrace_thread *thread) {
    return (size_t)(thread->top - thread->stack) - 1;
}

static bool stack_create(struct otrace_thread *thread) {
    size_t size = STACK_FIRST * sizeof *thread->stack;
    void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) {
        return false;
    }
    thread->stack = stack; /* zeroed: id 0 in stack[0] matches nothing */
    thread->stack_end = thread->stack + STACK_FIRST;
    return true;
}

static bool stack_grow(struct otrace_thread *thread) {
    size_t entries = (size_t)(thread->stack_end - thread->stack);
    size_t used = (size_t)(thread->top - thread->stack);
    if (entries >= STACK_LARGEST) {
        return false;
    }
    void *stack = mremap(thread->stack, entries * sizeof *thread->stack,
                         entries * 2 * sizeof *thread->stack, MREMAP_MAYMOVE);
    if (stack == MAP_FAILED) {
        return false;
    }
    thread->stack = stack;
    thread->stack_end = thread->stack + entries * 2;
    thread->top = thread->stack + used;
    return true;
}

static bool push(struct otrace_thread *thread, struct otrace_open open) {
    if (thread->top == thread->stack_end && !stack_grow(thread)) {
        return false;
    }
    *thread->top++ = open;
    return true;
}

static struct otrace_open *find(struct otrace_thread *thread, otrace_key key) {
    for (struct otrace_open *open = thread->top - 1; open > thread->stack; open--) {
        if (open->key == key) {
            return open;
        }
    }
    return NULL;
}

/* Closes what lies above `open`: the reader does the same at this end. */
static void pop_above(struct otrace_thread *thread, struct otrace_open *open) {
    for (struct otrace_open *above = open + 1; above < thread->top; above++) {
        if (above->key & OTRACE_KEY_EVENT) {
            thread->events_open--;
        } else if (above->kind & OTRACE_OPEN_SILENT) {
            thread->chunk_silent--;
        } else {
            thread->chunk_implicit++;
        }
    }
    thread->top = open + 1;
}

/* ---- what may be written ---- */

/* `calls`: those open around the one asked about; events do not count. */
static bool below_max_depth(size_t calls) {
    uint32_t max = otrace_recorder.options.max_depth;
    return max == 0 || calls < max;
}

/* Sends the fast path here whenever something must not be written, or the stack might not hold
 * every begin that the chunk has room for. */
static void set_limits(struct otrace_thread *thread) {
    size_t room = (size_t)(thread->stack_end - thread->top);
    otrace_word *end = (otrace_word *)thread->reserved_end;
    thread->limit = NULL;
    if (thread->pauses == 0 && thread->chunk != NULL && otrace_recorder.options.max_depth == 0 &&
        thread->arriving.number == 0 && otrace_clock_has_counter()) {
        thread->limit = (size_t)(end - thread->cursor) > room ? thread->cursor + room : end;
    }
}

static void count_dropped(struct otrace_thread *thread) {
    struct otrace_segment_header *header = otrace_recorder.segment.header;
    if (header != NULL) {
        atomic_fetch_add_explicit(&header->dropped_no_space, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&thread->meta->dropped_records, 1, memory_order_relaxed);
    }
}

static bool room(struct otrace_thread *thread, size_t words, uint64_t now) {
    int saved = errno; /* the program must not see ours */
    bool found = otrace_chunk_room(thread, words, now);
    errno = saved;
    if (!found) {
        count_dropped(thread);
    }
    return found;
}

static void put_async(struct otrace_thread *thread, struct otrace_async async) {
    put(thread, OTRACE_LONG(OTRACE_X_ACT, async.activation & 0xffffffu));
    if (async.task != 0) {
        put(thread, OTRACE_LONG(OTRACE_X_TASK, async.task & 0xffffffu));
    }
    if ((async.activation | async.task) >> 24) {
        put(thread, OTRACE_LONG(OTRACE_X_HIGH, async.activation >> 24 | async.task >> 24 << 8));
    }
}

static void put_arrival(struct otrace_thread *thread, uint64_t now) {
    struct otrace_flow flow = thread->arriving;
    uint64_t since = now > flow.tick ? now - flow.tick : 0;
    put(thread, OTRACE_LONG(OTRACE_X_ARRIVE, flow.number));
    put(thread, OTRACE_LONG(OTRACE_X_ARRIVE, since & 0xffffffu));
    put(thread, OTRACE_LONG(OTRACE_X_ARRIVE, since >> 24 & 0xffffffu));
}

static bool write_short(struct otrace_thread *thread, enum otrace_record_kind kind, uint32_t id,
                        uint32_t exception, struct otrace_async async, uint64_t now) {
    if (!room(thread, SHORT_WORDS, now)) {
        return false;
    }
    otrace_word *start = thread->cursor;
    uint64_t delta = now - thread->last_tick;
    if (delta >> OTRACE_DELTA_LONG_BITS) {
        start[1] = (otrace_word)now;
        start[2] = (otrace_word)(now >> 32);
        put(thread, OTRACE_LONG(OTRACE_X_TICK, 3));
        thread->cursor += 2;
        delta = 0;
    } else if (delta >> OTRACE_DELTA_SHORT_BITS) {
        put(thread, OTRACE_LONG(OTRACE_X_TIME, delta >> OTRACE_DELTA_SHORT_BITS));
    }
    if (id >> OTRACE_ID_SHORT_BITS) {
        put(thread, OTRACE_LONG(OTRACE_X_ID, id >> OTRACE_ID_SHORT_BITS));
    }
    if (exception & OTRACE_WITH_EXCEPTION) {
        put(thread, OTRACE_LONG(OTRACE_X_EXC, exception & 0xffffffu));
    }
    if (async.activation != 0) {
        put_async(thread, async);
    }
    if (thread->arriving.number != 0 && kind & 1) { /* BEGIN, C_BEGIN, RESUME */
        put_arrival(thread, now);
    }
    put(thread, OTRACE_WORD(kind, id, delta & 0xffffu));
    thread->chunk_extra_words += thread->cursor - start - 1;
    thread->last_tick = now;
    return true;
}

static struct otrace_thread *ready(bool beginning) {
    struct otrace_thread *thread = otrace_thread_self;
    return thread->id != 0 ? thread : otrace_thread_register(beginning);
}

void otrace_thread_begin(enum otrace_record_kind kind, uint32_t id, const void *object,
                         uint32_t exception, uint64_t now) {
    otrace_thread_begin_async(kind, id, object, exception, (struct otrace_async){0}, now);
}

void otrace_thread_begin_async(enum otrace_record_kind kind, uint32_t id, const void *object,
                               uint32_t exception, struct otrace_async async, uint64_t now) {
    struct otrace_thread *thread = ready(true);
    if (thread == NULL) {
        return;
    }
    /* A counter read on another core may lie a little behind: time never runs backwards. */
    now = now > thread->last_tick ? now : thread->last_tick;
    bool written = thread->pauses == 0 && below_max_depth(depth_of(thread) - thread->events_open) &&
                   write_short(thread, kind, id, exception, async, now);
    thread->arriving.number = 0;
    otrace_key key = otrace_key_of(id);
    struct otrace_open open = {now, object, key,
                               (uint32_t)kind | (written ? 0 : OTRACE_OPEN_SILENT)};
    if (!written || key & OTRACE_KEY_LONG) {
        open.object = NULL; /* its end is not for the fast path */
    }
    if (push(thread, open)) {
        thread->chunk_silent += !written;
        if (async.activation != 0) {
            otrace_async_push(thread, async);
        }
    }
    set_limits(thread);
}

void otrace_thread_end(enum otrace_record_kind kind, uint32_t id, uint32_t exception,
                       uint64_t now) {
    struct otrace_thread *thread = ready(false);
    struct otrace_open *open = thread == NULL ? NULL : find(thread, otrace_key_of(id));
    if (open == NULL) {
        return; /* it began before the recording: nothing to end */
    }
    now = now > thread->last_tick ? now : thread->last_tick;
    pop_above(thread, open);
    if (open->kind & OTRACE_OPEN_SILENT) {
        thread->chunk_silent--;
    } else if (thread->pauses > 0 ||
               !write_short(thread, kind, id, exception, (struct otrace_async){0}, now)) {
        thread->chunk_silent_ends++;
    }
    thread->top = open;
    set_limits(thread);
}

void otrace_thread_push_open(struct otrace_thread *thread, uint32_t id,
                             enum otrace_record_kind kind) {
    uint64_t start = otrace_recorder.segment.header->start_anchor.tick;
    push(thread, (struct otrace_open){.start_tick = start,
                                      .key = otrace_key_of(id),
                                      .kind = (uint32_t)kind | OTRACE_OPEN_INHERITED});
}

void otrace_thread_pause(void) {
    struct otrace_thread *thread = ready(false);
    if (thread == NULL) {
        return;
    }
    if (thread->pauses++ == 0) {
        thread->pauses = 0;
        otrace_thread_write(OTRACE_X_PAUSE, 0, NULL, 0);
        thread->pauses = 1;
    }
    set_limits(thread);
}

void otrace_thread_resume(void) {
    struct otrace_thread *thread = otrace_thread_self;
    if (thread->id == 0 || thread->pauses == 0 || --thread->pauses > 0) {
        return;
    }
    size_t calls = 0;
    for (struct otrace_open *open = thread->stack + 1; open < thread->top; open++) {
        if (!(open->key & OTRACE_KEY_EVENT) && below_max_depth(calls++)) {
            open->kind &= ~OTRACE_OPEN_SILENT;
        }
    }
    uint64_t now = otrace_clock_ticks();
    if (room(thread, otrace_chunk_sync_words(thread), now)) {
        otrace_chunk_sync(thread, now);
    }
    set_limits(thread);
}

/* ---- records of several words ---- */

static void track_event(struct otrace_thread *thread, enum otrace_extended sub,
                        const otrace_word *payload, uint64_t now) {
    otrace_key key = payload[0] | OTRACE_KEY_EVENT;
    if (sub == OTRACE_X_EVENT_BEGIN) {
        thread->events_open += push(
            thread, (struct otrace_open){.start_tick = now, .key = key, .kind = payload[1] << 8});
        return;
    }
    struct otrace_open *open = find(thread, key);
    if (open != NULL) { /* calls above it go on: an event may end inside a helper */
        memmove(open, open + 1, (size_t)((char *)thread->top - (char *)(open + 1)));
        thread->top--;
        thread->events_open--;
    }
}

bool otrace_thread_write(enum otrace_extended sub, uint32_t flags, const otrace_word *payload,
                         size_t words) {
    struct otrace_thread *thread = ready(false);
    bool event = sub == OTRACE_X_EVENT_BEGIN || sub == OTRACE_X_EVENT_END;
    size_t total = 3 + words;
    if (thread == NULL || (thread->pauses > 0 && !event)) {
        return false;
    }
    uint64_t now = otrace_clock_ticks();
    now = now > thread->last_tick ? now : thread->last_tick;
    bool written = thread->pauses == 0 && words <= OTRACE_PAYLOAD_WORDS && room(thread, total, now);
    if (written) {
        otrace_word *at = thread->cursor;
        at[1] = (otrace_word)now;
        at[2] = (otrace_word)(now >> 32);
        if (words > 0) {
            memcpy(at + 3, payload, words * sizeof *payload);
        }
        put(thread, OTRACE_LONG(sub, total | (size_t)flags << 16));
        thread->cursor = at + total;
        thread->chunk_extra_words += (int64_t)total;
        thread->last_tick = now;
    }
    if (event && (written || sub == OTRACE_X_EVENT_END)) {
        track_event(thread, sub, payload, now);
    }
    set_limits(thread);
    return written;
}

/* While the thread is paused, or has no room, the next SYNC tells. */
void otrace_thread_set_span(struct otrace_thread *thread, uint64_t span) {
    if (thread->span != span) {
        otrace_word payload[] = {(otrace_word)span, (otrace_word)(span >> 32)};
        thread->span = span;
        otrace_thread_write(OTRACE_X_SPAN_CURRENT, 0, payload, 2);
    }
}

/* ---- flows ---- */

struct otrace_flow otrace_thread_flow(void) {
    static _Atomic uint32_t last;
    uint32_t number = 1 + atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) % 0xffffffu;
    bool written = otrace_thread_write(OTRACE_X_FLOW, 0, &number, 1);
    return (struct otrace_flow){otrace_thread_self->last_tick, written ? number : 0};
}

void otrace_thread_arrive(struct otrace_flow flow) {
    struct otrace_thread *thread = ready(true);
    if (thread != NULL) {
        thread->arriving = flow;
        set_limits(thread);
    }
}

/* ---- registration ---- */

static struct otrace_meta_thread *publish_meta(uint32_t id, uint32_t os_tid, bool greenlet,
                                               uint64_t start_tick) {
    struct otrace_segment *segment = &otrace_recorder.segment;
    struct otrace_meta *meta = otrace_segment_meta_room(segment, sizeof(struct otrace_meta_thread));
    if (meta == NULL) {
        return NULL;
    }
    struct otrace_meta_thread *thread = (struct otrace_meta_thread *)meta;
    meta->size = sizeof *thread;
    meta->type = OTRACE_META_THREAD;
    meta->id = id;
    thread->os_tid = os_tid;
    thread->flags = greenlet ? OTRACE_THREAD_GREENLET : 0;
    thread->start_tick = start_tick;
    otrace_segment_meta_publish(segment, meta);
    return thread;
}

static bool set_up(struct otrace_thread *thread) {
    thread->os_tid = (uint32_t)syscall(SYS_gettid);
    if (thread->stack == NULL && !stack_create(thread)) {
        return false;
    }
    thread->top = thread->stack + 1;
    thread->pauses = thread->events_open = thread->async_count = 0;
    thread->name_hash = 0; /* this segment does not have it yet */
    thread->thread_sequence = 0;
    thread->chunk = NULL;
    thread->cursor = thread->limit = NULL;
    thread->last_tick = 0;
    thread->span = thread->context_version = 0;
    thread->chunk_silent = thread->chunk_implicit = thread->chunk_silent_ends = 0;
    otrace_recorder_lock();
    uint32_t id = otrace_recorder.next_thread_id;
    thread->meta = publish_meta(id, thread->os_tid, thread->greenlet != 0, otrace_clock_ticks());
    if (thread->meta != NULL) {
        otrace_recorder.next_thread_id++;
        thread->id = id;
    }
    otrace_recorder_unlock();
    return thread->id != 0;
}

uint32_t otrace_thread_publish_idle(uint32_t os_tid) {
    uint64_t start = otrace_recorder.segment.header->start_anchor.tick;
    otrace_recorder_lock();
    uint32_t id = otrace_recorder.next_thread_id;
    if (publish_meta(id, os_tid, false, start) == NULL) {
        id = 0;
    } else {
        otrace_recorder.next_thread_id++;
    }
    otrace_recorder_unlock();
    return id;
}

static struct otrace_thread *register_self(bool beginning) {
    struct otrace_recorder *recorder = &otrace_recorder;
    otrace_recorder_notice_fork();
    if (!recorder->recording) {
        return NULL;
    }
    struct otrace_thread *thread = otrace_thread_self;
    if (!otrace_states_owns(thread)) {
        thread = otrace_states_take();
        if (thread == NULL) {
            return NULL;
        }
        otrace_thread_self = thread;
    }
    if (!set_up(thread)) {
        return NULL;
    }
    recorder->host.thread_started(thread, beginning);
    set_limits(thread);
    return thread;
}

struct otrace_thread *otrace_thread_register(bool beginning) {
    int saved = errno; /* the program must not see ours */
    struct otrace_thread *thread = register_self(beginning);
    errno = saved;
    return thread;
}

void otrace_thread_exited(struct otrace_thread *thread) {
    otrace_thread_self = &none;
    if (thread->id != 0) {
        otrace_chunk_close(thread);
        if (thread->meta != NULL) {
            atomic_store_explicit(&thread->meta->end_tick, otrace_clock_ticks(),
                                  memory_order_relaxed);
        }
    }
    free(thread->async_open);
    if (thread->stack != NULL) {
        munmap(thread->stack, (size_t)((char *)thread->stack_end - (char *)thread->stack));
    }
}

void otrace_thread_detach(struct otrace_thread *thread) {
    if (thread->id != 0) {
        otrace_chunk_close(thread);
    }
    thread->id = 0;
    thread->meta = NULL;
    thread->cursor = thread->limit = NULL;
    thread->arriving.number = 0;
}
