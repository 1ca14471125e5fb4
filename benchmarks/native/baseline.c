/* The floor that added time is compared with: a hook that does nothing, or only reads the clock.
 *
 * install(clock, c_calls) sets the same kind of hook as otrace: sys.monitoring with vectorcall
 * objects on CPython 3.12 and later, PyEval_SetProfile on 3.11. remove() takes it away and
 * returns how many calls (Python, C) were seen when install(..., count=True) asked for them. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
static inline uint64_t read_clock(void) {
    return __rdtsc();
}
#elif defined(__aarch64__)
static inline uint64_t read_clock(void) {
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}
#else
#error "no clock for this machine"
#endif

static volatile uint64_t sink;
static unsigned long long python_calls, c_calls_seen;

#if PY_VERSION_HEX >= 0x030c0000

typedef struct {
    PyObject_HEAD vectorcallfunc call;
} Callback;

static PyTypeObject callback_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "otrace_baseline.Callback",
    .tp_basicsize = sizeof(Callback),
    .tp_vectorcall_offset = offsetof(Callback, call),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
};

#define TOOL 4

#define CALLBACK(name, ...)                                                                        \
    static PyObject *name(PyObject *Py_UNUSED(self), PyObject *const *Py_UNUSED(args),             \
                          size_t Py_UNUSED(count), PyObject *Py_UNUSED(names)) {                   \
        __VA_ARGS__;                                                                               \
        Py_RETURN_NONE;                                                                            \
    }

CALLBACK(empty, (void)0)
CALLBACK(clock_only, sink = read_clock())
CALLBACK(count_python, python_calls++)
CALLBACK(count_c, c_calls_seen++)

static const struct {
    const char *name;
    int c_call, own_bit, begins;
} events[] = {
    {"PY_START", 0, 1, 1},  {"PY_RESUME", 0, 1, 1}, {"PY_THROW", 0, 1, 1},
    {"PY_RETURN", 0, 1, 0}, {"PY_YIELD", 0, 1, 0},  {"PY_UNWIND", 0, 1, 0},
    {"CALL", 1, 1, 0},      {"C_RETURN", 1, 0, 1},  {"C_RAISE", 1, 0, 1},
};

static vectorcallfunc choose(size_t i, int clock, int count) {
    if (count) {
        return !events[i].begins ? empty : events[i].c_call ? count_c : count_python;
    }
    return clock ? clock_only : empty;
}

static int set_hook(int clock, int c_calls, int count) {
    PyObject *monitoring = PySys_GetObject("monitoring");
    PyObject *numbers = monitoring ? PyObject_GetAttrString(monitoring, "events") : NULL;
    PyObject *done = NULL;
    if (numbers && PyType_Ready(&callback_type) == 0) {
        done = PyObject_CallMethod(monitoring, "use_tool_id", "is", TOOL, "baseline");
    }
    long bits = 0;
    for (size_t i = 0; done && i < sizeof events / sizeof *events; i++) {
        if (events[i].c_call && !c_calls) {
            continue;
        }
        Py_DECREF(done);
        PyObject *number = PyObject_GetAttrString(numbers, events[i].name);
        Callback *callback = PyObject_New(Callback, &callback_type);
        callback->call = choose(i, clock, count);
        bits |= events[i].own_bit ? PyLong_AsLong(number) : 0;
        done = PyObject_CallMethod(monitoring, "register_callback", "iOO", TOOL, number, callback);
        Py_DECREF(number);
        Py_DECREF(callback);
    }
    Py_XDECREF(done);
    done = done ? PyObject_CallMethod(monitoring, "set_events", "il", TOOL, bits) : NULL;
    Py_XDECREF(done);
    Py_XDECREF(numbers);
    return done ? 0 : -1;
}

static int clear_hook(void) {
    PyObject *monitoring = PySys_GetObject("monitoring");
    PyObject *done = PyObject_CallMethod(monitoring, "set_events", "ii", TOOL, 0);
    Py_XDECREF(done);
    done = done ? PyObject_CallMethod(monitoring, "free_tool_id", "i", TOOL) : NULL;
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Monitoring covers all threads. */
static PyObject *thread_hook(void) {
    Py_RETURN_NONE;
}

#else

#include <frameobject.h>

static int with_c_calls;

static int empty(PyObject *Py_UNUSED(self), PyFrameObject *Py_UNUSED(frame), int Py_UNUSED(what),
                 PyObject *Py_UNUSED(arg)) {
    return 0;
}

static int clock_only(PyObject *Py_UNUSED(self), PyFrameObject *Py_UNUSED(frame), int what,
                      PyObject *Py_UNUSED(arg)) {
    if (what == PyTrace_CALL || what == PyTrace_RETURN || with_c_calls) {
        sink = read_clock();
    }
    return 0;
}

static int count_calls(PyObject *Py_UNUSED(self), PyFrameObject *Py_UNUSED(frame), int what,
                       PyObject *Py_UNUSED(arg)) {
    python_calls += what == PyTrace_CALL;
    c_calls_seen += with_c_calls && what == PyTrace_C_CALL;
    return 0;
}

static Py_tracefunc hook;

static int set_hook(int clock, int c_calls, int count) {
    with_c_calls = c_calls;
    hook = count ? count_calls : clock ? clock_only : empty;
    PyEval_SetProfile(hook, NULL);
    return 0;
}

static int clear_hook(void) {
    PyEval_SetProfile(NULL, NULL);
    return 0;
}

static PyObject *thread_hook(void) {
    PyEval_SetProfile(hook, NULL);
    Py_RETURN_NONE;
}

#endif

static PyObject *install(PyObject *Py_UNUSED(module), PyObject *args) {
    int clock, c_calls, count;
    if (!PyArg_ParseTuple(args, "ppp", &clock, &c_calls, &count)) {
        return NULL;
    }
    python_calls = c_calls_seen = 0;
    if (set_hook(clock, c_calls, count) != 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* For threading.setprofile on 3.11: puts the C hook in a new thread. */
static PyObject *adopt(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args)) {
    return thread_hook();
}

static PyObject *uninstall(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args)) {
    if (clear_hook() != 0) {
        return NULL;
    }
    return Py_BuildValue("KK", python_calls, c_calls_seen);
}

static PyMethodDef methods[] = {
    {"install", install, METH_VARARGS, NULL},
    {"adopt", adopt, METH_VARARGS, NULL},
    {"remove", uninstall, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "otrace_baseline",
                                    .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit_otrace_baseline(void) {
    return PyModule_Create(&module);
}
