#include "python/events.h"

#include "python/attributes.h"
#include "python/callables.h"
#include "python/hook.h"
#include "python/texts.h"
#include "record/recorder.h"

static PyObject *decorate_helper; /* owned */
static _Atomic uint32_t next_instance = 1;

static inline bool recording(void) {
    return otrace_recorder.recording;
}

/* The arguments that all three share: (name, attributes=None, /, **attributes). */
struct arguments {
    PyObject *name, *mapping; /* borrowed */
    PyObject *const *values;  /* of the keywords */
    PyObject *keywords;       /* tuple of names, or NULL */
};

static bool parse(const char *function, PyObject *const *args, Py_ssize_t count, PyObject *keywords,
                  struct arguments *parsed) {
    if (count < 1 || count > 2 || !PyUnicode_Check(args[0])) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes a name (str) and an optional mapping of attributes; give other "
                     "attributes by keyword",
                     function);
        return false;
    }
    *parsed = (struct arguments){args[0], count == 2 ? args[1] : NULL, args + count, keywords};
    return true;
}

static void add_arguments(struct otrace_payload *payload, const struct arguments *parsed) {
    otrace_payload_add_all(payload, parsed->mapping);
    Py_ssize_t count = parsed->keywords == NULL ? 0 : PyTuple_GET_SIZE(parsed->keywords);
    for (Py_ssize_t i = 0; i < count; i++) {
        otrace_payload_add(payload, PyTuple_GET_ITEM(parsed->keywords, i), parsed->values[i]);
    }
}

/* A name that found no place in the table of names goes with the record itself. */
static void put_name(struct otrace_payload *payload, PyObject *name) {
    uint32_t id = otrace_text_id(name);
    otrace_payload_word(payload, id);
    if (id == OTRACE_NAME_UNKNOWN) {
        PyObject *key = PyUnicode_FromString("otrace.name");
        if (key != NULL) {
            otrace_payload_add(payload, key, name);
        }
        PyErr_Clear();
        Py_XDECREF(key);
    }
}

static void write_payload(enum otrace_extended sub, uint32_t flags,
                          const struct otrace_payload *payload) {
    otrace_thread_write(sub, flags, payload->words, payload->used);
    if (payload->cut && otrace_recorder.segment.header != NULL) {
        atomic_fetch_add_explicit(&otrace_recorder.segment.header->dropped_too_big, 1,
                                  memory_order_relaxed);
    }
}

/* ---- spans with a body ---- */

typedef struct {
    PyObject_HEAD PyObject *name; /* owned */
    PyObject *mapping;            /* owned: all attributes given at the start, or NULL */
    PyObject *later;              /* owned dict: what set() was given, or NULL */
    uint32_t instance;            /* 0: its body is not being recorded */
} Event;

static PyTypeObject event_type;

/* New dict, or NULL: with an exception set when the program was interrupted, else nothing to tell.
 */
static PyObject *merge(PyObject *mapping, PyObject *const *values, PyObject *keywords) {
    Py_ssize_t count = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);
    if (count == 0 && (mapping == NULL || mapping == Py_None)) {
        return NULL;
    }
    PyObject *merged = PyDict_New();
    if (merged != NULL && mapping != NULL && mapping != Py_None &&
        PyDict_Update(merged, mapping) != 0) {
        if (otrace_interrupted()) {
            Py_DECREF(merged);
            return NULL;
        }
        /* No mapping: what can be told is its repr. */
        PyDict_SetItemString(merged, "attributes", mapping);
    }
    for (Py_ssize_t i = 0; merged != NULL && i < count; i++) {
        PyDict_SetItem(merged, PyTuple_GET_ITEM(keywords, i), values[i]);
    }
    PyErr_Clear();
    return merged;
}

static PyObject *log_event(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count,
                           PyObject *keywords) {
    struct arguments parsed;
    if (!parse("log_event", args, count, keywords, &parsed)) {
        return NULL;
    }
    Event *event = PyObject_New(Event, &event_type);
    if (event != NULL) {
        event->name = Py_NewRef(parsed.name);
        event->mapping = merge(parsed.mapping, parsed.values, keywords);
        event->later = NULL;
        event->instance = 0;
        if (event->mapping == NULL && PyErr_Occurred()) {
            Py_CLEAR(event);
        }
    }
    return (PyObject *)event;
}

static PyObject *event_enter(PyObject *self, PyObject *Py_UNUSED(none)) {
    Event *event = (Event *)self;
    if (recording() && event->instance == 0) {
        struct otrace_payload payload;
        otrace_payload_begin(&payload);
        event->instance =
            atomic_fetch_add_explicit(&next_instance, 1, memory_order_relaxed) & 0x7fffffffu;
        otrace_payload_word(&payload, event->instance);
        put_name(&payload, event->name);
        otrace_payload_add_all(&payload, event->mapping);
        if (payload.interrupted) { /* the body will not run */
            event->instance = 0;
            return NULL;
        }
        write_payload(OTRACE_X_EVENT_BEGIN, 0, &payload);
    }
    return Py_NewRef(self);
}

static PyObject *event_exit(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    Event *event = (Event *)self;
    bool interrupted = false;
    if (event->instance != 0) {
        struct otrace_payload payload;
        otrace_payload_begin(&payload);
        otrace_payload_word(&payload, event->instance);
        bool raised = count > 0 && PyType_Check(args[0]);
        otrace_payload_word(&payload,
                            raised ? otrace_callable_type_id((PyTypeObject *)args[0]) : 0);
        otrace_payload_add_all(&payload, event->later);
        event->instance = 0;
        write_payload(OTRACE_X_EVENT_END, 0, &payload);
        interrupted = payload.interrupted;
    }
    Py_CLEAR(event->later);
    return interrupted ? NULL : Py_NewRef(Py_False); /* the body's exception passes on */
}

static PyObject *event_set(PyObject *self, PyObject *const *args, Py_ssize_t count,
                           PyObject *keywords) {
    Event *event = (Event *)self;
    if (count > 1) {
        PyErr_SetString(PyExc_TypeError,
                        "set() takes at most one mapping; give other attributes by keyword");
        return NULL;
    }
    if (event->instance != 0) {
        PyObject *merged = merge(count == 1 ? args[0] : NULL, args + count, keywords);
        if (merged != NULL && event->later != NULL) {
            PyDict_Update(event->later, merged);
            Py_DECREF(merged);
        } else if (merged != NULL) {
            event->later = merged;
        }
        if (otrace_interrupted()) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *event_call(PyObject *self, PyObject *args, PyObject *keywords) {
    PyObject *function;
    if (keywords != NULL && PyDict_GET_SIZE(keywords) > 0) {
        PyErr_SetString(PyExc_TypeError, "an event used as a decorator takes one function");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O:log_event", &function)) {
        return NULL;
    }
    return PyObject_CallFunctionObjArgs(decorate_helper, self, function, NULL);
}

/* A new event of the same name and attributes: each call of a decorated function needs its own. */
static PyObject *event_again(PyObject *self, PyObject *Py_UNUSED(none)) {
    Event *event = (Event *)self;
    Event *again = PyObject_New(Event, &event_type);
    if (again != NULL) {
        again->name = Py_NewRef(event->name);
        again->mapping = Py_XNewRef(event->mapping);
        again->later = NULL;
        again->instance = 0;
    }
    return (PyObject *)again;
}

static void event_dealloc(PyObject *self) {
    Event *event = (Event *)self;
    Py_XDECREF(event->name);
    Py_XDECREF(event->mapping);
    Py_XDECREF(event->later);
    PyObject_Free(self);
}

static PyMethodDef event_methods[] = {
    {"__enter__", event_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))event_exit, METH_FASTCALL, NULL},
    {"set", (PyCFunction)(void (*)(void))event_set, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("set(attributes=None, /, **attributes)\n--\n\nAdds attributes to the event.")},
    {"_again", event_again, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject event_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "otrace.Event",
    .tp_doc = PyDoc_STR("A span with a body; made by log_event()."),
    .tp_basicsize = sizeof(Event),
    .tp_dealloc = event_dealloc,
    .tp_call = event_call,
    .tp_methods = event_methods,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

/* ---- markers and numbers ---- */

static int scope_of(PyObject *value, uint32_t *scope) {
    static const char *const names[] = {"thread", "process", "global"};
    for (uint32_t i = 0; i < 3; i++) {
        if (PyUnicode_Check(value) && PyUnicode_CompareWithASCIIString(value, names[i]) == 0) {
            *scope = i;
            return 0;
        }
    }
    PyErr_SetString(PyExc_ValueError, "scope is one of 'thread', 'process' and 'global'");
    return -1;
}

static PyObject *log_instant(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count,
                             PyObject *keywords) {
    struct arguments parsed;
    uint32_t scope = OTRACE_SCOPE_THREAD;
    if (!parse("log_instant", args, count, keywords, &parsed)) {
        return NULL;
    }
    Py_ssize_t named = keywords == NULL ? 0 : PyTuple_GET_SIZE(keywords);
    Py_ssize_t scope_at = -1;
    for (Py_ssize_t i = 0; i < named; i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, i), "scope") == 0) {
            scope_at = i;
            if (scope_of(parsed.values[i], &scope) != 0) {
                return NULL;
            }
        }
    }
    if (!recording()) {
        Py_RETURN_NONE;
    }
    struct otrace_payload payload;
    otrace_payload_begin(&payload);
    put_name(&payload, parsed.name);
    otrace_payload_add_all(&payload, parsed.mapping);
    for (Py_ssize_t i = 0; i < named; i++) {
        if (i != scope_at) {
            otrace_payload_add(&payload, PyTuple_GET_ITEM(keywords, i), parsed.values[i]);
        }
    }
    write_payload(OTRACE_X_INSTANT, scope, &payload);
    return payload.interrupted ? NULL : Py_NewRef(Py_None);
}

static PyObject *log_counter(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count,
                             PyObject *keywords) {
    struct arguments parsed;
    if (!parse("log_counter", args, count, keywords, &parsed)) {
        return NULL;
    }
    if (recording()) {
        struct otrace_payload payload;
        otrace_payload_begin(&payload);
        put_name(&payload, parsed.name);
        add_arguments(&payload, &parsed);
        write_payload(OTRACE_X_COUNTER, 0, &payload);
        if (payload.interrupted) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *pause_thread(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) {
    otrace_thread_pause();
    Py_RETURN_NONE;
}

static PyObject *resume_thread(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) {
    otrace_thread_resume();
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"log_event", (PyCFunction)(void (*)(void))log_event, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR(
         "log_event(name, attributes=None, /, **attributes)\n--\n\n"
         "A span around a with statement's body, or a decorator of a function. Costs next to "
         "nothing\nwhile nothing records. An exception in the body is recorded and passes on.")},
    {"log_instant", (PyCFunction)(void (*)(void))log_instant, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("log_instant(name, attributes=None, /, *, scope='thread', **attributes)\n--\n\n"
               "A marker at this moment; scope is 'thread', 'process' or 'global'.")},
    {"log_counter", (PyCFunction)(void (*)(void))log_counter, METH_FASTCALL | METH_KEYWORDS,
     PyDoc_STR("log_counter(name, attributes=None, /, **attributes)\n--\n\n"
               "Numbers at this moment, one series for each attribute.")},
    {"pause_thread", pause_thread, METH_NOARGS, NULL},
    {"resume_thread", resume_thread, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static void hide_methods(void) {
    for (PyMethodDef *def = event_methods; def->ml_name != NULL; def++) {
        PyObject *method = PyDict_GetItemString(event_type.tp_dict, def->ml_name);
        if (method != NULL) {
            otrace_callable_hide(method);
        }
    }
}

int otrace_events_publish(PyObject *namespace, PyObject *decorate) {
    if (PyType_Ready(&event_type) != 0 || otrace_functions_publish(namespace, functions) != 0) {
        return -1;
    }
    hide_methods();
    Py_XSETREF(decorate_helper, Py_NewRef(decorate));
    return PyDict_SetItemString(namespace, "Event", (PyObject *)&event_type);
}
