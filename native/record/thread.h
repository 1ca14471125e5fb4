/* A thread's place in the ring: write pointers, the stack of open calls, its chunk.
 *
 * Each thread writes only its own state and its own chunk, without locks. States live in pages
 * that a fork wipes (MADV_WIPEONFORK): in a child every pointer is NULL, so that its first event
 * takes the slow path and can never touch the parent's chunk. */
#ifndef OTRACE_THREAD_H
#define OTRACE_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format.h"
#include "record/clock.h"

struct otrace_open {
    uint64_t start_tick;
    uint32_t id;   /* a name; an event's instance is or-ed with OTRACE_OPEN_IS_EVENT */
    uint32_t kind; /* enum otrace_record_kind | OTRACE_OPEN_* flags | detail << 8. The detail of an
                      event is its name; of a C call what its end is recognised by */
};

#define OTRACE_OPEN_IS_EVENT 0x80000000u /* in id: so that no call's id equals an event's */
#define OTRACE_OPEN_KIND 0x0fu
#define OTRACE_OPEN_SILENT 0x20u /* its begin was not written (paused, or below max_depth) */

struct otrace_thread {
    /* The hot line: everything that a begin or an end reads and writes. */
    otrace_word *cursor; /* the next word of the chunk */
    otrace_word *limit;  /* no word is written at or behind it; NULL sends all to the slow path */
    uint64_t last_tick;
    struct otrace_open *top;       /* the next free entry of the stack */
    struct otrace_open *top_limit; /* a begin at it takes the slow path */

    /* Slow path only. */
    struct otrace_open *stack; /* own mapping; stack[0] is a sentinel that no id matches */
    struct otrace_open *stack_end;
    uint32_t id; /* 0: not registered */
    uint32_t os_tid;
    uint64_t ident;     /* the interpreter's thread ident; by the host */
    uint64_t name_hash; /* of the name last published; by the host */
    uint32_t pauses;
    uint32_t events_open;
    struct otrace_chunk *chunk;
    uint32_t chunk_index;
    char *reserved_end; /* of the chunk: what is safe to write */
    uint64_t thread_sequence;
    struct otrace_meta_thread *meta;

    /* For the exact count of the calls in a chunk; see thread_calls_ended. */
    otrace_word *chunk_data;
    int64_t chunk_extra_words; /* words that are no begin or end of a call */
    int64_t chunk_depth;       /* calls open when the chunk began */
    int64_t chunk_implicit;    /* calls that an outer end closed */
    int64_t chunk_silent;      /* calls pushed less calls popped without a record */
    int64_t chunk_silent_ends; /* calls with a written begin that ended without a record */

    bool taken;                 /* by states.c */
    struct otrace_thread *next; /* by states.c, under its mutex */
};

/* Never NULL: threads that are not registered point to a state that takes the slow path. */
extern __thread struct otrace_thread *otrace_thread_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The slow path of one begin or end. `exception`: the type's name id with OTRACE_WITH_EXCEPTION,
 * or 0. Never fails: what cannot be written is counted. */
#define OTRACE_WITH_EXCEPTION 0x80000000u
void otrace_thread_begin(enum otrace_record_kind kind, uint32_t id, uint32_t exception,
                         uint64_t now);
void otrace_thread_end(enum otrace_record_kind kind, uint32_t id, uint32_t exception, uint64_t now);

/* Tells a call that was open before this thread's first event; from host.thread_started only. */
void otrace_thread_push_open(struct otrace_thread *thread, uint32_t id,
                             enum otrace_record_kind kind);

/* Stops and continues recording on the calling thread; they nest. */
void otrace_thread_pause(void);
void otrace_thread_resume(void);

/* One record of several words. `payload` follows the tick; `top`: EVENT_BEGIN pushes, EVENT_END
 * pops the instance in payload[0]. Returns false when it was not written (paused, no room). */
bool otrace_thread_write(enum otrace_extended sub, uint32_t flags, const otrace_word *payload,
                         size_t words);

/* The most payload words that otrace_thread_write takes. */
#define OTRACE_PAYLOAD_WORDS 640u

/* Registers the calling thread if it must be; NULL when nothing can be recorded on it. */
struct otrace_thread *otrace_thread_register(bool beginning);

/* The thread ends: its chunk is closed. Run by the thread itself, under the states' mutex. */
void otrace_thread_exited(struct otrace_thread *thread);

/* The recording ends: closes the thread's chunk, and its next event finds it unregistered. Run by
 * any thread, with the thread kept out of the hook. */
void otrace_thread_detach(struct otrace_thread *thread);

static inline void otrace_emit_begin(enum otrace_record_kind kind, uint32_t id, uint32_t detail) {
    struct otrace_thread *thread = otrace_thread_self;
    uint64_t now = otrace_clock_ticks();
    uint64_t delta = now - thread->last_tick;
    otrace_word *cursor = thread->cursor;
    struct otrace_open *top = thread->top;
    if (__builtin_expect(((delta >> OTRACE_DELTA_SHORT_BITS) | (id >> OTRACE_ID_SHORT_BITS)) == 0 &&
                             cursor < thread->limit && top < thread->top_limit,
                         1)) {
        thread->last_tick = now;
        *cursor = OTRACE_WORD(kind, id, delta);
        thread->cursor = cursor + 1;
        top->start_tick = now;
        top->id = id;
        top->kind = (uint32_t)kind | detail << 8;
        thread->top = top + 1;
    } else {
        otrace_thread_begin(kind, id, 0, now);
    }
}

/* The end of a C call whose begin carried `detail`: its id is on the stack and need not be found
 * again. False when the innermost open call is another one; nothing was written then. */
static inline bool otrace_emit_end_known(enum otrace_record_kind kind, uint32_t detail) {
    struct otrace_thread *thread = otrace_thread_self;
    otrace_word *cursor = thread->cursor;
    if (__builtin_expect(cursor >= thread->limit, 0)) {
        return false;
    }
    struct otrace_open *open = thread->top - 1;
    uint32_t id = open->id;
    uint64_t now = otrace_clock_ticks();
    uint64_t delta = now - thread->last_tick;
    if (__builtin_expect(((delta >> OTRACE_DELTA_SHORT_BITS) | (id >> OTRACE_ID_SHORT_BITS)) == 0 &&
                             open->kind == (OTRACE_C_BEGIN | detail << 8),
                         1)) {
        thread->last_tick = now;
        *cursor = OTRACE_WORD(kind, id, delta);
        thread->cursor = cursor + 1;
        thread->top = open;
        return true;
    }
    return false;
}

static inline void otrace_emit_end(enum otrace_record_kind kind, uint32_t id) {
    struct otrace_thread *thread = otrace_thread_self;
    uint64_t now = otrace_clock_ticks();
    uint64_t delta = now - thread->last_tick;
    otrace_word *cursor = thread->cursor;
    if (__builtin_expect(((delta >> OTRACE_DELTA_SHORT_BITS) | (id >> OTRACE_ID_SHORT_BITS)) == 0 &&
                             cursor < thread->limit && thread->top[-1].id == id,
                         1)) {
        thread->last_tick = now;
        *cursor = OTRACE_WORD(kind, id, delta);
        thread->cursor = cursor + 1;
        thread->top--;
    } else {
        otrace_thread_end(kind, id, 0, now);
    }
}

#endif
