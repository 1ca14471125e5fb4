/* The pass over a segment that finds tasks, their steps, and the logical calls of coroutines. */
#include "read/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "read/attributes.h"
#include "read/decoder.h"
#include "read/segment.h"

#define ITEMS_MOST (UINT64_C(1) << 27) /* a false segment must not cost all memory */

/* Room for one more item; NULL: no memory. */
static void *one_more(void *items, size_t size, uint64_t count, uint64_t *capacity) {
    if (count < *capacity) {
        return items;
    }
    uint64_t more = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = more > ITEMS_MOST ? NULL : realloc(items, more * size);
    if (grown != NULL) {
        *capacity = more;
    }
    return grown;
}

static struct otrace_task *task_of(struct otrace_tasks *tasks, uint32_t id) {
    uint32_t at = otrace_id_map_find(&tasks->task_map, id);
    if (at != UINT32_MAX) {
        return &tasks->tasks[at];
    }
    struct otrace_task *grown =
        one_more(tasks->tasks, sizeof *grown, tasks->tasks_count, &tasks->tasks_capacity);
    if (grown == NULL) {
        return NULL;
    }
    tasks->tasks = grown;
    if (!otrace_id_map_set(&tasks->task_map, id, (uint32_t)tasks->tasks_count)) {
        return NULL;
    }
    struct otrace_task *task = &grown[tasks->tasks_count++];
    *task = (struct otrace_task){
        .info = {.id = id, .created_ns = -1, .started_ns = -1, .ended_ns = -1, .last_ns = -1}};
    return task;
}

static bool keep_name(struct otrace_tasks *tasks, struct otrace_task *task,
                      const struct otrace_value *value) {
    if (value->type != OTRACE_VALUE_TEXT || value->size == 0) {
        return true;
    }
    while (tasks->names_size + value->size > tasks->names_capacity) {
        uint64_t more = (tasks->names_capacity + value->size) * 2;
        char *grown = realloc(tasks->names, more);
        if (grown == NULL) {
            return false;
        }
        tasks->names = grown;
        tasks->names_capacity = more;
    }
    memcpy(tasks->names + tasks->names_size, value->payload, value->size);
    task->name_offset = tasks->names_size;
    task->name_size = value->size;
    tasks->names_size += value->size;
    return true;
}

/* One TASK_INFO record: task, parent, root, name. */
static int add_info(struct otrace_tasks *tasks, const struct otrace_edge *edge,
                    uint32_t thread_id) {
    const otrace_word *words = edge->begin_attributes.words;
    struct otrace_task *task = words[0] == 0 ? NULL : task_of(tasks, words[0]);
    if (task == NULL) {
        return words[0] == 0 ? 0 : OTRACE_READ_NO_MEMORY;
    }
    if (edge->scope & OTRACE_TASK_CREATED) {
        task->info.created_ns = edge->start_ns;
        task->info.created_thread_id = thread_id;
    }
    if (edge->scope & OTRACE_TASK_STARTED) {
        task->info.started_ns = edge->start_ns;
    }
    task->said_cancelled |= (edge->scope & OTRACE_TASK_CANCELLED) != 0;
    task->info.kind = edge->scope & OTRACE_TASK_TRIO      ? OTRACE_TASK_KIND_TRIO
                      : edge->scope & OTRACE_TASK_ASYNCIO ? OTRACE_TASK_KIND_ASYNCIO
                                                          : task->info.kind;
    task->info.parent = words[1] != 0 ? words[1] : task->info.parent;
    task->root = words[2] != 0 ? words[2] : task->root;
    struct otrace_values values = {words + 3, words + edge->begin_attributes.count};
    struct otrace_value name;
    bool kept = !otrace_values_next(&values, &name) || keep_name(tasks, task, &name);
    return kept ? 0 : OTRACE_READ_NO_MEMORY;
}

/* The activation of the nearest coroutine around a call at `depth`. */
static uint32_t activation_around(const struct otrace_decoder_core *core, uint32_t depth) {
    uint32_t most = 4096; /* a false segment could make every slice look through a deep stack */
    for (uint32_t at = depth; at > 0 && most > 0; at--, most--) {
        if (core->stack[at].activation != 0) {
            return core->stack[at].activation;
        }
    }
    return 0;
}

static struct otrace_task_call *call_of(struct otrace_tasks *tasks,
                                        const struct otrace_edge *edge) {
    uint32_t at = otrace_id_map_find(&tasks->call_map, edge->activation);
    if (at != UINT32_MAX &&
        !(tasks->calls[at].ended && tasks->calls[at].end_ns <= edge->start_ns)) {
        return &tasks->calls[at];
    }
    struct otrace_task_call *grown =
        one_more(tasks->calls, sizeof *grown, tasks->calls_count, &tasks->calls_capacity);
    if (grown == NULL) {
        return NULL;
    }
    tasks->calls = grown;
    if (!otrace_id_map_set(&tasks->call_map, edge->activation, (uint32_t)tasks->calls_count)) {
        return NULL;
    }
    struct otrace_task_call *call = &grown[tasks->calls_count++];
    *call = (struct otrace_task_call){.start_ns = INT64_MAX,
                                      .end_ns = INT64_MIN,
                                      .activation = edge->activation,
                                      .flags = OTRACE_CALL_CUT};
    return call;
}

static int add_slice(struct otrace_tasks *tasks, const struct otrace_decoder_core *core,
                     const struct otrace_edge *edge, uint32_t thread_id) {
    struct otrace_task_call *call = call_of(tasks, edge);
    if (call == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    bool open = edge->flags & OTRACE_CALL_OPEN, yielded = edge->flags & OTRACE_CALL_YIELDED;
    if (edge->start_ns < call->start_ns) {
        call->start_ns = edge->start_ns;
        call->task = edge->task;
        call->function = edge->id;
        call->thread_id = thread_id;
        call->parent = activation_around(core, edge->depth);
    }
    if (!(edge->flags & (OTRACE_CALL_RESUMED | OTRACE_CALL_CUT))) {
        call->flags &= ~(uint32_t)OTRACE_CALL_CUT;
    }
    if (edge->flags & OTRACE_CALL_THROWN) {
        call->flags |= OTRACE_CALL_THROWN;
    }
    call->running_ns += edge->end_ns - edge->start_ns;
    call->awaits += yielded;
    call->end_ns = edge->end_ns > call->end_ns ? edge->end_ns : call->end_ns;
    if (!open && !yielded) {
        call->ended = true;
        call->closed = edge->task != call->task;
        call->flags |= edge->flags & (OTRACE_CALL_UNWOUND | OTRACE_CALL_INFERRED);
        call->exception = edge->exception;
    }
    return 0;
}

/* A slice that begins a task's turn on the thread. */
static int add_step(struct otrace_tasks *tasks, const struct otrace_decoder_core *core,
                    const struct otrace_edge *edge, uint32_t thread_id) {
    uint32_t around = core->stack[edge->depth].task;
    if (edge->task == 0 || edge->task == around) {
        return 0;
    }
    struct otrace_task *task = task_of(tasks, edge->task);
    struct otrace_task_step *grown =
        one_more(tasks->steps, sizeof *grown, tasks->steps_count, &tasks->steps_capacity);
    if (task == NULL || grown == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    tasks->steps = grown;
    uint32_t at = otrace_id_map_find(&tasks->call_map, edge->activation);
    bool goes_on = at != UINT32_MAX && !(edge->flags & (OTRACE_CALL_YIELDED | OTRACE_CALL_OPEN)) &&
                   task->root != edge->activation && tasks->calls[at].parent != 0;
    tasks->steps[tasks->steps_count++] = (struct otrace_task_step){
        .start_ns = edge->start_ns,
        .end_ns = edge->end_ns,
        .task = edge->task,
        .thread_id = thread_id,
        .flow = edge->flow,
        .goes_on = goes_on,
    };
    task->info.running_ns += edge->end_ns - edge->start_ns;
    if (around != 0) { /* an eager first step, or a loop inside the loop: not the outer task's */
        struct otrace_task *outer = task_of(tasks, around);
        if (outer == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
        outer->info.running_ns -= edge->end_ns - edge->start_ns;
    }
    return 0;
}

static int read_track(struct otrace_tasks *tasks, struct otrace_segment *segment, uint32_t index,
                      const struct otrace_clock *clock) {
    struct otrace_decoder *decoder;
    uint8_t *kinds = calloc((size_t)segment->names_count + 1, 1);
    int status = kinds == NULL
                     ? OTRACE_READ_NO_MEMORY
                     : otrace_decoder_new(
                           segment, index, clock,
                           OTRACE_DECODE_TASKS | OTRACE_DECODE_FLOWS | OTRACE_DECODE_ALL, &decoder);
    if (status != 0) {
        free(kinds);
        return status;
    }
    const struct otrace_decoder_core *core = (const struct otrace_decoder_core *)decoder;
    uint32_t thread_id = segment->tracks[index].thread_id;
    struct otrace_edge edge;
    while ((status = otrace_decoder_next(decoder, &edge)) > 0) {
        if (edge.kind == OTRACE_EDGE_TASK) {
            status = add_info(tasks, &edge, thread_id);
        } else if (edge.kind == OTRACE_EDGE_FLOW) {
            status = otrace_tasks_add_waker(tasks, segment, core, &edge, kinds);
        } else if (edge.activation != 0 &&
                   (edge.kind == OTRACE_EDGE_END || edge.kind == OTRACE_EDGE_OPEN)) {
            status = add_slice(tasks, core, &edge, thread_id);
            status = status == 0 ? add_step(tasks, core, &edge, thread_id) : status;
        } else {
            continue;
        }
        if (status < 0) {
            break;
        }
    }
    otrace_decoder_free(decoder);
    free(kinds);
    return status;
}

int otrace_tasks_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                     struct otrace_tasks **out) {
    struct otrace_tasks *tasks = *out = calloc(1, sizeof *tasks);
    int status = tasks == NULL ? OTRACE_READ_NO_MEMORY : 0;
    uint32_t tracks = segment->has_async ? segment->tracks_count : 0;
    for (uint32_t index = 0; status == 0 && index < tracks; index++) {
        status = read_track(tasks, segment, index, clock);
    }
    if (status == 0) {
        status = otrace_tasks_join(tasks, segment);
    }
    if (status != 0) {
        otrace_tasks_free(tasks);
        *out = NULL;
    }
    return status;
}

void otrace_tasks_free(struct otrace_tasks *tasks) {
    if (tasks != NULL) {
        free(tasks->tasks);
        free(tasks->calls);
        free(tasks->steps);
        free(tasks->names);
        free(tasks->wakers);
        free(tasks->waker_map.places);
        free(tasks->task_map.places);
        free(tasks->call_map.places);
        free(tasks);
    }
}
