/* The hook of CPython 3.11: PyEval_SetProfile. Also used later when no monitoring tool id is free.
 *
 * A profile function belongs to one thread. Threads alive at the start get theirs from here; on
 * 3.11 those that start later get it before they run, when the call that made them returns, and
 * `threading` gives it to those that a thread of another profiler starts. Threads made in C cannot
 * be reached. */
#include "python/contexts.h"
#include "python/hook.h"

#include <frameobject.h>

#if !OTRACE_HAS_MONITORING
#include <opcode.h>
#endif

static bool record_c_calls;
static PyCFunction thread_starter; /* what _thread.start_new_thread is in C */

static void set_everywhere(Py_tracefunc function);

/* ---- generators: the hook reports each of their runs as a call and a return ---- */

enum place { AT_START, AT_RESUME, AT_YIELD, AT_OTHER };

#if !OTRACE_HAS_MONITORING
static enum place place_of(PyFrameObject *frame, PyCodeObject *code) {
    const unsigned char *at = ((const struct otrace_frame *)frame)->f_frame->instruction;
    if (at < (const unsigned char *)code->co_code_adaptive) {
        return AT_OTHER; /* before the first instruction */
    }
    if (at[0] == RESUME || at[0] == RESUME_QUICK) {
        return at[1] == 0 ? AT_START : AT_RESUME;
    }
    return at[0] == YIELD_VALUE ? AT_YIELD : AT_OTHER;
}
#else
static enum place place_of(PyFrameObject *Py_UNUSED(frame), PyCodeObject *Py_UNUSED(code)) {
    return AT_START; /* opcodes differ by version: a run counts as a call of its own */
}
#endif

static void begin_slow(PyFrameObject *frame, PyCodeObject *code) {
    uint64_t tag = otrace_function_see((PyObject *)code, NULL);
    enum otrace_special special = otrace_tag_special(tag);
    otrace_special_before(special);
    if (!(tag & OTRACE_TAG_EXCLUDED)) {
        enum place place = tag & OTRACE_TAG_GENERATOR ? place_of(frame, code) : AT_START;
        /* A generator that still stands at its yield: throw() or close(). */
        bool thrown = place == AT_YIELD || place == AT_OTHER;
        enum otrace_record_kind kind = place == AT_START ? OTRACE_BEGIN : OTRACE_RESUME;
        uint32_t exception = thrown ? otrace_exception_word(NULL) : 0;
        if (tag & OTRACE_TAG_ASYNC) {
            otrace_tasks_begin(kind, otrace_tag_id(tag), (PyObject *)code, exception);
        } else {
            otrace_thread_begin(kind, otrace_tag_id(tag),
                                otrace_special_has_end(special) ? NULL : code, exception,
                                otrace_clock_ticks());
        }
    } else {
        otrace_tags.excluded_seen = true;
    }
    otrace_special_begun(special);
}

static void begin(PyFrameObject *frame) {
    if (__builtin_expect(otrace_contexts_watched, 0)) {
        otrace_context_check(true);
    }
    PyCodeObject *code = otrace_frame_code(frame);
    uint64_t tag = otrace_function_tag((PyObject *)code);
    enum place place = AT_START;
    if (tag & OTRACE_TAG_GENERATOR) {
        place = place_of(frame, code);
    }
    enum otrace_record_kind kind = place == AT_START ? OTRACE_BEGIN : OTRACE_RESUME;
    if (__builtin_expect(!otrace_tag_plain(tag) || place > AT_RESUME, 0) ||
        __builtin_expect(!otrace_emit_begin(kind, otrace_tag_what(tag, kind), code), 0)) {
        begin_slow(frame, code);
    }
}

static void end_slow(PyFrameObject *frame, PyCodeObject *code, PyObject *result) {
    uint64_t tag = otrace_function_see((PyObject *)code, NULL);
    otrace_special_end(otrace_tag_special(tag), result);
    if (!(tag & OTRACE_TAG_EXCLUDED)) {
        bool yields =
            result != NULL && tag & OTRACE_TAG_GENERATOR && place_of(frame, code) == AT_YIELD;
        if (tag & OTRACE_TAG_ASYNC && !yields) {
            otrace_tasks_end(result == NULL);
        }
        /* An exception itself is out of reach here: its type stays unknown. */
        otrace_thread_end(yields ? OTRACE_YIELD : OTRACE_END, otrace_tag_id(tag),
                          result == NULL ? otrace_exception_word(NULL) : 0, otrace_clock_ticks());
#if !OTRACE_HAS_MONITORING
        if (tag & OTRACE_TAG_ASYNC && !yields && result != NULL) {
            otrace_tasks_go_on();
        }
#endif
    }
}

static void end(PyFrameObject *frame, PyObject *result) {
    PyCodeObject *code = otrace_frame_code(frame);
    bool generator = code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR);
    bool yields = generator && place_of(frame, code) == AT_YIELD;
    if (__builtin_expect(result == NULL, 0) ||
        __builtin_expect(!otrace_emit_end(yields ? OTRACE_YIELD : OTRACE_END, code), 0)) {
        end_slow(frame, code, result);
    }
}

static bool caller_recorded(PyFrameObject *frame) {
    PyObject *code = (PyObject *)otrace_frame_code(frame);
    return __builtin_expect(!otrace_tags.excluded_seen, 1) ||
           otrace_tag_plain(otrace_function_tag(code)) ||
           !(otrace_function_see(code, NULL) & OTRACE_TAG_EXCLUDED);
}

static bool starts_thread(PyObject *callable) {
    return PyCFunction_CheckExact(callable) && PyCFunction_GET_FUNCTION(callable) == thread_starter;
}

static int on_event(PyObject *Py_UNUSED(self), PyFrameObject *frame, int what, PyObject *arg) {
    switch (what) {
    case PyTrace_CALL:
        begin(frame);
        break;
    case PyTrace_RETURN:
        end(frame, arg);
        break;
    case PyTrace_C_CALL:
        if (record_c_calls && caller_recorded(frame)) {
            otrace_c_begin(arg);
        }
        break;
    case PyTrace_C_RETURN:
        if (record_c_calls && !otrace_emit_end(OTRACE_C_END, arg) && caller_recorded(frame)) {
            otrace_c_end_slow(arg, false);
        }
        if (__builtin_expect(starts_thread(arg), 0)) {
            set_everywhere(on_event);
        }
        break;
    case PyTrace_C_EXCEPTION:
        if (record_c_calls && !otrace_emit_end_with(OTRACE_C_END, arg, OTRACE_WITH_EXCEPTION) &&
            caller_recorded(frame)) {
            otrace_c_end_slow(arg, true);
        }
        break;
    default:
        break;
    }
    return 0;
}

/* ---- threads that start later ---- */

/* What `threading` calls for the first event of a new thread, in place of a Python profiler. */
static PyObject *adopt_thread(PyObject *Py_UNUSED(self), PyObject *args) {
    PyObject *frame, *event, *arg;
    if (!PyArg_ParseTuple(args, "OOO", &frame, &event, &arg)) {
        return NULL;
    }
    PyEval_SetProfile(on_event, NULL);
    if (PyFrame_Check(frame) && PyUnicode_CompareWithASCIIString(event, "call") == 0) {
        on_event(NULL, (PyFrameObject *)frame, PyTrace_CALL, NULL);
    } else if (PyUnicode_CompareWithASCIIString(event, "c_return") == 0) {
        otrace_emit_end(OTRACE_C_END, arg); /* sys.setprofile's own, if its beginning was seen */
    }
    Py_RETURN_NONE;
}

static PyMethodDef adopt_method = {"otrace_adopt_thread", adopt_thread, METH_VARARGS, NULL};
static PyObject *adopt; /* owned */

/* Puts `hook` in the place of `expected` (both borrowed) as what new threads are profiled by. */
static void replace_profile_hook(PyObject *expected, PyObject *hook) {
    static PyObject *key; /* owned for good */
    PyObject *names = otrace_threading_names();
    PyObject *found = names == NULL ? NULL : otrace_dict_get(names, &key, "_profile_hook");
    if (found != NULL && found == expected && PyDict_SetItem(names, key, hook) != 0) {
        PyErr_Clear();
    }
}

void otrace_profile_follow_threads(void) {
    if (adopt != NULL) {
        replace_profile_hook(Py_None, adopt);
    }
}

static void set_everywhere(Py_tracefunc function) {
#if OTRACE_HAS_MONITORING
    PyEval_SetProfileAllThreads(function, NULL);
#else
    PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    for (; thread != NULL; thread = PyThreadState_Next(thread)) {
        /* A program's own profile function stays. */
        Py_tracefunc replaced = function == NULL ? on_event : NULL;
        if (thread->c_profilefunc == replaced && _PyEval_SetProfile(thread, function, NULL) != 0) {
            PyErr_Clear();
        }
    }
#endif
}

/* Left unknown where PyEval_SetProfileAllThreads would stop every thread for each new one. */
static void find_thread_starter(void) {
#if !OTRACE_HAS_MONITORING
    PyObject *module = PyImport_ImportModule("_thread");
    PyObject *start = module == NULL ? NULL : PyObject_GetAttrString(module, "start_new_thread");
    if (start != NULL && PyCFunction_CheckExact(start)) {
        thread_starter = PyCFunction_GET_FUNCTION(start);
    }
    PyErr_Clear();
    Py_XDECREF(start);
    Py_XDECREF(module);
#endif
}

int otrace_profile_install(bool c_calls) {
    record_c_calls = c_calls;
    find_thread_starter();
    if (adopt == NULL) {
        adopt = PyCFunction_New(&adopt_method, NULL);
        if (adopt == NULL) {
            return -1;
        }
        otrace_callable_hide(adopt);
    }
    otrace_profile_follow_threads();
    set_everywhere(on_event);
    return 0;
}

void otrace_profile_remove(void) {
    set_everywhere(NULL);
    replace_profile_hook(adopt, Py_None);
}
