/* The segment format: what the recorder writes and the reader reads.
 *
 * One segment per process. All integers are little-endian (checked by `endian_mark`), no field is
 * a pointer. docs/segment-format.md describes the same layout in prose.
 *
 *   0                    struct otrace_segment_header, one page
 *   meta_offset          metadata records, append-only, never overwritten
 *   chunks_offset        chunk_count chunks of chunk_size bytes, a circular buffer
 *
 * A segment is sparse: space is reserved before it is used, and bytes never written read as zero.
 */
#ifndef OTRACE_FORMAT_H
#define OTRACE_FORMAT_H

#include <stdatomic.h>
#include <stdint.h>

#define OTRACE_MAGIC UINT64_C(0x0a1a45434152544f) /* "OTRACE\x1a\n" */
#define OTRACE_FORMAT_MAJOR 1u                    /* readers refuse another one */
#define OTRACE_FORMAT_MINOR 0u                    /* readers accept a later one */
#define OTRACE_ENDIAN_MARK 0x01020304u
#define OTRACE_PAGE 4096u

enum otrace_clock_kind {
    OTRACE_CLOCK_MONOTONIC = 1, /* ticks are CLOCK_MONOTONIC nanoseconds */
    OTRACE_CLOCK_TSC = 2,       /* x86 invariant time stamp counter, the same for all processes */
    OTRACE_CLOCK_CNTVCT = 3,    /* arm64 virtual counter, the same for all processes */
};

enum otrace_segment_state {
    OTRACE_SEGMENT_RECORDING = 1, /* also what a killed process leaves behind */
    OTRACE_SEGMENT_ENDED = 2,     /* stopped or exited in order: end_anchor is set */
};

/* The same moment on three clocks. Readers turn ticks into nanoseconds by fitting anchors. */
struct otrace_anchor {
    uint64_t tick;
    uint64_t mono_ns; /* CLOCK_MONOTONIC */
    uint64_t wall_ns; /* CLOCK_REALTIME */
};

struct otrace_segment_header {
    /* Written once, before the file gets its final name. */
    uint64_t magic;
    uint32_t format_major, format_minor;
    uint32_t endian_mark;
    uint32_t clock_kind;
    uint32_t pid, parent_pid;
    uint32_t python_version; /* PY_VERSION_HEX */
    uint32_t flags;          /* OTRACE_SEGMENT_C_CALLS, ... */
    uint64_t meta_offset, meta_capacity;
    uint64_t chunks_offset;
    uint32_t chunk_size, chunk_count;
    uint64_t min_duration_ns;    /* readers leave out shorter calls; 0: none */
    uint32_t max_depth;          /* calls nested deeper were not recorded; 0: no limit */
    _Atomic uint32_t stop_errno; /* why the recording ended early (ENOSPC, ...); 0: it did not */
    struct otrace_anchor start_anchor;

    /* Written while recording, under the segment's mutex or atomically. */
    struct otrace_anchor end_anchor; /* zero until ENDED */
    _Atomic uint32_t state;
    _Atomic uint32_t chunks_used;      /* chunks handed out at least once */
    _Atomic uint64_t meta_used;        /* bytes of metadata published */
    _Atomic uint64_t next_sequence;    /* the next chunk's sequence, from 1 */
    _Atomic uint64_t lost_chunks;      /* chunks taken over */
    _Atomic uint64_t lost_calls;       /* calls that ended inside chunks taken over */
    _Atomic uint64_t lost_records;     /* records inside chunks taken over */
    _Atomic uint64_t dropped_no_space; /* records not written: no chunk or no disk space */
    _Atomic uint64_t dropped_too_big;  /* events whose attributes did not fit a chunk */
    _Atomic uint64_t dropped_names;    /* names that found the metadata full */
};

#define OTRACE_SEGMENT_C_CALLS 1u   /* C calls were recorded */
#define OTRACE_SEGMENT_HOOK_SHIFT 8 /* bits 8..15: enum otrace_hook_kind */

enum otrace_hook_kind { OTRACE_HOOK_MONITORING = 1, OTRACE_HOOK_PROFILE = 2 };

/* ---- metadata ------------------------------------------------------------------------------
 * Each record is padded to 8 bytes; `size` includes header and padding. Text is UTF-8 with lone
 * surrogates encoded as three bytes (Python's "surrogatepass"). A record is published by the
 * release store of meta_used after it was written whole, and always before a chunk uses its id. */

enum otrace_meta_type {
    OTRACE_META_NAME = 1,         /* id, 3 texts: module, qualified name, file; line, kind */
    OTRACE_META_THREAD = 2,       /* struct otrace_meta_thread */
    OTRACE_META_THREAD_NAME = 3,  /* id = thread id; text 0; the last one wins */
    OTRACE_META_PROCESS_NAME = 4, /* text 0; the last one wins */
    OTRACE_META_NOTE = 5,         /* text 0: key ("warning": for the user), text 1: value */
    OTRACE_META_OFF = 6,          /* struct otrace_meta_off */
};

enum otrace_name_kind {
    OTRACE_NAME_PYTHON = 1, /* a code object */
    OTRACE_NAME_C = 2,      /* a C callable */
    OTRACE_NAME_TEXT = 3,   /* event names, attribute keys, exception types: text 1 only */
};
#define OTRACE_NAME_KIND 0xffu
#define OTRACE_NAME_ASYNC 0x100u /* or-ed to the kind: calls of this code have activations */

struct otrace_meta {
    uint32_t size;
    uint16_t type, kind;
    uint32_t id; /* names: from 1, one space for all kinds; threads: from 1 */
    uint32_t line;
    uint32_t text_size[3]; /* the texts follow each other behind the struct */
    uint32_t reserved;
};

#define OTRACE_THREAD_GREENLET 1u /* one of the greenlets that its thread runs in turns */

/* A thread; its counters are updated in place when its chunks are taken over. */
struct otrace_meta_thread {
    struct otrace_meta meta;
    uint32_t os_tid;
    uint32_t flags;
    uint64_t start_tick;
    _Atomic uint64_t end_tick; /* 0 while alive */
    _Atomic uint64_t lost_calls, lost_records;
    _Atomic uint64_t lost_first_tick, lost_last_tick; /* the time range that was overwritten */
    _Atomic uint64_t dropped_records;                 /* not written: no space */
};

/* A Python function, by its name id, that was switched off because its calls cost too much; updated
 * in place. It is off while on_tick < off_tick. */
struct otrace_meta_off {
    struct otrace_meta meta;
    _Atomic uint64_t calls;             /* recorded so far */
    _Atomic uint64_t times;             /* how often it was switched off */
    _Atomic uint64_t off_tick, on_tick; /* the last time each; 0: never */
    _Atomic uint64_t off_ticks;         /* in all, without a period that goes on */
};

/* ---- chunks ---------------------------------------------------------------------------------
 * A chunk belongs to one thread at a time, which writes it without locks. A reader copies it and
 * then compares `sequence` again: a change means that the chunk was taken over meanwhile. */

enum otrace_chunk_state {
    OTRACE_CHUNK_FREE = 0,
    OTRACE_CHUNK_WRITING = 1,
    OTRACE_CHUNK_CLOSED = 2,
};

struct otrace_chunk {
    _Atomic uint32_t state;
    uint32_t thread_id;
    _Atomic uint64_t sequence; /* per segment, from 1 */
    uint64_t thread_sequence;  /* per thread, from 1, consecutive: a gap is an overwritten chunk */
    struct otrace_anchor anchor; /* anchor.tick is also the time base of the first record */
    uint32_t calls_ended;        /* set when closed */
    uint32_t records;            /* set when closed: main records */
    uint64_t last_tick;          /* set when closed */
    uint64_t used;               /* set when closed: bytes of the chunk that were written */
    uint64_t thread_meta;        /* offset of the thread's metadata record in the segment */
};

/* ---- records --------------------------------------------------------------------------------
 * 32-bit words; a zero word ends a chunk that is still being written. Time is a running value:
 * anchor.tick, plus every delta so far; a record that carries a tick sets it.
 *
 * Short word:    kind:3 | id:13 | delta:16        kind 1..6, one begin or end of a call
 * Long word:     7:3 | sub:5 | argument:24
 *
 * Subs 1..7 are prefixes of one word. They widen or qualify the next short word:
 *   TIME   argument is delta >> 16                         (40 bits of ticks in all)
 *   ID     argument is id >> 13
 *   EXC    argument is the name id of an exception's type (0: not known).
 *          Before END: left by an exception; before C_END: raised; before RESUME: thrown in.
 *   ACT    argument is the low 24 bits of an activation: of a coroutine or asynchronous generator
 *          from its first start to its end. Unique in the process, from 1.
 *   TASK   argument is the low 24 bits of a task's id: the thread runs this task until the call
 *          that the record begins ends. Before a BEGIN or RESUME that no coroutine awaits.
 *   HIGH   argument is activation >> 24 | (task >> 24) << 8
 *   ARRIVE three of them, before a begin: what a FLOW led to begins here. The flow's number, and
 * the ticks since then: the low 24 bits, the next 24
 *
 * Subs 8..31 are records of several words: argument = total words (low 16 bits) | flags << 16.
 * Readers skip unknown ones. `tick` is two words, low then high. Payload is written before the
 * first word, so that a record is there whole or not at all.
 *   TICK        tick                     sets the time (a delta above 40 bits)
 *   SYNC        tick, count              the `count` open calls follow as OPEN records, outermost
 *                                        first (of a very deep stack the innermost are left out);
 *                                        each chunk starts with one; also written after a pause.
 *                                        Two more words when a span is current: its id
 *   OPEN        id, start tick           flags: enum otrace_record_kind that opened it;
 *                                        OTRACE_OPEN_INHERITED: it began before the recording.
 *                                        Of a coroutine: its activation and task follow
 *   PAUSE       tick                     the thread stopped recording until the next SYNC
 *   EVENT_BEGIN tick, instance, name, attributes...
 *   EVENT_END   tick, instance, exception type (0: none), attributes...
 *   INSTANT     tick, name, attributes...            flags: enum otrace_scope
 *   COUNTER     tick, name, attributes (numbers)...
 *   FLOW        tick, number             what the innermost call does now goes on elsewhere: in the
 *                                        call whose begin has ARRIVE with this number (24 bits)
 *   SPAN_BEGIN  tick, span id, trace id  a span of OpenTelemetry's starts, opened by the call that
 *                                        is innermost now; two words, and four (high half first)
 *   SPAN_CURRENT tick, span id           from here on it is current on this thread; 0: none is
 *   SPAN_END    tick, span id, trace id, parent's span id (0: none), ns before tick that it
 * started, ns before tick that it ended, name (a value), attributes...   two words each but the
 *               trace id, which is four, high half first. flags: enum otrace_span_flag
 *   TASK_INFO   tick, task, parent, root, name flags: enum otrace_task_flag. What is known of a
 *                                        task: ids are 0 and the name is a NONE where it is not.
 *                                        `root`: the activation of the task's own coroutine
 *
 * An EVENT_END with its instance id ends the EVENT_BEGIN of the same id in the same process,
 * wherever it is: in async code events need not nest within the thread's calls.
 */
typedef uint32_t otrace_word;

enum otrace_record_kind {
    OTRACE_BEGIN = 1,   /* a Python function starts */
    OTRACE_END = 2,     /* it returns, or with EXC is left by an exception */
    OTRACE_C_BEGIN = 3, /* a C callable is called */
    OTRACE_C_END = 4,   /* it returns, or with EXC raises */
    OTRACE_RESUME = 5,  /* a generator or coroutine goes on; with EXC by throw() */
    OTRACE_YIELD = 6,   /* it yields or awaits */
    OTRACE_EXTENDED = 7,
};

enum otrace_extended {
    OTRACE_X_TIME = 1,
    OTRACE_X_ID = 2,
    OTRACE_X_EXC = 3,
    OTRACE_X_ACT = 4,
    OTRACE_X_TASK = 5,
    OTRACE_X_HIGH = 6,
    OTRACE_X_ARRIVE = 7,
    OTRACE_X_TICK = 8,
    OTRACE_X_SYNC = 9,
    OTRACE_X_OPEN = 10,
    OTRACE_X_PAUSE = 11,
    OTRACE_X_EVENT_BEGIN = 12,
    OTRACE_X_EVENT_END = 13,
    OTRACE_X_INSTANT = 14,
    OTRACE_X_COUNTER = 15,
    OTRACE_X_FLOW = 16,
    OTRACE_X_SPAN_BEGIN = 18,
    OTRACE_X_SPAN_CURRENT = 19,
    OTRACE_X_TASK_INFO = 20,
    OTRACE_X_SPAN_END = 22,
    /* Set aside: 21 arguments. */
};

enum otrace_scope { OTRACE_SCOPE_THREAD = 0, OTRACE_SCOPE_PROCESS = 1, OTRACE_SCOPE_GLOBAL = 2 };

enum otrace_span_flag {
    OTRACE_SPAN_KIND = 7, /* mask: 0 internal, 1 server, 2 client, 3 producer, 4 consumer */
    OTRACE_SPAN_OK = 8,   /* its status */
    OTRACE_SPAN_ERROR = 16,
    OTRACE_SPAN_SAMPLED = 32,
    OTRACE_SPAN_CUT = 64, /* not all attributes had room */
};

enum otrace_task_flag {
    OTRACE_TASK_CREATED = 1,   /* now, by what this thread runs */
    OTRACE_TASK_STARTED = 2,   /* its first step comes next */
    OTRACE_TASK_CANCELLED = 4, /* its end, which comes next, is a cancellation */
    OTRACE_TASK_ASYNCIO = 16,  /* whose task it is */
    OTRACE_TASK_TRIO = 32,
};

#define OTRACE_OPEN_INHERITED 0x10u /* with the opening kind in the low four bits */
#define OTRACE_OPEN_EVENT                                                                          \
    0xfu /* in place of the kind: id is an event's instance and the                                \
            name id follows as one more word */

#define OTRACE_ID_SHORT_BITS 13
#define OTRACE_DELTA_SHORT_BITS 16
#define OTRACE_DELTA_LONG_BITS 40

#define OTRACE_WORD(kind, id, delta)                                                               \
    (((otrace_word)(kind) << 29) | ((otrace_word)((id) & 0x1fffu) << 16) | (otrace_word)(delta))
#define OTRACE_LONG(sub, argument)                                                                 \
    (((otrace_word)OTRACE_EXTENDED << 29) | ((otrace_word)(sub) << 24) | (otrace_word)(argument))

/* Attributes: per attribute the key's name id, then a value. A value is one word, type | size << 8,
 * and, padded to words, `size` bytes of payload. */
enum otrace_value_type {
    OTRACE_VALUE_NONE = 0,
    OTRACE_VALUE_FALSE = 1,
    OTRACE_VALUE_TRUE = 2,
    OTRACE_VALUE_INT = 3,    /* 8 bytes, signed */
    OTRACE_VALUE_FLOAT = 4,  /* 8 bytes, IEEE double */
    OTRACE_VALUE_TEXT = 5,   /* UTF-8, surrogatepass */
    OTRACE_VALUE_BIGINT = 6, /* decimal text of an int beyond 64 bits */
    OTRACE_VALUE_REPR = 7,   /* the repr of any other object */
    OTRACE_VALUE_LIST = 8,   /* size = payload bytes: values one after the other */
};
#define OTRACE_VALUE_CUT 0x80u /* or-ed to the type: the text was cut to its limit */

#endif
