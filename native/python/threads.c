/* Threads as the interpreter knows them: their names, and the calls open when recording began.
 *
 * A name is read when the thread begins and ends (Thread._bootstrap_inner), when any thread is
 * renamed (the setter of Thread.name), and at the end of a recording. Attributes are read past
 * any __getattribute__ of a subclass, so that no Python code runs in here. */
#include "python/governor.h"
#include "python/greenlets.h"
#include "python/hook.h"

#include <string.h>
#include <unistd.h>

#include "python/texts.h"
#include "record/recorder.h"
#include "record/states.h"

static void publish_name(struct otrace_thread *thread, PyObject *name) {
    /* A subclass of str may have a __hash__ of its own. */
    if (name == NULL || !PyUnicode_CheckExact(name) || thread->id == 0) {
        return;
    }
    struct otrace_held_text held = otrace_text_hold(name);
    uint64_t hash = (uint64_t)PyObject_Hash(name) | 1;
    if (hash != thread->name_hash) {
        thread->name_hash = hash;
        otrace_names_note(OTRACE_META_THREAD_NAME, thread->id, held.text,
                          (struct otrace_text){"", 0});
    }
    otrace_text_drop(&held);
}

/* New reference to an attribute of a threading.Thread, or NULL without an exception. `key`: made
 * once, owned for good. */
static PyObject *attribute_of(PyObject *thread_object, PyObject **key, const char *text) {
    if (*key == NULL) {
        *key = PyUnicode_InternFromString(text);
    }
    /* A property of that name would run the program's code, under the mutex of the states. */
    bool plain = *key != NULL && _PyType_Lookup(Py_TYPE(thread_object), *key) == NULL;
    PyObject *found = plain ? PyObject_GenericGetAttr(thread_object, *key) : NULL;
    if (found == NULL) {
        PyErr_Clear();
    }
    return found;
}

static PyObject *name_of(PyObject *thread_object) {
    static PyObject *key;
    return attribute_of(thread_object, &key, "_name");
}

PyObject *otrace_threading_names(void) {
    static PyObject *key; /* owned for good */
    PyObject *threading = otrace_dict_get(PyImport_GetModuleDict(), &key, "threading");
    return threading != NULL && PyModule_Check(threading) ? PyModule_GetDict(threading) : NULL;
}

/* threading._active (borrowed), or NULL while threading is not imported. */
static PyObject *active_threads(void) {
    static PyObject *key; /* owned for good */
    PyObject *names = otrace_threading_names();
    PyObject *active = names == NULL ? NULL : otrace_dict_get(names, &key, "_active");
    return active != NULL && PyDict_Check(active) ? active : NULL;
}

static void refresh_name(struct otrace_thread *thread) {
    PyObject *active = active_threads();
    PyObject *ident = PyLong_FromUnsignedLong((unsigned long)thread->ident);
    PyObject *object =
        active == NULL || ident == NULL ? NULL : PyDict_GetItemWithError(active, ident);
    PyErr_Clear();
    Py_XDECREF(ident);
    if (object != NULL) {
        PyObject *name = name_of(object);
        publish_name(thread, name);
        Py_XDECREF(name);
    }
}

void otrace_threads_refresh(void) {
    otrace_states_each(refresh_name);
}

#if OTRACE_HAS_MONITORING

static uint32_t os_tid_of(PyObject *thread_object) {
    static PyObject *key;
    PyObject *number = attribute_of(thread_object, &key, "_native_id");
    unsigned long os_tid =
        number != NULL && PyLong_CheckExact(number) ? PyLong_AsUnsignedLongMask(number) : 0;
    Py_XDECREF(number);
    return (uint32_t)os_tid;
}

static struct {
    uint64_t ident;
    bool found;
} sought; /* under the GIL */

static void seek(struct otrace_thread *thread) {
    sought.found |= thread->id != 0 && thread->ident == sought.ident;
}

/* Threads that were blocked from before the start to the end have no state, but have names. The
 * profile hook cannot tell them from those that it did not see. */
void otrace_threads_tell_idle(void) {
    PyObject *active = active_threads();
    PyObject *ident, *object;
    Py_ssize_t at = 0;
    while (active != NULL && PyDict_Next(active, &at, &ident, &object)) {
        PyObject *name = PyLong_CheckExact(ident) ? name_of(object) : NULL;
        if (name != NULL && PyUnicode_CheckExact(name)) {
            sought.ident = PyLong_AsUnsignedLongMask(ident);
            sought.found = false;
            otrace_states_each(seek);
            uint32_t id = sought.found ? 0 : otrace_thread_publish_idle(os_tid_of(object));
            if (id != 0) {
                struct otrace_held_text held = otrace_text_hold(name);
                otrace_names_note(OTRACE_META_THREAD_NAME, id, held.text,
                                  (struct otrace_text){"", 0});
                otrace_text_drop(&held);
            }
        }
        Py_XDECREF(name);
    }
}

#else

void otrace_threads_tell_idle(void) {
}

#endif

/* The thread's own object is not in threading._active at its beginning and end: it is `self`. */
static void name_from_frame(PyFrameObject *frame) {
    PyObject *self = otrace_frame_local(frame, "self");
    PyObject *name = self == NULL ? NULL : name_of(self);
    publish_name(otrace_thread_self, name);
    Py_XDECREF(name);
    Py_XDECREF(self);
}

void otrace_threads_named(void) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    if (frame != NULL) {
        name_from_frame(frame);
    }
    PyErr_Restore(type, value, trace);
}

void otrace_threads_renamed(void) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    otrace_threads_refresh();
    PyErr_Restore(type, value, trace);
}

static enum otrace_record_kind opening_kind(PyCodeObject *code) {
    return code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR) ? OTRACE_RESUME
                                                                               : OTRACE_BEGIN;
}

static size_t count_frames(void) {
    size_t count = 0;
    PyFrameObject *frame = PyEval_GetFrame();
    Py_XINCREF(frame);
    for (; frame != NULL; count++) {
        PyFrameObject *back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    return count;
}

/* Tells the frames of the calling thread, the outermost first. */
static void tell_open_frames(struct otrace_thread *thread, bool beginning) {
    size_t count = count_frames();
    PyFrameObject **frames = PyMem_RawCalloc(count + 1, sizeof *frames); /* each owned */
    if (frames == NULL || count == 0) {
        PyMem_RawFree(frames);
        return;
    }
    frames[0] = PyEval_GetFrame();
    Py_INCREF(frames[0]);
    for (size_t i = 1; i < count; i++) {
        frames[i] = PyFrame_GetBack(frames[i - 1]);
    }
    for (size_t i = count; i-- > 0;) {
        PyCodeObject *code = PyFrame_GetCode(frames[i]);
        PyObject *globals = PyFrame_GetGlobals(frames[i]);
        uint64_t tag = otrace_function_see((PyObject *)code, globals);
        bool begins_now = i == 0 && beginning;
        otrace_tags.excluded_seen |= (tag & OTRACE_TAG_EXCLUDED) != 0;
        if (!(tag & OTRACE_TAG_EXCLUDED) && !begins_now) {
            otrace_thread_push_open(thread, otrace_tag_id(tag), opening_kind(code));
        }
        Py_DECREF(globals);
        Py_DECREF(code);
        Py_DECREF(frames[i]);
    }
    PyMem_RawFree(frames);
}

void otrace_threads_started(struct otrace_thread *thread, bool beginning) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (thread->greenlet != 0) {
        otrace_greenlets_started(thread);
    } else {
        thread->ident = (uint64_t)PyThread_get_thread_ident();
        refresh_name(thread);
        otrace_greenlets_follow();
    }
    if (thread->greenlet == 0 && thread->name_hash == 0 && thread->os_tid == (uint32_t)getpid()) {
        /* What `threading` will call it once it is imported. */
        otrace_names_note(OTRACE_META_THREAD_NAME, thread->id, otrace_text_literal("MainThread"),
                          (struct otrace_text){"", 0});
    }
    if (otrace_recorder.inherited) {
        tell_open_frames(thread, beginning);
        otrace_governor_thread_started(thread);
    }
    PyErr_Restore(type, value, trace);
}
