/* The reading side's door: segments in, calls and encoded blocks out.
 *
 * Plain C without the interpreter: every function may run without the GIL. Objects are opaque and
 * not locked: one object is used by one thread at a time, except a segment and a clock, which do
 * not change once they are ready and may serve several cursors on several threads. A cursor
 * (decoder, batches, encoder, dump) must be freed before its segment and its clock.
 * Functions that can fail return 0 or a negative enum otrace_read_status. Texts are UTF-8 as the
 * traced program gave it ("surrogatepass", or broken when the segment is damaged), not
 * terminated, and live as long as their segment. Lines starting with # are for C only. */
#ifndef OTRACE_API_READ_H
#define OTRACE_API_READ_H

#include <stddef.h>
#include <stdint.h>

enum otrace_read_status {
    OTRACE_READ_OK = 0,
    OTRACE_READ_NO_MEMORY = -1,
    OTRACE_READ_IO = -2,         /* the file cannot be read: errno in otrace_read_problem.number */
    OTRACE_READ_EMPTY = -3,      /* no bytes, or a header that was never written */
    OTRACE_READ_FOREIGN = -4,    /* not a segment */
    OTRACE_READ_VERSION = -5,    /* a later major format: number is its version */
    OTRACE_READ_DAMAGED = -6,    /* the header contradicts itself or the file */
    OTRACE_READ_ARGUMENT = -7,   /* the caller's mistake: no such track, too small a buffer */
    OTRACE_READ_TAKEN_OVER = -8, /* overwritten between two passes: read again */
};

/* Why opening failed. */
struct otrace_read_problem {
    int64_t number;
    char field[32]; /* the header field at fault, "" if none */
};

/* What is missing or odd in a segment that could be opened all the same (bits of warnings). */
enum otrace_segment_warning {
    OTRACE_WARN_CUT = 1,         /* the file ends before its chunks do */
    OTRACE_WARN_METADATA = 2,    /* metadata records were unreadable from some point on */
    OTRACE_WARN_IDS = 4,         /* metadata records with impossible ids were skipped */
    OTRACE_WARN_CHUNKS = 8,      /* chunks with impossible headers were skipped */
    OTRACE_WARN_NO_THREAD = 16,  /* chunks of threads that the metadata does not know */
    OTRACE_WARN_TAKEN_OVER = 32, /* chunks were taken over while they were read */
    OTRACE_WARN_RECORDS = 64,    /* unreadable records: the rest of their chunks was skipped */
    OTRACE_WARN_UNREADABLE = 128 /* chunks could not be read from the file */
};

struct otrace_text {
    const char *text;
    size_t size;
};

struct otrace_segment;

struct otrace_segment_info {
    uint32_t format_major, format_minor;
    uint32_t clock_kind, state, pid, parent_pid, python_version, flags;
    uint32_t stop_errno; /* why the recording ended early; 0: it did not */
    uint64_t start_tick, start_mono_ns, start_wall_ns;
    uint64_t end_tick, end_mono_ns, end_wall_ns; /* 0 until ended in order */
    uint64_t min_duration_ns;
    uint32_t max_depth, chunk_size, chunk_count;
    uint32_t chunks_readable; /* chunks that hold records now */
    uint64_t lost_chunks, lost_calls, lost_records;
    uint64_t dropped_no_space, dropped_too_big, dropped_names;
    uint64_t file_size, bytes_used;     /* bytes_used: header, metadata and chunks with records */
    uint32_t tracks, names, notes, off; /* counts; name ids run from 1 to `names` */
    uint32_t warnings; /* enum otrace_segment_warning; more may come while reading */
    struct otrace_text process_name;
};

struct otrace_name_info {
    uint32_t kind; /* enum otrace_name_kind; 0: the id is not known */
    uint32_t line;
    struct otrace_text module, qualified, file, display; /* display: module.qualified */
};

struct otrace_track_info {
    uint32_t thread_id, os_tid;
    uint64_t start_tick, end_tick; /* end_tick 0: alive, or not known */
    uint64_t lost_calls, lost_records, lost_first_tick, lost_last_tick;
    uint64_t dropped_records;
    uint64_t chunks;         /* chunks that can be read now */
    uint64_t missing_chunks; /* gaps between and before them */
    struct otrace_text name; /* size 0: never named */
};

/* A function that was switched off because its calls cost too much. */
struct otrace_off_info {
    uint32_t function;          /* name id */
    uint64_t calls, times;      /* recorded; how often it was switched off */
    uint64_t off_tick, on_tick; /* the last time each; off now while on_tick < off_tick */
    uint64_t off_ticks;         /* in all, without a period that goes on */
};

/* Checks and indexes a segment. `fd` is duplicated, the caller closes its own. `*segment` must be
 * freed with otrace_segment_free; on failure it is NULL and `problem` says why. */
int otrace_segment_open(int fd, struct otrace_segment **segment,
                        struct otrace_read_problem *problem);
void otrace_segment_free(struct otrace_segment *segment);

/* Fills *info; counters are those of the moment of opening, warnings those so far. */
void otrace_segment_get_info(const struct otrace_segment *segment,
                             struct otrace_segment_info *info);
/* Always fills *info; kind 0 for an id that is not known. */
void otrace_segment_get_name(const struct otrace_segment *segment, uint32_t id,
                             struct otrace_name_info *info);
/* index from 0 to info.tracks - 1, in the order of thread ids. */
int otrace_segment_get_track(const struct otrace_segment *segment, uint32_t index,
                             struct otrace_track_info *info);
/* index from 0 to info.off - 1. */
int otrace_segment_get_off(const struct otrace_segment *segment, uint32_t index,
                           struct otrace_off_info *info);
/* index from 0 to info.notes - 1. */
int otrace_segment_get_note(const struct otrace_segment *segment, uint32_t index,
                            struct otrace_text *key, struct otrace_text *value);

/* ---- clock: ticks to nanoseconds ------------------------------------------------------------ */

struct otrace_clock;

/* A clock for segments of one clock kind. Add all segments, fit, then only convert. */
int otrace_clock_new(uint32_t clock_kind, struct otrace_clock **clock);
void otrace_clock_free(struct otrace_clock *clock);
/* Copies the segment's anchors; a segment of another clock kind is OTRACE_READ_ARGUMENT. */
int otrace_clock_add(struct otrace_clock *clock, const struct otrace_segment *segment);
/* Adds an anchor of this machine and moment when the segments' anchors lie within a second and were
 * made here since it was booted: without it a process that was killed early has no good rate. */
int otrace_clock_add_here(struct otrace_clock *clock);
/* Fits; afterwards times are ns after base_mono_ns (CLOCK_MONOTONIC), earlier ones are 0. */
int otrace_clock_fit(struct otrace_clock *clock, uint64_t base_mono_ns);
/* ns after the base; never falls as the tick rises. */
int64_t otrace_clock_convert(const struct otrace_clock *clock, uint64_t tick);

/* ---- calls as columns ----------------------------------------------------------------------- */

/* Bits of a call's flags. */
enum otrace_call_flag {
    OTRACE_CALL_RESUMED = 1,   /* began by resuming a generator or coroutine */
    OTRACE_CALL_YIELDED = 2,   /* ended by yield or await */
    OTRACE_CALL_UNWOUND = 4,   /* left by an exception; of a C call: raised */
    OTRACE_CALL_THROWN = 8,    /* resumed by throw() */
    OTRACE_CALL_CUT = 16,      /* its beginning was overwritten or lies before the recording */
    OTRACE_CALL_OPEN = 32,     /* had not ended when the recording did */
    OTRACE_CALL_INFERRED = 64, /* its end was not recorded: the reader put it */
    OTRACE_CALL_C = 128,       /* a C callable */
    OTRACE_CALL_EVENT = 256,   /* an event of the program, not a function */
    OTRACE_CALL_DETACHED = 512 /* an event that does not nest in its thread's calls */
};

/* Arrays of the caller, each of `capacity` items. */
struct otrace_columns {
    uint32_t capacity;
    int64_t *start_ns;    /* after the clock's base */
    int64_t *duration_ns; /* -1: open at the end */
    uint32_t *function;   /* name id */
    uint32_t *depth;      /* 0: nothing of the thread's is around it */
    uint64_t *index;      /* ordinal of the beginning in the track; a left-out call leaves a gap */
    int64_t *parent;      /* index of the call around it, -1: none */
    uint32_t *flags;      /* enum otrace_call_flag */
    uint32_t *exception;  /* name id of its type, 0: none or not known */
    uint32_t *activation; /* of a coroutine or asynchronous generator: which one; 0: none */
    uint32_t *task;       /* that the thread ran, 0: none */
};

enum otrace_mark_kind {
    OTRACE_MARK_EVENT_BEGIN = 1, /* attributes given when the row's event began */
    OTRACE_MARK_EVENT_END = 2,   /* and when it ended */
    OTRACE_MARK_INSTANT = 3,
    OTRACE_MARK_COUNTER = 4,
};

/* What goes beside the columns. */
struct otrace_mark {
    uint32_t kind;
    uint32_t row; /* events: the row of the batch */
    int64_t time_ns;
    uint32_t name;     /* name id */
    uint32_t instance; /* events: unique in the process */
    uint32_t scope;    /* instants: enum otrace_scope */
    uint32_t task;     /* that the thread ran, 0: none */
    uint32_t words;    /* attributes: this many 32-bit words of the payload */
    uint64_t offset;   /* attributes: first word in the payload */
    int64_t parent;    /* index of the call around an instant or counter, -1: none */
};

/* What a batch says beside its columns; pointers live until the next call. */
struct otrace_batch {
    uint32_t rows; /* filled rows of the columns; 0 with marks_count 0: the track is at its end */
    uint32_t marks_count;
    const struct otrace_mark *marks;
    const uint32_t *payload;
    uint64_t payload_words;
};

struct otrace_batches;

/* A cursor over one track's calls in the order of their ends, open ones last, outermost first. */
int otrace_batches_new(struct otrace_segment *segment, uint32_t track_index,
                       const struct otrace_clock *clock, struct otrace_batches **batches);
/* Gives only calls of these name ids from now on, and no marks. */
int otrace_batches_keep(struct otrace_batches *batches, const uint32_t *ids, uint32_t count);
int otrace_batches_next(struct otrace_batches *batches, const struct otrace_columns *columns,
                        struct otrace_batch *batch);
void otrace_batches_free(struct otrace_batches *batches);

/* ---- tasks ---------------------------------------------------------------------------------- */

enum otrace_task_kind { OTRACE_TASK_KIND_ASYNCIO = 1, OTRACE_TASK_KIND_TRIO = 2 };

enum otrace_task_state {
    OTRACE_TASK_STATE_UNKNOWN = 0, /* its own coroutine was not recorded */
    OTRACE_TASK_STATE_PENDING = 1,
    OTRACE_TASK_STATE_FINISHED = 2,
    OTRACE_TASK_STATE_CANCELLED = 3,
    OTRACE_TASK_STATE_FAILED = 4,
};

/* Times are ns after the clock's base, -1: not known, or not yet. */
struct otrace_task_info {
    uint32_t id;     /* unique in the process, from 1 */
    uint32_t parent; /* the task that created it, 0: none or not known */
    uint32_t kind, state;
    uint32_t function;  /* name id of its own coroutine, 0: not recorded */
    uint32_t exception; /* name id of the type that ended it */
    uint32_t thread_id; /* that ran its first step, 0: none did */
    uint32_t created_thread_id;
    int64_t created_ns, started_ns, ended_ns, last_ns; /* last: the end of its last step */
    int64_t running_ns;
    uint64_t steps;
    struct otrace_text name; /* lives as long as the tasks; size 0: not known */
};

/* One call of a coroutine function or asynchronous generator, from its first start to its end. */
struct otrace_task_call_columns {
    uint64_t capacity;
    int64_t *start_ns;
    int64_t *duration_ns; /* -1: it did not end */
    int64_t *running_ns;
    uint64_t *awaits; /* times that it gave the thread back, or a value */
    uint32_t *activation;
    uint32_t *parent; /* the activation that it was started in, 0: none */
    uint32_t *task;
    uint32_t *function;
    uint32_t *flags; /* enum otrace_call_flag */
    uint32_t *exception;
};

/* The times that a task ran without giving its thread back. */
struct otrace_task_step_columns {
    uint64_t capacity;
    int64_t *start_ns;
    int64_t *duration_ns;
    uint32_t *task;
    uint32_t *thread;
    uint32_t *woken_by; /* the task that let it go on; 0: no task, or not known */
    uint32_t *woken_in; /* name id of the function that did; 0: not known */
};

struct otrace_tasks;

/* One pass over all tracks. Memory grows with the number of calls of coroutines and of steps. */
int otrace_tasks_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                     struct otrace_tasks **tasks);
void otrace_tasks_free(struct otrace_tasks *tasks);
void otrace_tasks_counts(const struct otrace_tasks *tasks, uint64_t *count, uint64_t *calls,
                         uint64_t *steps);
/* index from 0 to count - 1, in the order of their creation. */
int otrace_tasks_get(const struct otrace_tasks *tasks, uint64_t index,
                     struct otrace_task_info *info);
/* Fill columns from the `first` item on, by task and start; return the rows filled. */
uint64_t otrace_tasks_read_calls(const struct otrace_tasks *tasks, uint64_t first,
                                 const struct otrace_task_call_columns *columns);
uint64_t otrace_tasks_read_steps(const struct otrace_tasks *tasks, uint64_t first,
                                 const struct otrace_task_step_columns *columns);

/* ---- totals --------------------------------------------------------------------------------- */

struct otrace_track_summary {
    uint64_t calls_python, calls_c, events; /* shown: open and cut ones included */
    uint64_t calls_open, calls_cut, calls_inferred;
    uint64_t calls_short; /* left out for min_duration */
    uint64_t instants, counters;
    uint64_t ends_without_begin;
    uint64_t record_bytes; /* chunk headers and records */
    uint64_t gaps;         /* times that the thread's chunks did not follow each other */
    uint64_t taken_over;   /* chunks taken over while they were read */
    uint32_t max_depth;
    int64_t first_ns, last_ns; /* -1: no records */
};

/* One pass over a track. */
int otrace_track_summarize(struct otrace_segment *segment, uint32_t track_index,
                           const struct otrace_clock *clock, struct otrace_track_summary *summary);

/* ---- encoders: fill the caller's buffer block by block --------------------------------------
 * Each `next` writes at most `capacity` bytes (at least 4096), sets *written, and returns 0; at
 * the end *written is 0. Blocks are cut anywhere: put one behind the other they are the text. */

/* What an encoder has written so far. */
struct otrace_encoded {
    uint64_t calls;   /* Python and C */
    int64_t first_ns; /* the first start of a call or nested event, -1: none */
};

struct otrace_chrome;

/* Rows of one track, each followed by ",\n". pid and tid are what the rows say. */
int otrace_chrome_new(struct otrace_segment *segment, uint32_t track_index,
                      const struct otrace_clock *clock, uint64_t pid, uint64_t tid,
                      struct otrace_chrome **chrome);
int otrace_chrome_next(struct otrace_chrome *chrome, char *buffer, size_t capacity,
                       size_t *written);
void otrace_chrome_encoded(const struct otrace_chrome *chrome, struct otrace_encoded *encoded);
void otrace_chrome_free(struct otrace_chrome *chrome);

/* One thread's track in a Perfetto trace; texts are copied. */
struct otrace_perfetto_track {
    uint32_t sequence;                  /* unique in the file, from 1 */
    uint64_t process_uuid, thread_uuid; /* unique in the file, not 0 */
    uint32_t pid, tid;                  /* tid: unique among the process's tracks */
    const char *thread_name;
    size_t thread_name_size;
    uint64_t base_mono_ns, base_wall_ns; /* the recording's start */
    int32_t order;                       /* of the track in its process */
};

struct otrace_perfetto;

/* The packets of a process: its descriptor. name may be NULL. Returns the bytes written or a
 * negative status (OTRACE_READ_ARGUMENT: capacity below 256 + 4 * name_size). */
int64_t otrace_perfetto_process(uint64_t process_uuid, uint32_t pid, const char *name,
                                size_t name_size, int32_t order, uint32_t sequence, char *buffer,
                                size_t capacity);

/* One end of an arrow: from or to the innermost slice that is open on a track at that time. */
struct otrace_perfetto_flow {
    uint64_t id; /* the same at both ends */
    uint64_t track_uuid, mono_ns;
    uint32_t sequence; /* that no track uses */
    int is_end;
};

/* Its packet. Returns the bytes written or a negative status (OTRACE_READ_ARGUMENT: capacity below
 * 128). */
int64_t otrace_perfetto_flow(const struct otrace_perfetto_flow *flow, char *buffer,
                             size_t capacity);

int otrace_perfetto_new(struct otrace_segment *segment, uint32_t track_index,
                        const struct otrace_clock *clock,
                        const struct otrace_perfetto_track *description,
                        struct otrace_perfetto **perfetto);
int otrace_perfetto_next(struct otrace_perfetto *perfetto, char *buffer, size_t capacity,
                         size_t *written);
void otrace_perfetto_encoded(const struct otrace_perfetto *perfetto,
                             struct otrace_encoded *encoded);
void otrace_perfetto_free(struct otrace_perfetto *perfetto);

struct otrace_chrome_tasks;

/* Rows of a process's tasks, asynchronous ones by the task's id; nothing without tasks. */
int otrace_chrome_tasks_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                            uint64_t pid, uint64_t tid, struct otrace_chrome_tasks **chrome);
int otrace_chrome_tasks_next(struct otrace_chrome_tasks *chrome, char *buffer, size_t capacity,
                             size_t *written);
void otrace_chrome_tasks_free(struct otrace_chrome_tasks *chrome);

struct otrace_perfetto_tasks;

/* The task tracks of a process, one a task in a group of their own; nothing without tasks. Of the
 * description: sequence, process_uuid and base_*_ns. */
int otrace_perfetto_tasks_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                              const struct otrace_perfetto_track *description,
                              struct otrace_perfetto_tasks **perfetto);
int otrace_perfetto_tasks_next(struct otrace_perfetto_tasks *perfetto, char *buffer,
                               size_t capacity, size_t *written);
void otrace_perfetto_tasks_free(struct otrace_perfetto_tasks *perfetto);

struct otrace_chrome_spans;

/* Rows of the OpenTelemetry spans that the program itself made, on invented threads from first_tid
 * on; nothing without spans. `link`: a Jaeger page's address, or "". */
int otrace_chrome_spans_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                            uint64_t pid, uint64_t first_tid, const char *link,
                            struct otrace_chrome_spans **chrome);
int otrace_chrome_spans_next(struct otrace_chrome_spans *chrome, char *buffer, size_t capacity,
                             size_t *written);
/* How many threads were invented. */
uint32_t otrace_chrome_spans_lanes(const struct otrace_chrome_spans *chrome);
void otrace_chrome_spans_free(struct otrace_chrome_spans *chrome);

struct otrace_perfetto_spans;

/* The same as tracks of the process. Of the description: sequence, process_uuid and base_*_ns. */
int otrace_perfetto_spans_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                              const struct otrace_perfetto_track *description, const char *link,
                              struct otrace_perfetto_spans **perfetto);
int otrace_perfetto_spans_next(struct otrace_perfetto_spans *perfetto, char *buffer,
                               size_t capacity, size_t *written);
void otrace_perfetto_spans_free(struct otrace_perfetto_spans *perfetto);

struct otrace_dump;

/* The raw records of a segment as text, one a line, in the order of chunk sequences. */
int otrace_dump_new(struct otrace_segment *segment, struct otrace_dump **dump);
int otrace_dump_next(struct otrace_dump *dump, char *buffer, size_t capacity, size_t *written);
void otrace_dump_free(struct otrace_dump *dump);

#endif
