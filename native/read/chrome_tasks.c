/* Task tracks of a Chrome trace: asynchronous rows, whose id is the task. */
#include <stdlib.h>

#include "read/chrome_names.h"
#include "read/json.h"
#include "read/segment.h"
#include "read/task_slices.h"

#define BASE_NS 1000u /* what ts says at the start */

struct otrace_chrome_tasks {
    struct otrace_segment *segment;
    struct otrace_tasks *tasks;
    struct otrace_task_slices slices;
    struct otrace_output output;
    uint64_t pid, tid, next;
};

static void append_number(struct otrace_output *output, uint64_t number) {
    char digits[24];
    otrace_output_append(output, digits, (size_t)(otrace_write_unsigned(digits, number) - digits));
}

/* All of a row but its arguments. */
static void begin_row(struct otrace_chrome_tasks *encoder, char phase, uint32_t task, int64_t ns,
                      struct otrace_text name) {
    struct otrace_output *output = &encoder->output;
    char text[24];
    APPEND(output, "{\"ph\":\"");
    otrace_output_append(output, &phase, 1);
    APPEND(output, "\",\"id2\":{\"local\":\"");
    append_number(output, task);
    APPEND(output, "\"},\"pid\":");
    append_number(output, encoder->pid);
    APPEND(output, ",\"tid\":");
    append_number(output, encoder->tid);
    APPEND(output, ",\"ts\":");
    otrace_output_append(output, text,
                         (size_t)(otrace_write_micros(text, (uint64_t)ns + BASE_NS) - text));
    otrace_chrome_append_name(output, name, "task");
}

static void end_row(struct otrace_output *output) {
    APPEND(output, "},\n");
}

static struct otrace_text name_of(const struct otrace_chrome_tasks *encoder, uint32_t id) {
    struct otrace_name_info info;
    otrace_segment_get_name(encoder->segment, id, &info);
    return info.kind != 0 ? info.display : (struct otrace_text){"<unknown>", 9};
}

static void append_text(struct otrace_output *output, struct otrace_text text) {
    otrace_json_string(output, text.text, text.size);
}

static void write_arguments(struct otrace_chrome_tasks *encoder,
                            const struct otrace_task_call *call) {
    struct otrace_output *output = &encoder->output;
    APPEND(output, ",\"args\":{\"running_ns\":");
    append_number(output, (uint64_t)call->running_ns);
    APPEND(output, ",\"awaits\":");
    append_number(output, call->awaits);
    if (call->exception != 0) {
        APPEND(output, ",\"exception\":");
        append_text(output, name_of(encoder, call->exception));
    }
    APPEND(output, "}");
}

static void write_waker(struct otrace_chrome_tasks *encoder,
                        const struct otrace_task_waker *waker) {
    struct otrace_output *output = &encoder->output;
    const struct otrace_tasks *tasks = encoder->tasks;
    uint32_t at = otrace_id_map_find(&tasks->task_map, waker->task);
    bool by_task = at != UINT32_MAX && tasks->tasks[at].name_size > 0;
    APPEND(output, ",\"args\":{");
    if (by_task) {
        const struct otrace_task *task = &tasks->tasks[at];
        APPEND(output, "\"woken_by\":");
        append_text(output,
                    (struct otrace_text){tasks->names + task->name_offset, task->name_size});
    }
    if (waker->function != 0) {
        otrace_output_append(output, ",", by_task);
        APPEND(output, "\"woken_in\":");
        append_text(output, name_of(encoder, waker->function));
    }
    APPEND(output, "}");
}

static struct otrace_text slice_name(const struct otrace_chrome_tasks *encoder,
                                     const struct otrace_task_slice *slice) {
    return slice->kind == OTRACE_SLICE_WAIT        ? (struct otrace_text){"waiting", 7}
           : slice->kind == OTRACE_SLICE_SCHEDULED ? (struct otrace_text){"waiting to start", 16}
                                                   : name_of(encoder, slice->call->function);
}

static void write_end(struct otrace_chrome_tasks *encoder, uint32_t task,
                      const struct otrace_task_slice *slice) {
    begin_row(encoder, 'e', task, slice->end_ns, slice_name(encoder, slice));
    end_row(&encoder->output);
}

/* Viewers pair the rows of one id by nesting: begins and ends in the order of time. */
static int write_slices(struct otrace_chrome_tasks *encoder, uint32_t task) {
    const struct otrace_task_slices *slices = &encoder->slices;
    const struct otrace_task_slice **open = malloc((slices->count + 1) * sizeof *open);
    uint64_t depth = 0;
    if (open == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    for (uint64_t i = 0; i < slices->count; i++) {
        const struct otrace_task_slice *slice = &slices->slices[i];
        if (slice->lane != 0) {
            continue;
        }
        while (depth > 0 && open[depth - 1]->end_ns <= slice->start_ns) {
            write_end(encoder, task, open[--depth]);
        }
        begin_row(encoder, 'b', task, slice->start_ns, slice_name(encoder, slice));
        if (slice->call != NULL) {
            write_arguments(encoder, slice->call);
        } else if (slice->waker != NULL) {
            write_waker(encoder, slice->waker);
        }
        end_row(&encoder->output);
        open[depth++] = slice;
    }
    while (depth > 0) {
        write_end(encoder, task, open[--depth]);
    }
    free(open);
    return 0;
}

static const char *const states[] = {"unknown", "pending", "finished", "cancelled", "failed"};

static int write_task(struct otrace_chrome_tasks *encoder, uint64_t index) {
    const struct otrace_task *task = &encoder->tasks->tasks[index];
    struct otrace_output *output = &encoder->output;
    const struct otrace_task_slices *slices = &encoder->slices;
    if (slices->count == 0) {
        return 0;
    }
    int64_t end_ns = slices->slices[0].end_ns;
    for (uint64_t i = 1; i < slices->count; i++) {
        end_ns = slices->slices[i].end_ns > end_ns ? slices->slices[i].end_ns : end_ns;
    }
    struct otrace_text name = {encoder->tasks->names + task->name_offset, task->name_size};
    name = name.size > 0 ? name : (struct otrace_text){"task", 4};
    begin_row(encoder, 'b', task->info.id, slices->slices[0].start_ns, name);
    APPEND(output, ",\"args\":{\"task\":");
    append_number(output, task->info.id);
    APPEND(output, ",\"parent\":");
    append_number(output, task->info.parent);
    APPEND(output, ",\"state\":");
    const char *state = states[task->info.state];
    append_text(output, (struct otrace_text){state, strlen(state)});
    APPEND(output, "}");
    end_row(output);
    int status = write_slices(encoder, task->info.id);
    begin_row(encoder, 'e', task->info.id, end_ns, name);
    end_row(output);
    return status;
}

int otrace_chrome_tasks_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                            uint64_t pid, uint64_t tid, struct otrace_chrome_tasks **out) {
    struct otrace_chrome_tasks *encoder = *out = calloc(1, sizeof *encoder);
    if (encoder == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    encoder->segment = segment;
    encoder->pid = pid;
    encoder->tid = tid;
    int status = otrace_tasks_new(segment, clock, &encoder->tasks);
    if (status != 0) {
        otrace_chrome_tasks_free(encoder);
        *out = NULL;
    }
    return status;
}

void otrace_chrome_tasks_free(struct otrace_chrome_tasks *encoder) {
    if (encoder != NULL) {
        otrace_tasks_free(encoder->tasks);
        otrace_task_slices_free(&encoder->slices);
        otrace_output_free(&encoder->output);
        free(encoder);
    }
}

static int write_next(void *cursor) {
    struct otrace_chrome_tasks *encoder = cursor;
    if (encoder->next == encoder->tasks->tasks_count) {
        return 0;
    }
    int status = otrace_task_slices_fill(&encoder->slices, encoder->tasks, encoder->next);
    if (status == 0) {
        status = write_task(encoder, encoder->next++);
    }
    return status == 0 ? 1 : status;
}

int otrace_chrome_tasks_next(struct otrace_chrome_tasks *encoder, char *buffer, size_t capacity,
                             size_t *written) {
    return otrace_output_fill(&encoder->output, buffer, capacity, written, write_next, encoder);
}
