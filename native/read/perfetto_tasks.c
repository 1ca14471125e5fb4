/* Task tracks of a Perfetto trace: a group of the process with a track a task.
 *
 * Everything is on CLOCK_MONOTONIC, since time goes back from task to task. */
#include <stdlib.h>

#include "read/perfetto.h"
#include "read/perfetto_fields.h"
#include "read/task_slices.h"

#define TASKS_RANK 1000000u /* behind the threads */

enum track_kind { TRACK_TASKS = 5, TRACK_TASK, TRACK_LANE }; /* beside those of other files */
enum fields {
    TRACK_SIBLING_MERGE = 15,
    SIBLING_MERGE_NONE = 2,
    EVENT_FLOWS = 47,
    EVENT_FLOWS_ENDING = 48,
};

struct otrace_perfetto_tasks {
    struct otrace_perfetto perfetto; /* without a decoder */
    struct otrace_tasks *tasks;
    struct otrace_task_slices slices;
    uint64_t group, next;
};

static void describe(struct otrace_perfetto *perfetto, uint64_t uuid, uint64_t parent,
                     struct otrace_text name, const char *suffix, uint64_t rank) {
    char *text = malloc(name.size + strlen(suffix) + 1);
    if (text == NULL) {
        perfetto->output.failed = true;
        return;
    }
    memcpy(text, name.text, name.size);
    strcpy(text + name.size, suffix);
    struct otrace_message *message = &perfetto->message;
    perfetto_begin_packet(perfetto);
    size_t descriptor = otrace_message_begin(message, PACKET_TRACK_DESCRIPTOR);
    otrace_message_varint(message, TRACK_UUID, uuid);
    otrace_message_varint(message, TRACK_PARENT, parent);
    otrace_message_varint(message, TRACK_RANK, rank);
    otrace_message_varint(message, TRACK_CHILD_ORDER, CHILD_ORDER_EXPLICIT);
    otrace_message_varint(message, TRACK_SIBLING_MERGE, SIBLING_MERGE_NONE);
    otrace_message_text(message, TRACK_NAME, text, name.size + strlen(suffix));
    otrace_message_end(message, descriptor);
    perfetto_end_packet(perfetto);
    free(text);
}

static void add_text(struct otrace_message *message, uint32_t field, const char *text) {
    otrace_message_text(message, field, text, strlen(text));
}

static void add_flow(struct otrace_message *message, uint32_t field, uint64_t id) {
    char *to = otrace_message_reserve(message, OTRACE_VARINT_MAX + sizeof id);
    if (to != NULL) {
        to = otrace_write_varint(to, OTRACE_PROTO_TAG(field, OTRACE_PROTO_FIXED64));
        memcpy(to, &id, sizeof id);
        message->size = (size_t)(to + sizeof id - message->bytes);
    }
}

static void add_number(struct otrace_message *message, const char *name, uint64_t number) {
    size_t annotation = otrace_message_begin(message, EVENT_ANNOTATIONS);
    add_text(message, ANNOTATION_NAME, name);
    otrace_message_varint(message, ANNOTATION_INT, number);
    otrace_message_end(message, annotation);
}

static void add_word(struct otrace_message *message, const char *name, struct otrace_text word) {
    size_t annotation = otrace_message_begin(message, EVENT_ANNOTATIONS);
    add_text(message, ANNOTATION_NAME, name);
    otrace_message_text(message, ANNOTATION_STRING, word.text, word.size);
    otrace_message_end(message, annotation);
}

static const char *const states[] = {"unknown", "pending", "finished", "cancelled", "failed"};

static void add_call(struct otrace_perfetto *perfetto, const struct otrace_task *task,
                     const struct otrace_task_call *call) {
    struct otrace_message *message = &perfetto->message;
    add_number(message, "running_ns", (uint64_t)call->running_ns);
    add_number(message, "awaits", call->awaits);
    if (call->activation == task->root) {
        const char *state = states[task->info.state];
        add_word(message, "state", (struct otrace_text){state, strlen(state)});
    }
    if (call->exception != 0) {
        add_word(message, "exception", perfetto_name_of(perfetto, call->exception));
    }
    char *to = otrace_message_reserve(message, PERFETTO_FLAGS_MAX);
    if (to != NULL) {
        message->size = (size_t)(perfetto_write_begin_flags(to, call->flags) - message->bytes);
    }
}

static void add_waker(struct otrace_perfetto_tasks *encoder,
                      const struct otrace_task_waker *waker) {
    struct otrace_message *message = &encoder->perfetto.message;
    uint32_t at = otrace_id_map_find(&encoder->tasks->task_map, waker->task);
    if (at != UINT32_MAX && encoder->tasks->tasks[at].name_size > 0) {
        const struct otrace_task *task = &encoder->tasks->tasks[at];
        const char *name = encoder->tasks->names + task->name_offset;
        add_word(message, "woken_by", (struct otrace_text){name, task->name_size});
    }
    if (waker->function != 0) {
        add_word(message, "woken_in", perfetto_name_of(&encoder->perfetto, waker->function));
    }
}

static void write_begin(struct otrace_perfetto_tasks *encoder, const struct otrace_task *task,
                        const struct otrace_task_slice *slice, uint64_t track, uint64_t flow) {
    struct otrace_perfetto *perfetto = &encoder->perfetto;
    const struct perfetto_name *name =
        slice->call == NULL ? NULL : perfetto_see_name(perfetto, slice->call->function);
    struct otrace_message *message = &perfetto->message;
    size_t event = perfetto_begin_event_at(perfetto, slice->start_ns, TYPE_BEGIN, track);
    if (name == NULL) {
        add_text(message, EVENT_CATEGORY, "wait");
        add_text(message, EVENT_NAME,
                 slice->kind == OTRACE_SLICE_WAIT ? "waiting" : "waiting to start");
        if (slice->waker != NULL) {
            add_waker(encoder, slice->waker);
        }
    } else {
        add_text(message, EVENT_CATEGORY, "task");
        otrace_message_varint(message, EVENT_NAME_IID, name->iid);
        if (name->has_source) {
            otrace_message_varint(message, EVENT_SOURCE_IID, name->iid);
        }
        add_call(perfetto, task, slice->call);
    }
    if (flow != 0) {
        add_flow(message, EVENT_FLOWS_ENDING, flow);
    }
    perfetto_end_event(perfetto, event);
}

/* The slices of a lane, each end before what begins then. */
static void write_lane(struct otrace_perfetto_tasks *encoder, const struct otrace_task *task,
                       uint32_t lane, uint64_t track, uint64_t flow) {
    struct otrace_perfetto *perfetto = &encoder->perfetto;
    const struct otrace_task_slices *slices = &encoder->slices;
    for (uint64_t i = 0; i < slices->count; i++) {
        const struct otrace_task_slice *slice = &slices->slices[i];
        if (slice->lane != lane) {
            continue;
        }
        write_begin(encoder, task, slice, track, flow);
        flow = 0;
        if (!slice->open) {
            perfetto_end_event(perfetto,
                               perfetto_begin_event_at(perfetto, slice->end_ns, TYPE_END, track));
        }
    }
}

static uint64_t track_of(const struct otrace_perfetto_tasks *encoder, uint32_t task) {
    return perfetto_track_uuid(encoder->group, TRACK_TASK, task);
}

/* On the creator's track, where the arrow to the new task starts. */
static void write_creation(struct otrace_perfetto_tasks *encoder, const struct otrace_task *task,
                           struct otrace_text name, uint64_t flow) {
    struct otrace_perfetto *perfetto = &encoder->perfetto;
    struct otrace_message *message = &perfetto->message;
    size_t event = perfetto_begin_event_at(perfetto, task->info.created_ns, TYPE_INSTANT,
                                           track_of(encoder, task->info.parent));
    add_text(message, EVENT_CATEGORY, "task");
    add_text(message, EVENT_NAME, "creates a task");
    add_word(message, "task", name);
    add_flow(message, EVENT_FLOWS, flow);
    perfetto_end_event(perfetto, event);
}

static void write_task(struct otrace_perfetto_tasks *encoder, uint64_t index) {
    const struct otrace_task *task = &encoder->tasks->tasks[index];
    struct otrace_perfetto *perfetto = &encoder->perfetto;
    uint64_t track = track_of(encoder, task->info.id);
    char unnamed[32];
    struct otrace_text name = {encoder->tasks->names + task->name_offset, task->name_size};
    if (name.size == 0) {
        name.text = unnamed;
        name.size = (size_t)snprintf(unnamed, sizeof unnamed, "task %u", task->info.id);
    }
    const char *suffix = task->info.state == OTRACE_TASK_STATE_CANCELLED ? " (cancelled)"
                         : task->info.state == OTRACE_TASK_STATE_FAILED  ? " (failed)"
                                                                         : "";
    describe(perfetto, track, encoder->group, name, suffix, index);
    bool linked = task->info.created_ns >= 0 &&
                  otrace_id_map_find(&encoder->tasks->task_map, task->info.parent) != UINT32_MAX;
    uint64_t flow = linked ? track : 0;
    if (linked && encoder->slices.count > 0) {
        write_creation(encoder, task, name, flow); /* an arrow's start comes before its end */
    }
    for (uint32_t lane = 0; lane < encoder->slices.lanes; lane++) {
        uint64_t on = lane == 0 ? track : perfetto_track_uuid(track, TRACK_LANE, lane);
        if (lane > 0) {
            describe(perfetto, on, track, name, " (generators)", lane);
        }
        write_lane(encoder, task, lane, on, lane == 0 ? flow : 0);
    }
}

int otrace_perfetto_tasks_new(struct otrace_segment *segment, const struct otrace_clock *clock,
                              const struct otrace_perfetto_track *track,
                              struct otrace_perfetto_tasks **out) {
    struct otrace_perfetto_tasks *encoder = *out = calloc(1, sizeof *encoder);
    if (encoder == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    struct otrace_perfetto *perfetto = &encoder->perfetto;
    perfetto->segment = segment;
    perfetto->sequence = track->sequence;
    perfetto->base_mono_ns = track->base_mono_ns;
    encoder->group = perfetto_track_uuid(track->process_uuid, TRACK_TASKS, 0);
    perfetto->names = calloc((size_t)segment->names_count + 1, sizeof *perfetto->names);
    int status = perfetto->names == NULL ? OTRACE_READ_NO_MEMORY
                                         : otrace_tasks_new(segment, clock, &encoder->tasks);
    if (status == 0 && encoder->tasks->tasks_count > 0) {
        otrace_output_begin(&perfetto->output, NULL, 0); /* waits in the spill */
        perfetto_write_state(perfetto, track);
        describe(perfetto, encoder->group, track->process_uuid, (struct otrace_text){"Tasks", 5},
                 "", TASKS_RANK);
        status = perfetto->output.failed ? OTRACE_READ_NO_MEMORY : 0;
    }
    if (status != 0) {
        otrace_perfetto_tasks_free(encoder);
        *out = NULL;
    }
    return status;
}

void otrace_perfetto_tasks_free(struct otrace_perfetto_tasks *encoder) {
    if (encoder != NULL) {
        otrace_tasks_free(encoder->tasks);
        otrace_task_slices_free(&encoder->slices);
        otrace_output_free(&encoder->perfetto.output);
        free(encoder->perfetto.message.bytes);
        free(encoder->perfetto.names);
        free(encoder);
    }
}

static int write_next(void *cursor) {
    struct otrace_perfetto_tasks *encoder = cursor;
    if (encoder->next == encoder->tasks->tasks_count) {
        return 0;
    }
    int status = otrace_task_slices_fill(&encoder->slices, encoder->tasks, encoder->next);
    if (status == 0) {
        write_task(encoder, encoder->next++);
    }
    return status == 0 ? 1 : status;
}

int otrace_perfetto_tasks_next(struct otrace_perfetto_tasks *encoder, char *buffer, size_t capacity,
                               size_t *written) {
    return otrace_output_fill(&encoder->perfetto.output, buffer, capacity, written, write_next,
                              encoder);
}
