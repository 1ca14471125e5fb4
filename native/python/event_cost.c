/* An empty Python function is called often, before the hook is there and after: the difference is
 * what its events cost, with all that the interpreter does for them. Caches are warm and branches
 * foreseen here: in programs (benchmarks/workloads) an event costs 1.25 to 1.5 times as much. */
#include "python/event_cost.h"

#include "python/compat.h"
#include "python/functions.h"
#include "record/recorder.h"

#define FOUR "empty();empty();empty();empty();"
#define CALLS 64u
#define EVENTS (2 * (CALLS + 1))
#define ROUNDS 16
#define WORDS 1024u
#define UNKNOWN_NS 60u /* without a counter, where each event reads the system's clock */

static const char source[] = "def empty(): pass\n"
                             "def calls():\n " FOUR FOUR FOUR FOUR FOUR FOUR FOUR FOUR FOUR FOUR
                                 FOUR FOUR FOUR FOUR FOUR FOUR "\n";

static PyObject *names; /* owned, until the end or the next begin: the two functions */
static uint64_t plain;  /* ticks without the hook */

/* Ticks of all calls, at best; UINT64_MAX: they cannot be made. What they record, and signal
 * handlers and finalizers that run among them, goes to `scratch`. */
static uint64_t measure(struct otrace_thread *scratch, otrace_word *words,
                        struct otrace_open *stack) {
    PyObject *calls = PyDict_GetItemString(names, "calls"); /* borrowed */
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < ROUNDS && otrace_thread_self == scratch; round++) {
        scratch->cursor = words;
        scratch->top = stack + 1;
        uint64_t start = scratch->last_tick = otrace_clock_counter();
        PyObject *done = PyObject_CallNoArgs(calls);
        uint64_t took = otrace_clock_counter() - start;
        if (done == NULL) {
            return UINT64_MAX;
        }
        Py_DECREF(done);
        best = took < best ? took : best;
    }
    return best;
}

static uint64_t measure_aside(void) {
    static otrace_word words[WORDS];
    static struct otrace_open stack[WORDS + 1];
    struct otrace_thread scratch = {.stack = stack, .stack_end = stack + WORDS + 1};
    struct otrace_thread *own = otrace_thread_self;
    bool recording = otrace_recorder.recording;
    scratch.limit = words + WORDS - 1;
    otrace_recorder.recording = false; /* the slow path does nothing */
    otrace_thread_self = &scratch;
    uint64_t best = measure(&scratch, words, stack);
    otrace_thread_self = own;
    otrace_recorder.recording = recording;
    return best;
}

static void keep_interrupt(void) {
    if (PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        PyErr_SetInterrupt(); /* the program's */
    }
    PyErr_Clear();
}

void otrace_event_cost_begin(void) {
    Py_CLEAR(names); /* of a recording that got no such hook */
    if (!otrace_clock_has_counter()) {
        return;
    }
    PyObject *code = Py_CompileString(source, "<otrace>", Py_file_input);
    names = PyDict_New();
    PyObject *done = NULL;
    if (code != NULL && names != NULL) {
        done = PyEval_EvalCode(code, names, names);
    }
    plain = done == NULL ? UINT64_MAX : measure_aside();
    keep_interrupt();
    Py_XDECREF(done);
    Py_XDECREF(code);
}

/* The probes are known already, by no name of their own: nothing of them is written. */
static bool tag_probe(const char *name) {
    PyObject *function = PyDict_GetItemString(names, name); /* borrowed */
    uint64_t tag = otrace_tags.generation << 32 | otrace_key_of(OTRACE_NAME_UNKNOWN);
    return otrace_code_set_extra(PyFunction_GET_CODE(function), otrace_tags.index,
                                 (uintptr_t)tag) == 0;
}

uint64_t otrace_event_cost_end(void) {
    if (names == NULL || plain == UINT64_MAX || !tag_probe("empty") || !tag_probe("calls")) {
        keep_interrupt();
        Py_CLEAR(names);
        return UNKNOWN_NS;
    }
    uint64_t hooked = measure_aside();
    keep_interrupt();
    Py_CLEAR(names);
    if (hooked == UINT64_MAX || hooked < plain + EVENTS) {
        return hooked == UINT64_MAX ? UNKNOWN_NS : 1;
    }
    return (hooked - plain) * 3 / 2 / EVENTS;
}
