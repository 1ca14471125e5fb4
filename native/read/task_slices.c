#include "read/task_slices.h"

#include <stdlib.h>

#define LANES_MOST 64u /* beyond them slices of asynchronous generators are left out */

static int compare(const void *left, const void *right) {
    const struct otrace_task_slice *a = left, *b = right;
    if (a->start_ns != b->start_ns) {
        return a->start_ns < b->start_ns ? -1 : 1;
    }
    return a->end_ns != b->end_ns ? (a->end_ns > b->end_ns ? -1 : 1) : 0;
}

static void add(struct otrace_task_slices *slices, struct otrace_task_slice slice) {
    if (slice.end_ns > slice.start_ns) {
        slices->slices[slices->count++] = slice;
    }
}

static int64_t last_moment(const struct otrace_task *task) {
    return task->info.last_ns > task->info.ended_ns ? task->info.last_ns : task->info.ended_ns;
}

static void collect(struct otrace_task_slices *slices, const struct otrace_tasks *tasks,
                    const struct otrace_task *task) {
    const struct otrace_task_info *info = &task->info;
    const struct otrace_task_step *step = tasks->steps + task->first_step;
    if (info->created_ns >= 0 && info->steps > 0) {
        add(slices, (struct otrace_task_slice){.kind = OTRACE_SLICE_SCHEDULED,
                                               .start_ns = info->created_ns,
                                               .end_ns = step->start_ns});
    }
    for (uint64_t i = 1; i < info->steps; i++) {
        add(slices, (struct otrace_task_slice){.kind = OTRACE_SLICE_WAIT,
                                               .start_ns = step[i - 1].end_ns,
                                               .end_ns = step[i].start_ns,
                                               .waker = otrace_tasks_waker(tasks, &step[i])});
    }
    for (uint32_t i = 0; i < task->calls; i++) {
        const struct otrace_task_call *call = &tasks->calls[task->first_call + i];
        int64_t last = last_moment(task);
        bool open = !call->ended;
        add(slices,
            (struct otrace_task_slice){.kind = OTRACE_SLICE_CALL,
                                       .start_ns = call->start_ns,
                                       .end_ns = open && last > call->end_ns ? last : call->end_ns,
                                       .call = call,
                                       .open = open});
    }
}

/* Ends of the slices that are open on a lane, the outermost first. */
struct lane {
    int64_t *ends;
    uint32_t depth, capacity;
};

static int put(struct lane *lane, int64_t end_ns) {
    if (lane->depth == lane->capacity) {
        uint32_t capacity = lane->capacity == 0 ? 16 : lane->capacity * 2;
        int64_t *grown = realloc(lane->ends, capacity * sizeof *grown);
        if (grown == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
        lane->ends = grown;
        lane->capacity = capacity;
    }
    lane->ends[lane->depth++] = end_ns;
    return 0;
}

/* Asynchronous generators may outlive the call that started them: such a slice goes to the first
 * lane where it nests. */
static int assign_lanes(struct otrace_task_slices *slices) {
    struct lane lanes[LANES_MOST] = {0};
    uint64_t kept = 0;
    int status = 0;
    slices->lanes = 1;
    for (uint64_t i = 0; status == 0 && i < slices->count; i++) {
        struct otrace_task_slice slice = slices->slices[i];
        for (; slice.lane < LANES_MOST; slice.lane++) {
            struct lane *lane = &lanes[slice.lane];
            while (lane->depth > 0 && lane->ends[lane->depth - 1] <= slice.start_ns) {
                lane->depth--;
            }
            if (lane->depth == 0 || slice.end_ns <= lane->ends[lane->depth - 1]) {
                status = put(lane, slice.end_ns);
                slices->slices[kept++] = slice;
                break;
            }
        }
        if (slice.lane < LANES_MOST && slice.lane >= slices->lanes) {
            slices->lanes = slice.lane + 1;
        }
    }
    slices->count = kept;
    for (uint32_t i = 0; i < LANES_MOST; i++) {
        free(lanes[i].ends);
    }
    return status;
}

int otrace_task_slices_fill(struct otrace_task_slices *slices, const struct otrace_tasks *tasks,
                            uint64_t index) {
    const struct otrace_task *task = &tasks->tasks[index];
    uint64_t most = task->info.steps + task->calls + 1;
    if (most > slices->capacity) {
        free(slices->slices);
        slices->capacity = 0;
        slices->slices = malloc(2 * most * sizeof *slices->slices);
        if (slices->slices == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
        slices->capacity = 2 * most;
    }
    slices->count = 0;
    collect(slices, tasks, task);
    if (slices->count > 0) {
        qsort(slices->slices, slices->count, sizeof *slices->slices, compare);
    }
    return assign_lanes(slices);
}

void otrace_task_slices_free(struct otrace_task_slices *slices) {
    free(slices->slices);
    *slices = (struct otrace_task_slices){0};
}
