/* Which task runs what.
 *
 * A call of a coroutine that another coroutine awaits belongs to the same task. Any other one was
 * resumed by an event loop, or by hand: the loop is asked whose turn it is. What is known of a
 * task is recorded when it is created, at its first step, and again before the ring overwrites
 * the last record of it. */
#include "python/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "python/activations.h"
#include "python/functions.h"
#include "python/loops.h"
#include "python/texts.h"
#include "record/recorder.h"

#define NAME_BYTES 256u /* longer names are cut */

struct task {
    PyObject *object; /* an address only; NULL: a free place */
    PyObject *weak;   /* owned reference to it, NULL: it takes none */
    uint32_t id, parent, root, flag;
    uint64_t name_hash;       /* of the name last recorded */
    uint64_t told;            /* the chunk sequence when it was last recorded; 0: not yet */
    uint32_t told_pid;        /* by which process */
    struct otrace_flow woken; /* number 0: by nobody known */
    bool started;
};

static struct task *table;
static uint32_t capacity, count, last_task;

/* ---- the table: tasks by their address, under the GIL ---- */

static bool alive(const struct task *task) {
    return task->weak == NULL || ((PyWeakReference *)task->weak)->wr_object == task->object;
}

static struct task *place_of(struct task *places, uint32_t size, const PyObject *object) {
    uint64_t hash = ((uintptr_t)object >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(hash >> 32) & (size - 1);
    while (places[at].object != NULL && places[at].object != object) {
        at = (at + 1) & (size - 1);
    }
    return &places[at];
}

/* A table of twice the living, without the dead. */
static bool rebuild(void) {
    uint32_t living = 0;
    for (uint32_t i = 0; i < capacity; i++) {
        living += table[i].object != NULL && alive(&table[i]);
    }
    uint32_t size = 64;
    while (size < living * 4) {
        size *= 2;
    }
    struct task *places = calloc(size, sizeof *places);
    if (places == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < capacity; i++) {
        if (table[i].object == NULL) {
            continue;
        }
        if (alive(&table[i])) {
            *place_of(places, size, table[i].object) = table[i];
        } else {
            Py_XDECREF(table[i].weak); /* without a callback: nothing runs */
        }
    }
    free(table);
    table = places;
    capacity = size;
    count = living;
    return true;
}

/* The entry of a task, made when it is new (`*is_new`); NULL without memory. */
static struct task *entry_of(PyObject *object, bool *is_new) {
    if ((uint64_t)count * 2 >= capacity && !rebuild()) {
        return NULL;
    }
    struct task *task = place_of(table, capacity, object);
    *is_new = task->object == NULL || !alive(task);
    if (*is_new) {
        count += task->object == NULL;
        Py_XDECREF(task->weak);
        PyObject *weak = PyWeakref_NewRef(object, NULL);
        PyErr_Clear();
        last_task += last_task == UINT32_MAX ? 2 : 1; /* 0 is none */
        *task = (struct task){.object = object, .weak = weak, .id = last_task};
    }
    return task;
}

void otrace_tasks_begin_recording(void) {
    for (uint32_t i = 0; i < capacity; i++) {
        Py_XDECREF(table[i].weak);
    }
    free(table);
    table = NULL;
    capacity = count = last_task = 0;
    otrace_activations_clear();
}

/* ---- what is recorded of a task ---- */

static void write_info(struct task *task, PyObject *name, uint32_t flags) {
    otrace_word payload[4 + NAME_BYTES / 4] = {task->id, task->parent, task->root,
                                               OTRACE_VALUE_NONE};
    size_t words = 4;
    if (name != NULL) {
        struct otrace_held_text held = otrace_text_hold(name);
        size_t size = held.text.size > NAME_BYTES ? NAME_BYTES : held.text.size;
        while (size < held.text.size && ((unsigned char)held.text.data[size] & 0xc0) == 0x80) {
            size--; /* cut between characters */
        }
        uint32_t cut = size < held.text.size ? OTRACE_VALUE_CUT : 0;
        payload[3] = OTRACE_VALUE_TEXT | cut | (otrace_word)size << 8;
        memcpy(payload + 4, held.text.data, size);
        words += (size + 3) / 4;
        otrace_text_drop(&held);
        task->name_hash = (uint64_t)PyObject_Hash(name) | 1;
    }
    otrace_thread_write(OTRACE_X_TASK_INFO, flags | task->flag, payload, words);
    const struct otrace_segment_header *header = otrace_recorder.segment.header;
    if (header != NULL) {
        task->told = atomic_load_explicit(&header->next_sequence, memory_order_relaxed);
        task->told_pid = header->pid;
    }
}

static void write_named(struct task *task, uint32_t flags) {
    PyObject *name = otrace_loops_name(task->object);
    write_info(task, name, flags);
    Py_XDECREF(name);
}

/* `flags` too are worth a record. */
static void write_if_renamed(struct task *task, uint32_t flags) {
    PyObject *name = otrace_loops_name(task->object);
    uint64_t hash = name == NULL ? task->name_hash : ((uint64_t)PyObject_Hash(name) | 1);
    if (flags != 0 || hash != task->name_hash) {
        write_info(task, name, flags);
    }
    Py_XDECREF(name);
}

/* A ring that has come round overwrites what was told a ring ago; a forked child's is another. */
static bool must_tell_again(const struct task *task) {
    const struct otrace_segment_header *header = otrace_recorder.segment.header;
    if (header == NULL) {
        return false;
    }
    uint64_t now = atomic_load_explicit(&header->next_sequence, memory_order_relaxed);
    return task->told == 0 || task->told_pid != header->pid ||
           now - task->told > header->chunk_count / 4;
}

/* ---- steps ---- */

/* Whether `frame` is the own coroutine's of a task: it lies in that object. */
static bool runs_in(const void *frame, const PyObject *coroutine) {
    uintptr_t from = (uintptr_t)coroutine, at = (uintptr_t)frame;
    return coroutine != NULL && at > from && at < from + (size_t)Py_TYPE(coroutine)->tp_basicsize;
}

static uint32_t parent_of(PyObject *object, uint32_t flag) {
    PyObject *parent = flag == OTRACE_TASK_TRIO ? otrace_loops_parent(object) : NULL;
    if (parent == NULL) { /* an eager task starts within the one that makes it */
        return otrace_async_task();
    }
    struct task *known = capacity == 0 ? NULL : place_of(table, capacity, parent);
    uint32_t id = known != NULL && known->object == parent && alive(known) ? known->id : 0;
    Py_DECREF(parent);
    return id;
}

static void start(struct task *task, bool is_new, uint32_t activation, const void *frame) {
    PyObject *coroutine = otrace_loops_coroutine(task->object);
    task->started = true;
    if (is_new) {
        task->parent = parent_of(task->object, task->flag);
    }
    if (runs_in(frame, coroutine)) {
        task->root = activation;
    }
    Py_XDECREF(coroutine);
    write_named(task, OTRACE_TASK_STARTED);
}

/* The task whose turn it is, 0: none. */
static uint32_t step(uint32_t activation, const void *frame) {
    uint32_t flag;
    PyObject *object = otrace_loops_task(&flag);
    uint32_t id = 0;
    if (object != NULL) {
        bool is_new;
        struct task *task = entry_of(object, &is_new);
        if (task != NULL) {
            task->flag = flag;
            id = task->id;
            if (!task->started) {
                start(task, is_new, activation, frame);
            } else if (must_tell_again(task)) {
                write_named(task, 0);
            }
            if (task->woken.number != 0) {
                otrace_thread_arrive(task->woken);
                task->woken.number = 0;
            }
        }
        Py_DECREF(object);
    }
    return id;
}

static void begin(const void *frame, bool awaited, enum otrace_record_kind kind, uint32_t id,
                  PyObject *code, uint32_t exception) {
    PyObject *type, *value, *trace;
    struct otrace_async async = {.activation = otrace_activation_of(frame, kind == OTRACE_BEGIN)};
    if (!awaited) {
        PyErr_Fetch(&type, &value, &trace);
        async.task = step(async.activation, frame);
        PyErr_Restore(type, value, trace);
    }
    /* The end of what a loop resumed has something to tell: it does not go the fast path. */
    otrace_thread_begin_async(kind, id, awaited ? code : NULL, exception, async,
                              otrace_clock_ticks());
}

void otrace_tasks_begin(enum otrace_record_kind kind, uint32_t id, PyObject *code,
                        uint32_t exception) {
    if (otrace_thread_self->id == 0 && otrace_thread_register(true) == NULL) {
        return;
    }
    const struct otrace_running_frame *frame = otrace_running_frame();
    /* A coroutine that is filtered out, or began before the recording, is not on the stack. And
     * throw() links the frames as if each were awaited, but runs the innermost alone. */
    bool awaited = exception == 0 && otrace_frame_async_caller(frame, OTRACE_CODE_ASYNC) != NULL &&
                   otrace_async_runs(otrace_activation_known(frame->previous));
    begin(frame, awaited, kind, id, code, exception);
}

#if !OTRACE_HAS_MONITORING
void otrace_tasks_go_on(void) {
    const struct otrace_running_frame *frame = otrace_running_frame();
    PyObject *code = otrace_frame_async_caller(frame, OTRACE_CODE_ASYNC);
    if (code == NULL || otrace_async_runs(otrace_activation_known(frame->previous))) {
        return;
    }
    uint64_t tag = otrace_function_see(code, NULL);
    if (!(tag & OTRACE_TAG_EXCLUDED)) {
        begin(frame->previous, false, OTRACE_RESUME, otrace_tag_id(tag), code, 0);
    }
}
#endif

void otrace_tasks_end(bool unknown) {
    PyObject *type, *value, *trace;
    uint32_t flag;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *object = otrace_loops_task(&flag);
    struct task *task = object == NULL || capacity == 0 ? NULL : place_of(table, capacity, object);
    if (task != NULL && task->object == object && alive(task)) {
        const void *frame = otrace_running_frame();
        bool root = task->root != 0 && otrace_activation_of(frame, false) == task->root;
        bool cancelled = unknown && root && otrace_loops_cancelling(object);
        write_if_renamed(task, cancelled ? OTRACE_TASK_CANCELLED : 0);
    }
    Py_XDECREF(object);
    PyErr_Restore(type, value, trace);
}

void otrace_tasks_wakes(PyObject *what) {
    PyObject *object = what;
    if (what != NULL && PyCFunction_CheckExact(what)) {
        object = PyCFunction_GET_SELF(what);
    } else if (what != NULL && PyMethod_Check(what)) { /* asyncio's tasks in Python */
        object = PyMethod_GET_SELF(what);
    }
    struct task *task = object == NULL || capacity == 0 ? NULL : place_of(table, capacity, object);
    if (task != NULL && task->object == object && alive(task) && task->started) {
        task->woken = otrace_thread_flow();
    }
}

void otrace_tasks_created(PyObject *object) {
    PyObject *type, *value, *trace;
    if (object == NULL || object == Py_None) {
        return;
    }
    PyErr_Fetch(&type, &value, &trace);
    bool is_new;
    struct task *task = entry_of(object, &is_new);
    if (task != NULL && is_new) {
        uint32_t flag;
        PyObject *creator = otrace_loops_task(&flag);
        struct task *known = creator == NULL ? NULL : place_of(table, capacity, creator);
        task->flag = OTRACE_TASK_ASYNCIO;
        task->parent = known != NULL && known->object == creator && alive(known) ? known->id : 0;
        write_info(task, NULL, OTRACE_TASK_CREATED);
        Py_XDECREF(creator);
    } else if (task != NULL && task->started) { /* an eager one, which gets its name only now */
        write_if_renamed(task, 0);
    }
    PyErr_Restore(type, value, trace);
}
