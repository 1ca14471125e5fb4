/* The door from Python to the recorder: what cffi reads and C includes.
 *
 * cffi releases the GIL around every call; functions marked "takes the GIL" take it back. None
 * keeps a pointer that it is given. Statuses are 0 or a negative errno. */
#ifndef OTRACE_API_RECORD_H
#define OTRACE_API_RECORD_H

#include <stdint.h>

struct otrace_record_options {
    const char *folder; /* absolute path of the session's folder */
    uint64_t buffer_size;
    uint64_t min_duration_ns;
    uint32_t max_depth;
    double overhead; /* the part of the CPU time that the hook may cost; 0: no bound */
    int c_calls;
    int follow_forks;
    int inherited;       /* tell the calls that are open when the recording starts */
    const char *include; /* newline-separated patterns; NULL: none */
    const char *exclude;
    const char *exclude_functions;
    const char *library_paths; /* newline-separated; NULL: record library code too */
    const char *process_name;  /* what readers call this process */
    const char *notes;         /* newline-separated KEY=VALUE, for readers; NULL: none */
    const char *own_path;      /* newline-separated: otrace's own files, never recorded */
};

struct otrace_record_status {
    int recording;
    const char *path; /* of the segment; "" when there is none; valid until the next start */
};

/* Starts recording this process. Takes the GIL. -EBUSY: a recording runs already; -ENOTSUP: the
 * hook cannot be installed; others are the file system's. */
int otrace_record_start(const struct otrace_record_options *options);

/* Stops and closes the segment. Takes the GIL. -ENOENT: none runs. */
int otrace_record_stop(void);

void otrace_record_status(struct otrace_record_status *status);

/* Gives a dict log_event, log_instant, log_counter, Event, pause_thread, resume_thread, note_span,
 * watch_context, changes_context. Both are objects' addresses (id()), borrowed for the call. Takes
 * the GIL. 0 or -EINVAL. */
int otrace_record_publish(uintptr_t namespace_dict, uintptr_t decorate);

#endif
