/* C callables: which name a called object has, found by what it is, not by its address alone. */
#ifndef OTRACE_CALLABLES_H
#define OTRACE_CALLABLES_H

#include "python/compat.h"
#include "record/thread.h"

/* What identifies a C callable: its method definition, slot or type. Definitions and types are
 * freed and their addresses used again, so the pointer to their name is kept with the key. */
struct otrace_callable_key {
    const void *key; /* NULL: the callee is a Python function, no C call */
    const void *check;
};

struct otrace_callable {
    struct otrace_callable_key key;
    uint64_t what; /* of its begin; 0: excluded, or its key is a long one */
    uint32_t id;
    uint32_t excluded;
};

struct otrace_callables {
    struct otrace_callable *slots; /* open addressing; a power of two of them */
    size_t mask, used;
};

extern struct otrace_callables otrace_callables __attribute__((visibility("hidden")));

/* In front of the table: the callables of the last while, one a line. */
#define OTRACE_CALLABLE_LINES 256
extern struct otrace_callable otrace_callable_lines[OTRACE_CALLABLE_LINES]
    __attribute__((visibility("hidden")));

static inline struct otrace_callable *otrace_callable_line(const void *key) {
    return &otrace_callable_lines[((uintptr_t)key >> 5) % OTRACE_CALLABLE_LINES];
}

static inline struct otrace_callable_key otrace_key_of_method(const PyMethodDef *method) {
    return (struct otrace_callable_key){method, method->ml_name};
}

/* The one definition behind the __new__ of every C type: it does not tell them apart. */
extern const PyMethodDef *otrace_new_method __attribute__((visibility("hidden")));

/* The rare kinds, out of line. */
struct otrace_callable_key otrace_callable_key_other(PyObject *callable);

/* Classes made at run time share a plain name: their qualified one tells them apart. */
static inline struct otrace_callable_key otrace_key_of_type(PyTypeObject *type) {
    const void *check = PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)
                            ? (const void *)((PyHeapTypeObject *)type)->ht_qualname
                            : type->tp_name;
    return (struct otrace_callable_key){type, check};
}

static inline struct otrace_callable_key otrace_callable_key(PyObject *callable) {
    PyTypeObject *type = Py_TYPE(callable);
    if (type == &PyFunction_Type) {
        return (struct otrace_callable_key){NULL, NULL};
    }
    if (type == &PyCFunction_Type) {
        const PyMethodDef *method = ((PyCFunctionObject *)callable)->m_ml;
        return __builtin_expect(method != otrace_new_method, 1)
                   ? otrace_key_of_method(method)
                   : otrace_callable_key_other(callable);
    }
    if (type == &PyMethodDescr_Type) {
        return otrace_key_of_method(((PyMethodDescrObject *)callable)->d_method);
    }
    if (type == &PyType_Type) {
        return otrace_key_of_type((PyTypeObject *)callable);
    }
    return otrace_callable_key_other(callable);
}

/* The entry of a callable that its line does not hold; made at first sight, or where an address
 * has become something else. Never NULL. `key.key` must not be NULL. Needs the GIL, never raises.
 */
const struct otrace_callable *otrace_callable_find(PyObject *callable,
                                                   struct otrace_callable_key key);

/* The name id of a type, as a call of it would have. */
uint32_t otrace_callable_type_id(PyTypeObject *type);

/* Once a recording: the table is made, or forgotten where the filter has changed.
 * Returns 0 or -1. */
int otrace_callables_begin(bool filter_changed);

/* Calls of this function (otrace's own) are never recorded. */
void otrace_callable_hide(PyObject *callable);

/* Puts functions of otrace's own into `namespace`, hidden. Returns 0, or -1 with an exception. */
int otrace_functions_publish(PyObject *namespace, PyMethodDef *functions);

#endif
