/* The recorder of this process: one segment, its names, its chunks. */
#ifndef OTRACE_RECORDER_H
#define OTRACE_RECORDER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "record/segment.h"

struct otrace_thread;

/* What the recorder asks of the interpreter's side. Called from a thread's slow path, at its first
 * event, with whatever lock the hook holds (the GIL); may write metadata, must not raise. */
struct otrace_host {
    /* Names the thread and, where the recording began in the middle of the program, tells the
     * calls that are open on it (otrace_thread_push_open), the outermost first.
     * `beginning`: the event that brought us here is the begin of the innermost frame. */
    void (*thread_started)(struct otrace_thread *thread, bool beginning);

    /* In the child of a fork, before its segment is made. May not write; NULL: none. */
    void (*forked)(void);
};

struct otrace_recorder {
    bool recording; /* read by slow paths only */
    bool follow_forks;
    uint32_t generation; /* of the tags in code objects; grows with each recording */
    struct otrace_segment segment;
    struct otrace_segment_options options; /* to make the segment of a forked child */
    char folder[4096];
    char process_name[256]; /* what forked children show too */
    const char *warning;    /* static; or NULL */
    struct otrace_host host;

    uint32_t *closed; /* circular list of closed chunks, the oldest first */
    uint64_t closed_first, closed_end;
    uint32_t next_thread_id;
    bool inherited; /* threads are asked for the calls that were open before */
};

extern struct otrace_recorder otrace_recorder __attribute__((visibility("hidden")));

/* Starts recording into a new segment. `inherited`: see struct otrace_host.
 * Returns 0, -EBUSY when one runs already, or a negative errno. */
int otrace_recorder_begin(const struct otrace_segment_options *options, bool follow_forks,
                          bool inherited);

/* Ends the recording in order: closes every thread's chunk and the segment. The caller makes sure
 * that no thread is inside a hook (it holds the GIL). Returns 0 or -ENOENT when none runs. */
int otrace_recorder_end(void);

/* In the child of a fork: a segment of its own, before anything is written. Every path that writes
 * asks first; elsewhere this is one load. */
void otrace_recorder_notice_fork(void);

/* Writes a warning for the user into the segment, and into those of forked children; NULL: none. */
void otrace_recorder_warn(const char *warning);

/* Stops writing because of `status`, which the header keeps for the reader; the program goes on. */
void otrace_recorder_fail(int status);

/* True in the process that started the recorder, false in a fork not yet noticed. */
bool otrace_recorder_is_ours(void);

/* The mutex of segment, chunks and names. It lives in a page that a fork wipes, so that a child
 * never finds it locked by a thread that it does not have. Not recursive. */
void otrace_recorder_lock(void);
void otrace_recorder_unlock(void);

#endif
