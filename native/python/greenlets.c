#include "python/greenlets.h"

#include <stdio.h>
#include <stdlib.h>

#include "python/callables.h"
#include "python/texts.h"
#include "record/names.h"
#include "record/states.h"

#define OWN_TRACKS 1000u   /* greenlets beyond them go on where others have ended */
#define FRAMES_MOST 4096   /* looked at for a greenlet's first function */
#define FUNCTION_BYTES 200 /* longer names are left out of the greenlet's */

struct place {
    PyObject *object; /* an address only; NULL: free */
    PyObject *weak;   /* owned reference to it, NULL: it takes none */
    struct otrace_thread *state;
};

static struct place *places; /* under the GIL */
static uint32_t capacity, count, last_number;
static bool following;

/* ---- which state is whose ---- */

static bool alive(const struct place *place) {
    const PyObject *weak = place->weak;
    return place->object != NULL && place->state != NULL && otrace_states_owns(place->state) &&
           (weak == NULL || ((const PyWeakReference *)weak)->wr_object == place->object);
}

static struct place *find(struct place *table, uint32_t size, const PyObject *object) {
    uint64_t hash = ((uintptr_t)object >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t at = (uint32_t)(hash >> 32) & (size - 1);
    while (table[at].object != NULL && table[at].object != object) {
        at = (at + 1) & (size - 1);
    }
    return &table[at];
}

/* A table of twice the living, without the dead. */
static bool rebuild(void) {
    uint32_t living = 0, size = 64;
    for (uint32_t i = 0; i < capacity; i++) {
        living += alive(&places[i]);
    }
    while (size < living * 4) {
        size *= 2;
    }
    struct place *table = calloc(size, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < capacity; i++) {
        if (alive(&places[i])) {
            *find(table, size, places[i].object) = places[i];
        } else {
            Py_XDECREF(places[i].weak); /* without a callback: nothing runs */
        }
    }
    free(places);
    places = table;
    capacity = size;
    count = living;
    return true;
}

static struct otrace_thread *state_of(const PyObject *object) {
    const struct place *place = capacity == 0 ? NULL : find(places, capacity, object);
    return place != NULL && alive(place) ? place->state : NULL;
}

static void set_state(PyObject *object, struct otrace_thread *state) {
    PyObject *weak = PyWeakref_NewRef(object, NULL); /* 3.11 may collect, and switch, in here */
    PyErr_Clear();
    if ((uint64_t)count * 2 >= capacity && !rebuild()) {
        Py_XDECREF(weak);
        return;
    }
    struct place *place = find(places, capacity, object);
    count += place->object == NULL;
    Py_XDECREF(place->weak);
    *place = (struct place){object, weak, state};
}

static void forget(const PyObject *object) {
    struct place *place = capacity == 0 ? NULL : find(places, capacity, object);
    if (place != NULL && place->object == object) {
        place->state = NULL;
    }
}

/* ---- names ---- */

/* The code of the first function that runs in the calling greenlet: borrowed, or NULL. */
static PyCodeObject *first_function(void) {
    const struct otrace_running_frame *frame = otrace_running_frame();
    PyCodeObject *first = NULL;
    for (int i = 0; frame != NULL && i < FRAMES_MOST; i++, frame = frame->previous) {
        PyCodeObject *code = otrace_running_code(frame);
        first = code == NULL ? first : code;
    }
    return first;
}

/* `code`: its first function, or NULL. */
static void write_name(const struct otrace_thread *state, const char *what, PyCodeObject *code) {
    char name[32 + FUNCTION_BYTES];
    struct otrace_held_text held = otrace_text_hold(code == NULL ? NULL : code->co_qualname);
    bool named = code != NULL && held.text.size <= FUNCTION_BYTES;
    int size = snprintf(name, sizeof name, "%s%u%s%.*s", what, state->greenlet, named ? ": " : "",
                        named ? (int)held.text.size : 0, held.text.data);
    otrace_names_note(OTRACE_META_THREAD_NAME, state->id, (struct otrace_text){name, (size_t)size},
                      (struct otrace_text){"", 0});
    otrace_text_drop(&held);
}

void otrace_greenlets_started(struct otrace_thread *thread) {
    write_name(thread, thread->shared ? "greenlets from " : "greenlet ",
               thread->shared ? NULL : first_function());
}

/* ---- switches ---- */

/* Whether a greenlet has ended: asked of the library's own type, past what a subclass says. */
static bool is_dead(PyObject *greenlet) {
    static PyObject *name; /* owned for good */
    PyTypeObject *type = Py_TYPE(greenlet);
    while (type->tp_base != NULL && type->tp_base != &PyBaseObject_Type) {
        type = type->tp_base;
    }
    if (name == NULL) {
        name = PyUnicode_InternFromString("dead");
    }
    PyObject *descriptor = name == NULL ? NULL : _PyType_Lookup(type, name);
    descrgetfunc get = descriptor == NULL ? NULL : Py_TYPE(descriptor)->tp_descr_get;
    PyObject *answer = get == NULL ? NULL : get(descriptor, greenlet, (PyObject *)type);
    bool dead = answer == Py_True;
    Py_XDECREF(answer);
    PyErr_Clear();
    return dead;
}

/* The greenlet's state when it runs for the first time; NULL: no memory. An arrow leads to it. */
static struct otrace_thread *start(PyObject *greenlet) {
    struct otrace_flow flow = otrace_thread_flow();
    bool own = ++last_number <= OWN_TRACKS;
    struct otrace_thread *state = own ? NULL : otrace_states_take_again();
    if (state == NULL) {
        state = otrace_states_take_beside();
    } else if (!state->shared) {
        state->shared = true;
        if (state->id != 0) {
            write_name(state, "greenlets from ", NULL);
        }
    }
    if (state != NULL) {
        state->greenlet = state->shared ? state->greenlet : last_number;
        state->arriving = flow;
        state->limit = NULL; /* the next begin tells of it */
        set_state(greenlet, state);
    }
    return state;
}

static void end(struct otrace_thread *state) {
    bool nothing_open = state->id != 0 && state->top == state->stack + 1 && state->pauses == 0;
    if (last_number >= OWN_TRACKS && nothing_open) {
        otrace_states_put_aside(state);
    } else {
        otrace_states_give(state);
    }
}

static void switched(PyObject *from, PyObject *to) {
    struct otrace_thread *now = otrace_thread_self;
    if (!otrace_states_owns(now)) {
        return; /* a fork, and nothing recorded since */
    }
    if (state_of(from) != now) {
        set_state(from, now);
    }
    struct otrace_thread *next = state_of(to);
    next = next == NULL ? start(to) : next;
    if (next != NULL) {
        otrace_thread_self = next;
        if (now->greenlet != 0 && is_dead(from)) {
            forget(from);
            end(now);
        }
    }
}

static PyObject *on_switch(PyObject *previous, PyObject *const *args, Py_ssize_t size) {
    if (following && size == 2 && PyTuple_Check(args[1]) && PyTuple_GET_SIZE(args[1]) == 2) {
        PyObject *type, *value, *trace;
        PyErr_Fetch(&type, &value, &trace);
        switched(PyTuple_GET_ITEM(args[1], 0), PyTuple_GET_ITEM(args[1], 1));
        PyErr_Restore(type, value, trace);
    }
    if (previous != NULL && previous != Py_None) {
        return PyObject_Vectorcall(previous, args, (size_t)size, NULL);
    }
    Py_RETURN_NONE;
}

static PyMethodDef method = {"otrace_on_switch", (PyCFunction)(void (*)(void))on_switch,
                             METH_FASTCALL, NULL};

/* ---- the trace function of a thread ---- */

/* New reference to what `greenlet`'s function of that name gives, or NULL without an exception. */
static PyObject *ask(const char *name, PyObject *argument) {
    static PyObject *module_key; /* owned for good */
    PyObject *module = otrace_dict_get(PyImport_GetModuleDict(), &module_key, "greenlet");
    bool whole = module != NULL && PyModule_Check(module);
    PyObject *function = whole ? PyDict_GetItemString(PyModule_GetDict(module), name) : NULL;
    PyObject *answer = function == NULL || !PyCFunction_Check(function) ? NULL
                       : argument == NULL ? PyObject_CallNoArgs(function)
                                          : PyObject_CallOneArg(function, argument);
    PyErr_Clear();
    return answer;
}

static bool is_ours(PyObject *function) {
    return PyCFunction_CheckExact(function) && ((PyCFunctionObject *)function)->m_ml == &method;
}

void otrace_greenlets_follow(void) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *before = ask("gettrace", NULL);
    if (before != NULL && !is_ours(before)) {
        PyObject *ours = PyCFunction_New(&method, before);
        if (ours != NULL) {
            otrace_callable_hide(ours);
            Py_XDECREF(ask("settrace", ours));
        }
        Py_XDECREF(ours);
    }
    following = true;
    Py_XDECREF(before);
    PyErr_Restore(type, value, trace);
}

void otrace_greenlets_begin_recording(void) {
    for (uint32_t i = 0; i < capacity; i++) {
        Py_XDECREF(places[i].weak);
    }
    free(places);
    places = NULL;
    capacity = count = last_number = 0;
    following = false;
    otrace_states_go_home();
}

void otrace_greenlets_end_recording(void) {
    PyObject *now = following ? ask("gettrace", NULL) : NULL;
    following = false; /* those of other threads only call the earlier ones from now on */
    if (now != NULL && is_ours(now)) {
        Py_XDECREF(ask("settrace", PyCFunction_GET_SELF(now)));
    }
    Py_XDECREF(now);
}
