#include "python/contexts.h"

#include "python/callables.h"
#include "python/hook.h"
#include "python/spans.h"
#include "record/recorder.h"

bool otrace_contexts_watched;

static PyObject *variable; /* owned: OpenTelemetry's context variable; its value is a dict */
static PyObject *span_key; /* owned: of the current span in it */

/* The id of a span object (borrowed); 0 when it has none. */
static uint64_t id_of(PyObject *span) {
    static PyObject *attribute; /* owned for good */
    if (attribute == NULL) {
        attribute = PyUnicode_InternFromString("_context");
    }
    PyObject *context = attribute == NULL ? NULL : PyObject_GetAttr(span, attribute);
    uint64_t id = 0;
    /* A SpanContext is a tuple of trace id, span id, and more. */
    if (context != NULL && PyTuple_Check(context) && PyTuple_GET_SIZE(context) > 1 &&
        PyLong_Check(PyTuple_GET_ITEM(context, 1))) {
        id = PyLong_AsUnsignedLongLongMask(PyTuple_GET_ITEM(context, 1));
    }
    Py_XDECREF(context);
    return id;
}

static uint64_t current_span(void) {
    PyObject *context = NULL;
    uint64_t id = 0;
    if (variable != NULL && PyContextVar_Get(variable, NULL, &context) == 0 && context != NULL) {
        PyObject *span = PyDict_Check(context) ? PyDict_GetItemWithError(context, span_key) : NULL;
        id = span == NULL ? 0 : id_of(span);
    }
    Py_XDECREF(context);
    PyErr_Clear();
    return id;
}

void otrace_context_changed(const PyThreadState *state, bool beginning) {
    struct otrace_thread *thread = otrace_thread_self;
    if (thread->id == 0) {
        thread = otrace_thread_register(beginning);
    }
    if (thread != NULL) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        thread->context_version = state->context_ver;
        otrace_thread_set_span(thread, current_span());
        PyErr_Restore(type, value, trace);
    }
}

static PyObject *watch_context(PyObject *Py_UNUSED(module), PyObject *args) {
    PyObject *new_variable, *new_key;
    if (!PyArg_ParseTuple(args, "OO:watch_context", &new_variable, &new_key)) {
        return NULL;
    }
    bool watched = PyContextVar_CheckExact(new_variable) && PyUnicode_Check(new_key);
    Py_XSETREF(variable, watched ? Py_NewRef(new_variable) : NULL);
    Py_XSETREF(span_key, watched ? Py_NewRef(new_key) : NULL);
    otrace_contexts_watched = watched;
    if (otrace_hook_watch() != 0) {
        return NULL;
    }
    return PyBool_FromLong(watched);
}

/* What changes_context() makes: `self` is the function that it stands for. */
static PyObject *changing(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    PyObject *result = PyObject_Vectorcall(self, args, (size_t)count, NULL);
    struct otrace_thread *thread = otrace_thread_self;
    if (thread->id != 0) {
        thread->context_version = 0; /* look again at the next call */
    }
    return result;
}

static PyMethodDef changing_method = {"otrace_changing", (PyCFunction)(void (*)(void))changing,
                                      METH_FASTCALL, NULL};

static PyObject *changes_context(PyObject *Py_UNUSED(module), PyObject *function) {
    PyObject *changing_function = PyCFunction_New(&changing_method, function);
    if (changing_function != NULL) {
        otrace_callable_hide(changing_function);
    }
    return changing_function;
}

static PyObject *note_span(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count) {
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "note_span() takes a span id and a trace id in halves");
        return NULL;
    }
    otrace_word payload[6];
    for (int i = 0; i < 3; i++) {
        uint64_t number = PyLong_AsUnsignedLongLongMask(args[i]);
        payload[2 * i] = (otrace_word)number;
        payload[2 * i + 1] = (otrace_word)(number >> 32);
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (otrace_recorder.recording) {
        otrace_thread_write(OTRACE_X_SPAN_BEGIN, 0, payload, 6);
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"watch_context", watch_context, METH_VARARGS, NULL},
    {"changes_context", changes_context, METH_O, NULL},
    {"note_span", (PyCFunction)(void (*)(void))note_span, METH_FASTCALL, NULL},
    {"note_span_end", (PyCFunction)(void (*)(void))otrace_note_span_end, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

int otrace_contexts_publish(PyObject *namespace) {
    return otrace_functions_publish(namespace, functions);
}
