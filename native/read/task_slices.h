/* A task as slices of a track: its calls from first start to end, and inside them its waits. */
#ifndef OTRACE_READ_TASK_SLICES_H
#define OTRACE_READ_TASK_SLICES_H

#include "read/tasks.h"

enum otrace_task_slice_kind {
    OTRACE_SLICE_SCHEDULED = 1, /* from its creation to its first step */
    OTRACE_SLICE_WAIT,          /* between two steps */
    OTRACE_SLICE_CALL,
};

struct otrace_task_slice {
    int64_t start_ns, end_ns;
    const struct otrace_task_call *call;   /* of a CALL, else NULL */
    const struct otrace_task_waker *waker; /* what ended a WAIT, NULL: not known */
    uint32_t kind;
    uint32_t lane; /* slices of one lane nest; 0 has all that a coroutine awaits */
    bool open;     /* it did not end: end_ns is the task's last moment */
};

struct otrace_task_slices {
    struct otrace_task_slice *slices; /* by start, outer ones first */
    uint64_t count, capacity;
    uint32_t lanes;
};

/* The slices of the task at `index`, in place of what `slices` held; 0 or a negative status. */
int otrace_task_slices_fill(struct otrace_task_slices *slices, const struct otrace_tasks *tasks,
                            uint64_t index);
void otrace_task_slices_free(struct otrace_task_slices *slices);

#endif
