/* What is known of tasks once all slices are: order, steps that belong together, how each ended. */
#include <stdlib.h>
#include <string.h>

#include "read/segment.h"
#include "read/tasks.h"

static int order(int64_t left, int64_t right) {
    return (left > right) - (left < right);
}

static int compare_steps(const void *left, const void *right) {
    const struct otrace_task_step *a = left, *b = right;
    return a->task != b->task ? order(a->task, b->task) : order(a->start_ns, b->start_ns);
}

static int compare_calls(const void *left, const void *right) {
    const struct otrace_task_call *a = left, *b = right;
    return a->task != b->task           ? order(a->task, b->task)
           : a->start_ns != b->start_ns ? order(a->start_ns, b->start_ns)
                                        : order(b->end_ns, a->end_ns);
}

static int64_t first_moment(const struct otrace_task *task) {
    return task->info.created_ns >= 0 ? task->info.created_ns : task->info.started_ns;
}

static int compare_tasks(const void *left, const void *right) {
    const struct otrace_task *a = left, *b = right;
    int64_t first_a = first_moment(a), first_b = first_moment(b);
    return first_a != first_b ? order(first_a, first_b) : order(a->info.id, b->info.id);
}

/* An exception that unwinds coroutine after coroutine makes a slice of each: one step. */
static void join_steps(struct otrace_tasks *tasks) {
    uint64_t kept = 0;
    for (uint64_t i = 0; i < tasks->steps_count; i++) {
        struct otrace_task_step step = tasks->steps[i];
        struct otrace_task_step *last = kept == 0 ? NULL : &tasks->steps[kept - 1];
        if (last != NULL && last->task == step.task && last->goes_on &&
            last->thread_id == step.thread_id) {
            last->end_ns = step.end_ns > last->end_ns ? step.end_ns : last->end_ns;
            last->goes_on = step.goes_on;
        } else {
            tasks->steps[kept++] = step;
        }
    }
    tasks->steps_count = kept;
}

static void count_steps(struct otrace_tasks *tasks) {
    for (uint64_t i = 0; i < tasks->steps_count; i++) {
        const struct otrace_task_step *step = &tasks->steps[i];
        struct otrace_task *task = &tasks->tasks[otrace_id_map_find(&tasks->task_map, step->task)];
        struct otrace_task_info *info = &task->info;
        if (info->steps++ == 0) {
            task->first_step = (uint32_t)i;
            info->thread_id = step->thread_id;
            info->started_ns = info->started_ns < 0 || step->start_ns < info->started_ns
                                   ? step->start_ns
                                   : info->started_ns;
        }
        info->last_ns = step->end_ns > info->last_ns ? step->end_ns : info->last_ns;
    }
}

static bool names_cancellation(const struct otrace_segment *segment, uint32_t exception) {
    struct otrace_name_info name;
    otrace_segment_get_name(segment, exception, &name);
    static const char *const ends[] = {"CancelledError", "Cancelled"};
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(ends[i]);
        if (name.display.size >= size &&
            memcmp(name.display.text + name.display.size - size, ends[i], size) == 0) {
            return true;
        }
    }
    return false;
}

/* How a task ended is how its own coroutine did, unless that was closed with the task pending. */
static void set_end(struct otrace_task *task, const struct otrace_task_call *root,
                    const struct otrace_segment *segment) {
    struct otrace_task_info *info = &task->info;
    info->function = root->function;
    info->state = OTRACE_TASK_STATE_PENDING;
    if (root->ended && !root->closed) {
        info->ended_ns = root->end_ns;
        info->exception = root->exception;
        bool cancelled = task->said_cancelled || names_cancellation(segment, root->exception);
        info->state = !(root->flags & OTRACE_CALL_UNWOUND) ? OTRACE_TASK_STATE_FINISHED
                      : cancelled                          ? OTRACE_TASK_STATE_CANCELLED
                                                           : OTRACE_TASK_STATE_FAILED;
    }
}

static void set_ends(struct otrace_tasks *tasks, const struct otrace_segment *segment) {
    for (uint64_t i = 0; i < tasks->tasks_count; i++) {
        struct otrace_task *task = &tasks->tasks[i];
        uint32_t at = otrace_id_map_find(&tasks->call_map, task->root);
        if (at != UINT32_MAX) {
            set_end(task, &tasks->calls[at], segment);
        } else if (task->info.steps == 0 && task->info.started_ns < 0) {
            task->info.state = OTRACE_TASK_STATE_PENDING;
        }
    }
}

static void place_calls(struct otrace_tasks *tasks) {
    for (uint64_t i = 0; i < tasks->calls_count; i++) {
        uint32_t at = otrace_id_map_find(&tasks->task_map, tasks->calls[i].task);
        if (at != UINT32_MAX && tasks->tasks[at].calls++ == 0) {
            tasks->tasks[at].first_call = (uint32_t)i;
        }
    }
}

int otrace_tasks_join(struct otrace_tasks *tasks, const struct otrace_segment *segment) {
    if (tasks->steps_count > 0) {
        qsort(tasks->steps, tasks->steps_count, sizeof *tasks->steps, compare_steps);
    }
    join_steps(tasks);
    count_steps(tasks);
    set_ends(tasks, segment);
    if (tasks->calls_count > 0) {
        qsort(tasks->calls, tasks->calls_count, sizeof *tasks->calls, compare_calls);
    }
    place_calls(tasks);
    if (tasks->tasks_count > 0) {
        qsort(tasks->tasks, tasks->tasks_count, sizeof *tasks->tasks, compare_tasks);
    }
    for (uint64_t i = 0; i < tasks->tasks_count; i++) {
        if (!otrace_id_map_set(&tasks->task_map, tasks->tasks[i].info.id, (uint32_t)i)) {
            return OTRACE_READ_NO_MEMORY;
        }
    }
    return 0;
}

void otrace_tasks_counts(const struct otrace_tasks *tasks, uint64_t *count, uint64_t *calls,
                         uint64_t *steps) {
    *count = tasks->tasks_count;
    *calls = tasks->calls_count;
    *steps = tasks->steps_count;
}

int otrace_tasks_get(const struct otrace_tasks *tasks, uint64_t index,
                     struct otrace_task_info *info) {
    if (index >= tasks->tasks_count) {
        return OTRACE_READ_ARGUMENT;
    }
    const struct otrace_task *task = &tasks->tasks[index];
    *info = task->info;
    info->name = (struct otrace_text){tasks->names + task->name_offset, task->name_size};
    return OTRACE_READ_OK;
}

uint64_t otrace_tasks_read_calls(const struct otrace_tasks *tasks, uint64_t first,
                                 const struct otrace_task_call_columns *columns) {
    uint64_t rows = 0;
    for (; rows < columns->capacity && first + rows < tasks->calls_count; rows++) {
        const struct otrace_task_call *call = &tasks->calls[first + rows];
        columns->start_ns[rows] = call->start_ns;
        columns->duration_ns[rows] = call->ended ? call->end_ns - call->start_ns : -1;
        columns->running_ns[rows] = call->running_ns;
        columns->awaits[rows] = call->awaits;
        columns->activation[rows] = call->activation;
        columns->parent[rows] = call->parent;
        columns->task[rows] = call->task;
        columns->function[rows] = call->function;
        columns->flags[rows] = call->flags | (call->ended ? 0u : (uint32_t)OTRACE_CALL_OPEN);
        columns->exception[rows] = call->exception;
    }
    return rows;
}

uint64_t otrace_tasks_read_steps(const struct otrace_tasks *tasks, uint64_t first,
                                 const struct otrace_task_step_columns *columns) {
    uint64_t rows = 0;
    for (; rows < columns->capacity && first + rows < tasks->steps_count; rows++) {
        const struct otrace_task_step *step = &tasks->steps[first + rows];
        columns->start_ns[rows] = step->start_ns;
        columns->duration_ns[rows] = step->end_ns - step->start_ns;
        columns->task[rows] = step->task;
        columns->thread[rows] = step->thread_id;
        const struct otrace_task_waker *waker = otrace_tasks_waker(tasks, step);
        columns->woken_by[rows] = waker == NULL ? 0 : waker->task;
        columns->woken_in[rows] = waker == NULL ? 0 : waker->function;
    }
    return rows;
}
