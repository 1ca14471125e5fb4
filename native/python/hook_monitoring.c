/* The hook of CPython 3.12 and later: sys.monitoring with C callables.
 *
 * Callbacks are objects with a vectorcall of their own: 7 to 8 ns a call less than builtins. They
 * own no reference and run no Python code; the interpreter does not nest them. */
#include "python/contexts.h"
#include "python/governor.h"
#include "python/hook.h"

#if OTRACE_HAS_MONITORING

typedef struct {
    PyObject_HEAD vectorcallfunc call;
} Callback;

static PyTypeObject callback_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "otrace.Callback",
    .tp_basicsize = sizeof(Callback),
    .tp_vectorcall_offset = offsetof(Callback, call),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
};

static PyObject *disable; /* owned: sys.monitoring.DISABLE */
static int tool_id = -1;
static long event_bits;         /* those that the tool has set */
static bool disabled_something; /* since the process started: the next start must re-arm */

/* Together and from a cache line on: where they happen to lie has made 5 ns a call. */
#define CALLBACK(name)                                                                             \
    __attribute__((hot, aligned(64))) static PyObject *name(                                       \
        PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(count),                 \
        PyObject *Py_UNUSED(names))

/* Excluded code takes no further events at this place. */
static PyObject *stop_here(void) {
    disabled_something = true;
    return Py_NewRef(disable);
}

/* Whether the end of a call is recorded, as its begin was. */
static bool records_end(uint64_t tag) {
    return tag & OTRACE_TAG_FRAMED ? otrace_governor_ends(tag) : !(tag & OTRACE_TAG_EXCLUDED);
}

static PyObject *begin_slow(PyObject *code, enum otrace_record_kind kind) {
    uint64_t tag = otrace_function_see(code, NULL);
    enum otrace_special special = otrace_tag_special(tag);
    otrace_special_before(special);
    if ((tag & (OTRACE_TAG_EXCLUDED | OTRACE_TAG_ASYNC)) == OTRACE_TAG_ASYNC) {
        otrace_tasks_begin(kind, otrace_tag_id(tag), code, 0);
    } else if (!(tag & OTRACE_TAG_EXCLUDED)) {
        const PyObject *object = otrace_special_has_end(special) ? NULL : code;
        otrace_thread_begin(kind, otrace_tag_id(tag), object, 0, otrace_clock_ticks());
    } else {
        otrace_tags.excluded_seen = true;
        if (special == OTRACE_SPECIAL_NONE) {
            return stop_here();
        }
    }
    otrace_special_begun(special);
    otrace_governor_begun(tag);
    otrace_governor_check(); /* each frame that has begun is on the stack now */
    Py_RETURN_NONE;
}

static PyObject *end_slow(PyObject *code, enum otrace_record_kind kind, PyObject *result) {
    otrace_governor_check();
    uint64_t tag = otrace_function_see(code, NULL);
    enum otrace_special special = otrace_tag_special(tag);
    otrace_special_end(special, result);
    if (records_end(tag)) {
        if (tag & OTRACE_TAG_ASYNC && kind == OTRACE_END) {
            otrace_tasks_end(false);
        }
        otrace_thread_end(kind, otrace_tag_id(tag), 0, otrace_clock_ticks());
    } else if (special == OTRACE_SPECIAL_NONE &&
               (tag & (OTRACE_TAG_EXCLUDED | OTRACE_TAG_LEAVING)) == OTRACE_TAG_EXCLUDED) {
        return stop_here(); /* not where an unseen call of a function that is on again ends */
    }
    Py_RETURN_NONE;
}

#define BEGIN_CALLBACK(name, kind)                                                                 \
    CALLBACK(name) {                                                                               \
        uint64_t tag = otrace_function_tag(args[0]);                                               \
        if (__builtin_expect(!otrace_tag_plain(tag), 0) ||                                         \
            __builtin_expect(!otrace_emit_begin(kind, otrace_tag_what(tag, kind), args[0]), 0)) {  \
            return begin_slow(args[0], kind);                                                      \
        }                                                                                          \
        Py_RETURN_NONE;                                                                            \
    }

#define END_CALLBACK(name, kind)                                                                   \
    CALLBACK(name) {                                                                               \
        if (__builtin_expect(!otrace_emit_end(kind, args[0]), 0)) {                                \
            return end_slow(args[0], kind, args[2]);                                               \
        }                                                                                          \
        Py_RETURN_NONE;                                                                            \
    }

BEGIN_CALLBACK(on_start, OTRACE_BEGIN)
BEGIN_CALLBACK(on_resume, OTRACE_RESUME)
END_CALLBACK(on_return, OTRACE_END)
END_CALLBACK(on_yield, OTRACE_YIELD)

__attribute__((noinline)) static PyObject *unwind_slow(PyObject *code, PyObject *value) {
    uint64_t tag = otrace_function_see(code, NULL);
    otrace_special_end(otrace_tag_special(tag), NULL);
    if (records_end(tag)) {
        if (tag & OTRACE_TAG_ASYNC) {
            otrace_tasks_end(false);
        }
        otrace_thread_end(OTRACE_END, otrace_tag_id(tag), otrace_exception_word(value),
                          otrace_clock_ticks());
    }
    Py_RETURN_NONE;
}

/* PY_UNWIND and PY_THROW cannot be switched off by place: excluded code pays for them. */
CALLBACK(on_unwind) {
    uint32_t exception = otrace_exception_known(args[2]);
    if (exception == 0 || !otrace_tag_plain(otrace_function_tag(args[0])) ||
        !otrace_emit_end_with(OTRACE_END, args[0], exception)) {
        return unwind_slow(args[0], args[2]);
    }
    Py_RETURN_NONE;
}

CALLBACK(on_throw) {
    uint64_t tag = otrace_function_see(args[0], NULL);
    if ((tag & (OTRACE_TAG_EXCLUDED | OTRACE_TAG_ASYNC)) == OTRACE_TAG_ASYNC) {
        otrace_tasks_begin(OTRACE_RESUME, otrace_tag_id(tag), args[0],
                           otrace_exception_word(args[2]));
    } else if (!(tag & OTRACE_TAG_EXCLUDED)) {
        otrace_thread_begin(OTRACE_RESUME, otrace_tag_id(tag), args[0],
                            otrace_exception_word(args[2]), otrace_clock_ticks());
    }
    otrace_governor_begun(tag);
    Py_RETURN_NONE;
}

/* A C call is recorded when its Python caller is. */
static inline bool caller_recorded(PyObject *code) {
    return __builtin_expect(!otrace_tags.excluded_seen, 1) ||
           otrace_tag_plain(otrace_function_tag(code)) ||
           !(otrace_function_see(code, NULL) & OTRACE_TAG_EXCLUDED);
}

CALLBACK(on_call) {
    if (!caller_recorded(args[0])) {
        return stop_here();
    }
    otrace_c_begin(args[2]);
    Py_RETURN_NONE;
}

/* Not inlined, so that on_c_return needs no stack frame. */
__attribute__((noinline)) static PyObject *c_end_slow(PyObject *code, PyObject *callable,
                                                      bool raised) {
    const struct otrace_thread *thread = otrace_thread_self;
    /* Innermost: it began before its caller was switched off. */
    bool began = thread->id != 0 && thread->top[-1].object == callable;
    if (began || caller_recorded(code)) {
        otrace_c_end_slow(callable, raised);
    }
    Py_RETURN_NONE;
}

CALLBACK(on_c_return) {
    if (__builtin_expect(!otrace_emit_end(OTRACE_C_END, args[2]), 0)) {
        return c_end_slow(args[0], args[2], false);
    }
    Py_RETURN_NONE;
}

/* Which exception it was, the event does not tell. */
CALLBACK(on_c_raise) {
    if (!otrace_emit_end_with(OTRACE_C_END, args[2], OTRACE_WITH_EXCEPTION)) {
        return c_end_slow(args[0], args[2], true);
    }
    Py_RETURN_NONE;
}

/* ---- the same while contexts are watched ---- */

#define WATCHED_CALLBACK(name, beginning)                                                          \
    CALLBACK(name##_watched) {                                                                     \
        otrace_context_check(beginning);                                                           \
        return name(NULL, args, 0, NULL);                                                          \
    }

WATCHED_CALLBACK(on_start, true)
WATCHED_CALLBACK(on_resume, true)
WATCHED_CALLBACK(on_throw, true)
WATCHED_CALLBACK(on_call, false)

/* ---- installing ---- */

struct event {
    const char *name;
    vectorcallfunc call, watched; /* watched: NULL where there is no difference */
    bool c_calls, own_bit;        /* C_RETURN and C_RAISE come with CALL and have no bit to set */
};

static const struct event events[] = {
    {"PY_START", on_start, on_start_watched, false, true},
    {"PY_RESUME", on_resume, on_resume_watched, false, true},
    {"PY_THROW", on_throw, on_throw_watched, false, true},
    {"PY_RETURN", on_return, NULL, false, true},
    {"PY_YIELD", on_yield, NULL, false, true},
    {"PY_UNWIND", on_unwind, NULL, false, true},
    {"CALL", on_call, on_call_watched, true, true},
    {"C_RETURN", on_c_return, NULL, true, false},
    {"C_RAISE", on_c_raise, NULL, true, false},
};
#define EVENT_COUNT (sizeof events / sizeof *events)

static PyObject *callback_new(vectorcallfunc call) {
    Callback *callback = PyObject_New(Callback, &callback_type);
    if (callback != NULL) {
        callback->call = call;
    }
    return (PyObject *)callback;
}

/* Registers one event's callback (NULL: takes it away) and adds its bit to `bits`. */
static int set_callback(PyObject *monitoring, PyObject *names, const struct event *event,
                        bool install, long *bits) {
    PyObject *number = PyObject_GetAttrString(names, event->name);
    bool watched = otrace_contexts_watched && event->watched != NULL;
    PyObject *callback =
        install ? callback_new(watched ? event->watched : event->call) : Py_NewRef(Py_None);
    PyObject *previous = NULL;
    if (number != NULL && callback != NULL) {
        *bits |= event->own_bit ? PyLong_AsLong(number) : 0;
        previous =
            PyObject_CallMethod(monitoring, "register_callback", "iOO", tool_id, number, callback);
    }
    int status = previous == NULL ? -1 : 0;
    Py_XDECREF(number);
    Py_XDECREF(callback);
    Py_XDECREF(previous);
    return status;
}

/* Ids 0 to 2 belong to others by custom. One in use is never taken. */
static int take_tool_id(PyObject *monitoring) {
    for (int id = 5; id >= 3; id--) {
        PyObject *done = PyObject_CallMethod(monitoring, "use_tool_id", "is", id, "otrace");
        if (done != NULL) {
            Py_DECREF(done);
            return id;
        }
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear();
    }
    return -1;
}

static int set_events(PyObject *monitoring, long bits) {
    PyObject *done = PyObject_CallMethod(monitoring, "set_events", "il", tool_id, bits);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int set_all(PyObject *monitoring, bool c_calls) {
    PyObject *names = PyObject_GetAttrString(monitoring, "events");
    long bits = 0;
    int status = names == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < EVENT_COUNT; i++) {
        if (c_calls || !events[i].c_calls) {
            status = set_callback(monitoring, names, &events[i], true, &bits);
        }
    }
    Py_XDECREF(names);
    if (status == 0 && disabled_something) {
        PyObject *done = PyObject_CallMethod(monitoring, "restart_events", NULL);
        status = done == NULL ? -1 : 0;
        Py_XDECREF(done);
        disabled_something = false;
    }
    if (status == 0) {
        event_bits = bits;
        status = set_events(monitoring, bits);
    }
    return status;
}

int otrace_monitoring_install(bool c_calls, bool *no_tool_free) {
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    *no_tool_free = false;
    if (monitoring == NULL || PyType_Ready(&callback_type) != 0) {
        return -1;
    }
    if (disable == NULL) {
        disable = PyObject_GetAttrString(monitoring, "DISABLE");
    }
    tool_id = disable == NULL ? -1 : take_tool_id(monitoring);
    if (tool_id < 0) {
        *no_tool_free = !PyErr_Occurred();
        return -1;
    }
    if (set_all(monitoring, c_calls) != 0) {
        otrace_monitoring_remove();
        return -1;
    }
    return 0;
}

int otrace_monitoring_watch(void) {
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    PyObject *names = PyObject_GetAttrString(monitoring, "events");
    long bits = 0;
    int status = names == NULL ? -1 : 0;
    for (size_t i = 0; status == 0 && i < EVENT_COUNT; i++) {
        if (events[i].watched != NULL) { /* a callback without its event is never called */
            status = set_callback(monitoring, names, &events[i], true, &bits);
        }
    }
    Py_XDECREF(names);
    return status;
}

static int set_local_events(PyObject *monitoring, PyObject *code, long bits) {
    PyObject *done =
        PyObject_CallMethod(monitoring, "set_local_events", "iOl", tool_id, code, bits);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* restart_events() would arm all code, for every tool. This touches the given code objects, and
 * our places in those that are running now: while no event is set for all code, one that we do not
 * use (JUMP) comes and goes in each, which makes the interpreter forget what else was there. The
 * GIL is held all the time, so no code runs unwatched. */
int otrace_monitoring_rearm(PyObject *const *codes, size_t count) {
    enum { JUMP = 128 };                                  /* in all versions */
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    int status = monitoring == NULL ? -1 : set_events(monitoring, 0);
    for (size_t i = 0; status == 0 && i < count; i++) {
        status = set_local_events(monitoring, codes[i], JUMP);
        status = status == 0 ? set_local_events(monitoring, codes[i], 0) : status;
    }
    if (monitoring != NULL) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        int again = set_events(monitoring, event_bits);
        if (again == 0) {
            PyErr_Restore(type, value, trace);
        }
        status = again == 0 ? status : again;
    }
    return status;
}

bool otrace_monitoring_installed(void) {
    return tool_id >= 0;
}

void otrace_monitoring_remove(void) {
    PyObject *monitoring = PySys_GetObject("monitoring"); /* borrowed */
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *names = monitoring == NULL ? NULL : PyObject_GetAttrString(monitoring, "events");
    if (names != NULL && tool_id >= 0) {
        Py_XDECREF(PyObject_CallMethod(monitoring, "set_events", "ii", tool_id, 0));
        long bits = 0;
        for (size_t i = 0; i < EVENT_COUNT; i++) {
            set_callback(monitoring, names, &events[i], false, &bits);
        }
        Py_XDECREF(PyObject_CallMethod(monitoring, "free_tool_id", "i", tool_id));
    }
    Py_XDECREF(names);
    tool_id = -1;
    PyErr_Restore(type, value, trace);
}

#endif
