/* While a function is off its calls come and go unseen, and some that have begun unseen end when it
 * is on again. So a call is known by the address of its frame: the stack's entry has it, and an end
 * counts only for the entry of its own frame. */
#include "python/governed_calls.h"

#include "python/functions.h"
#include "python/governor.h"
#include "record/recorder.h"
#include "record/states.h"

/* ---- calls that were open at the first time ---- */

static const struct otrace_running_frame *frames_of(const struct otrace_thread *state) {
    if (state == otrace_thread_self) {
        return otrace_running_frame();
    }
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Main());
    while (thread != NULL && thread->thread_id != state->ident) {
        thread = PyThreadState_Next(thread);
    }
    return thread == NULL ? NULL : otrace_running_frame_of(thread);
}

/* The next frame from `frame` outwards that runs `code`. */
static const struct otrace_running_frame *find_frame(const struct otrace_running_frame *frame,
                                                     const PyObject *code) {
    while (frame != NULL && (const PyObject *)otrace_running_code(frame) != code) {
        frame = frame->previous;
    }
    return frame;
}

static size_t count_frames(const struct otrace_running_frame *frame, const PyObject *code) {
    size_t count = 0;
    for (frame = find_frame(frame, code); frame != NULL; count++) {
        frame = find_frame(frame->previous, code);
    }
    return count;
}

/* Other code may have the same name. */
static bool is_call(const struct otrace_open *open, otrace_key key, const PyObject *code) {
    return open->key == key && (open->object == NULL || open->object == code);
}

static size_t count_calls(const struct otrace_thread *thread, otrace_key key,
                          const PyObject *code) {
    size_t count = 0;
    for (const struct otrace_open *open = thread->stack + 1; open < thread->top; open++) {
        count += is_call(open, key, code);
    }
    return count;
}

static bool greenlets; /* some state is a greenlet's */

static void find_greenlet(struct otrace_thread *thread) {
    greenlets = greenlets || thread->greenlet != 0;
}

/* All calls were recorded until now, but for a frame whose begin another thread's turn keeps from
 * its event, or whose end other tools are told after us: the innermost. A recording that was not
 * told what was open at its start lacks the outermost. */
void otrace_governed_calls_mark_thread(struct otrace_thread *thread, uint32_t id,
                                       const PyObject *code) {
    otrace_key key = otrace_key_of(id);
    size_t calls = count_calls(thread, key, code);
    if (calls == 0) {
        return;
    }
    /* With greenlets, only of this thread is it known which one's stack the frames are. */
    bool known = thread == otrace_thread_self || !greenlets;
    const struct otrace_running_frame *frame = known ? find_frame(frames_of(thread), code) : NULL;
    size_t frames = count_frames(frame, code);
    if (otrace_recorder.inherited) {
        for (; frames > calls; frames--) {
            frame = find_frame(frame->previous, code);
        }
    }
    for (struct otrace_open *open = thread->top - 1; open > thread->stack; open--) {
        if (is_call(open, key, code)) {
            open->object = frame; /* NULL: not known, any frame's end will do */
            frame = frame == NULL ? NULL : find_frame(frame->previous, code);
        }
    }
}

static struct {
    uint32_t id;
    const PyObject *code;
    size_t frames, calls;
} marked;

static void mark(struct otrace_thread *thread) {
    otrace_governed_calls_mark_thread(thread, marked.id, marked.code);
}

void otrace_governed_calls_mark(uint32_t id, const PyObject *code) {
    marked.id = id;
    marked.code = code;
    greenlets = false;
    otrace_states_each(find_greenlet);
    otrace_states_each(mark);
}

/* ---- when it is on again ---- */

static void count_known(struct otrace_thread *thread) {
    otrace_key key = otrace_key_of(marked.id);
    for (const struct otrace_open *open = thread->stack + 1; open < thread->top; open++) {
        marked.calls += open->key == key && open->object != NULL && open->object != marked.code;
    }
}

static void use_code(struct otrace_thread *thread) {
    otrace_key key = otrace_key_of(marked.id);
    for (struct otrace_open *open = thread->stack + 1; open < thread->top; open++) {
        if (open->key == key && open->object != NULL) {
            bool fast = !(open->kind & OTRACE_OPEN_SILENT || key & OTRACE_KEY_LONG);
            open->object = fast ? marked.code : NULL;
        }
    }
}

bool otrace_governed_calls_forget_frames(uint32_t id, const PyObject *code) {
    marked.id = id;
    marked.code = code;
    marked.frames = marked.calls = 0;
    greenlets = false;
    otrace_states_each(find_greenlet);
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Main());
    for (; thread != NULL; thread = PyThreadState_Next(thread)) {
        marked.frames += count_frames(otrace_running_frame_of(thread), code);
    }
    otrace_states_each(count_known);
    if (greenlets || marked.frames != marked.calls) {
        return false;
    }
    otrace_states_each(use_code);
    return true;
}

/* ---- from then on ---- */

void otrace_governor_begun(uint64_t tag) {
    const struct otrace_thread *thread = otrace_thread_self;
    if ((tag & (OTRACE_TAG_FRAMED | OTRACE_TAG_EXCLUDED)) != OTRACE_TAG_FRAMED || thread->id == 0) {
        return;
    }
    struct otrace_open *open = thread->top - 1;
    if (open > thread->stack && open->key == otrace_key_of(otrace_tag_id(tag))) {
        open->object = otrace_running_frame();
    }
}

bool otrace_governor_ends(uint64_t tag) {
    const struct otrace_thread *thread = otrace_thread_self;
    uint32_t id = otrace_tag_id(tag);
    otrace_key key = otrace_key_of(id);
    size_t inner = 0; /* calls whose end was missed */
    if (thread->id == 0) {
        return false;
    }
    const void *frame = otrace_running_frame();
    const struct otrace_open *open = thread->top - 1;
    while (open > thread->stack && (open->key != key || open->object != frame)) {
        if (open->key == key && open->object == NULL && inner == 0) {
            return true;
        }
        inner += open->key == key;
        open--;
    }
    if (open == thread->stack) {
        return false;
    }
    for (; inner > 0; inner--) {
        otrace_thread_end(OTRACE_END, id, 0, otrace_clock_ticks());
    }
    return true;
}
