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
#include <string.h>

#include "format.h"
#include "record/async.h"
#include "record/clock.h"

/* What a call is known by while it is open: its name id where the short word has it, so that a
 * record is made by or-ing. Ids that need a prefix, and events, are marked and take the slow path.
 */
typedef uint32_t otrace_key;
#define OTRACE_KEY_SHORT_MASK 0x1fff0000u
#define OTRACE_KEY_LONG 0x40000000u  /* | id */
#define OTRACE_KEY_EVENT 0x80000000u /* | instance */

static inline otrace_key otrace_key_of(uint32_t id) {
    return id >> OTRACE_ID_SHORT_BITS ? OTRACE_KEY_LONG | id : id << OTRACE_DELTA_SHORT_BITS;
}

static inline uint32_t otrace_key_id(otrace_key key) {
    return key & OTRACE_KEY_EVENT  ? key & ~OTRACE_KEY_EVENT
           : key & OTRACE_KEY_LONG ? key & ~OTRACE_KEY_LONG
                                   : key >> OTRACE_DELTA_SHORT_BITS;
}

struct otrace_open {
    uint64_t start_tick;
    const void *object; /* whose call it is, compared only. NULL: its end takes the slow path */
    otrace_key key;
    uint32_t kind; /* enum otrace_record_kind | OTRACE_OPEN_* flags; of an event its name << 8.
                      Bits above 8 mean nothing in a call */
};

/* What a thread causes and another one, or it later, does; the call in which it goes on is told
 * with the number and the time since `tick`. */
struct otrace_flow {
    uint64_t tick;
    uint32_t number; /* 24 bits, from 1, used again after that; 0: none */
};

#define OTRACE_OPEN_KIND 0x0fu
#define OTRACE_OPEN_SILENT 0x20u /* its begin was not written (paused, or below max_depth) */

struct otrace_thread {
    /* The hot line: everything that a begin or an end reads and writes. */
    otrace_word *cursor; /* the next word of the chunk */
    otrace_word *limit;  /* no word is written at or behind it; NULL sends all to the slow path.
                            Never further than the stack has room for begins */
    uint64_t last_tick;
    struct otrace_open *top; /* the next free entry of the stack */

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

    uint64_t span;            /* OpenTelemetry's current one; 0: none */
    uint64_t context_version; /* the interpreter's, when `span` was looked up; by the host */
    struct otrace_async_open *async_open; /* owned; coroutines on the stack, the outermost first.
                                             Those that have ended are dropped at the next begin */
    uint32_t async_count, async_capacity;
    struct otrace_flow arriving; /* at the next begin: until then all goes the slow path */

    uint32_t greenlet;           /* the number of the greenlet that it is of; 0: the thread's own */
    bool shared;                 /* by greenlets one after the other, from that one on */
    struct otrace_thread *owner; /* by states.c: the thread's own, when this is one beside it */
    bool taken, aside;           /* by states.c */
    struct otrace_thread *next;  /* by states.c, under its mutex */
};

/* Never NULL: threads that are not registered point to a state that takes the slow path. A greenlet
 * has one too, as if it were a thread; what runs is what this points to. */
extern __thread struct otrace_thread *otrace_thread_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The slow path of one begin or end. `object`: the code or callable, or NULL where its end has
 * something to tell. `exception`: the type's name id with OTRACE_WITH_EXCEPTION, or 0. Never fails:
 * what cannot be written is counted. */
#define OTRACE_WITH_EXCEPTION 0x80000000u
void otrace_thread_begin(enum otrace_record_kind kind, uint32_t id, const void *object,
                         uint32_t exception, uint64_t now);
void otrace_thread_end(enum otrace_record_kind kind, uint32_t id, uint32_t exception, uint64_t now);

/* The begin of a coroutine's or asynchronous generator's call; as otrace_thread_begin. */
void otrace_thread_begin_async(enum otrace_record_kind kind, uint32_t id, const void *object,
                               uint32_t exception, struct otrace_async async, uint64_t now);

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

/* What the calling thread does now goes on elsewhere. Number 0: it could not be written. */
struct otrace_flow otrace_thread_flow(void);
/* It goes on in the next call that begins on the calling thread. Number 0: in none. */
void otrace_thread_arrive(struct otrace_flow flow);

/* Another span is current on this thread from here on; 0: none. */
void otrace_thread_set_span(struct otrace_thread *thread, uint64_t span);

/* The most payload words that otrace_thread_write takes. */
#define OTRACE_PAYLOAD_WORDS 640u

/* Registers the calling thread if it must be; NULL when nothing can be recorded on it. */
struct otrace_thread *otrace_thread_register(bool beginning);

/* Tells of a thread that lived all the time and called nothing. Returns its id; 0: no room. */
uint32_t otrace_thread_publish_idle(uint32_t os_tid);

/* The thread ends: its chunk is closed. Run by the thread itself, under the states' mutex. */
void otrace_thread_exited(struct otrace_thread *thread);

/* The recording ends: closes the thread's chunk, and its next event finds it unregistered. Run by
 * any thread, with the thread kept out of the hook. */
void otrace_thread_detach(struct otrace_thread *thread);

/* What the stack keeps of a call, in one word: the key low, the kind high. */
static inline uint64_t otrace_what(enum otrace_record_kind kind, otrace_key key) {
    return (uint64_t)kind << 32 | key;
}

/* ---- the hot path: short keys only, where the clock is a counter ----
 * False: nothing was written, and the slow path must. */

#define OTRACE_DELTA_SHORT (UINT64_C(1) << OTRACE_DELTA_SHORT_BITS)

/* `object` is a code object or a callable, never NULL, and lives while the call is open. */
static inline bool otrace_emit_begin(enum otrace_record_kind kind, uint64_t what,
                                     const void *object) {
    uint64_t now = otrace_clock_counter();
    struct otrace_thread *thread = otrace_thread_self;
    uint64_t delta = now - thread->last_tick;
    otrace_word *cursor = thread->cursor;
    if (__builtin_expect(delta >= OTRACE_DELTA_SHORT || cursor >= thread->limit, 0)) {
        return false;
    }
    struct otrace_open *top = thread->top;
    thread->last_tick = now;
    *cursor = (otrace_word)kind << 29 | (otrace_word)what | (otrace_word)delta;
    thread->cursor = cursor + 1;
    top->start_tick = now;
    top->object = object;
    memcpy((char *)top + offsetof(struct otrace_open, key), &what, sizeof what);
    thread->top = top + 1;
    return true;
}

/* The end of the innermost call, begun by `object`: its key is on the stack and need not be found
 * again. The slow path is for all other ends. `exception`: as in otrace_thread_end. */
static inline bool otrace_emit_end_with(enum otrace_record_kind kind, const void *object,
                                        uint32_t exception) {
    uint64_t now = otrace_clock_counter();
    struct otrace_thread *thread = otrace_thread_self;
    otrace_word *cursor = thread->cursor;
    size_t more = exception != 0;
    if (__builtin_expect(cursor + more >= thread->limit, 0)) {
        return false; /* before all else: a state that a fork has wiped has no stack */
    }
    struct otrace_open *open = thread->top - 1;
    uint64_t delta = now - thread->last_tick;
    if (__builtin_expect(open->object != object || delta >= OTRACE_DELTA_SHORT, 0)) {
        return false;
    }
    if (exception != 0) {
        *cursor = OTRACE_LONG(OTRACE_X_EXC, exception & 0xffffffu);
        thread->chunk_extra_words++;
    }
    thread->last_tick = now;
    cursor[more] = (otrace_word)kind << 29 | open->key | (otrace_word)delta;
    thread->cursor = cursor + more + 1;
    thread->top = open;
    return true;
}

static inline bool otrace_emit_end(enum otrace_record_kind kind, const void *object) {
    return otrace_emit_end_with(kind, object, 0);
}

#endif
