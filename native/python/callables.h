/* C callables: which name a called object has, found by what it is, not by its address alone. */
#ifndef OTRACE_CALLABLES_H
#define OTRACE_CALLABLES_H

#include "python/compat.h"

/* What identifies a C callable: its method definition, slot or type. Definitions and types are
 * freed and their addresses used again, so two fields of what is there are kept with the key. */
struct otrace_callable_key {
    const void *key; /* NULL: the callee is a Python function, no C call */
    const void *check1, *check2;
};

struct otrace_callable {
    struct otrace_callable_key key;
    uint32_t id;
    uint32_t excluded;
};

struct otrace_callables {
    struct otrace_callable *slots; /* open addressing; a power of two of them */
    size_t mask, used;
};

extern struct otrace_callables otrace_callables __attribute__((visibility("hidden")));

static inline struct otrace_callable_key otrace_key_of_method(const PyMethodDef *method) {
    return (struct otrace_callable_key){method, method->ml_name, (const void *)method->ml_meth};
}

/* The one definition behind the __new__ of every C type: it does not tell them apart. */
extern const PyMethodDef *otrace_new_method __attribute__((visibility("hidden")));

/* The rare kinds, out of line. */
struct otrace_callable_key otrace_callable_key_other(PyObject *callable);

static inline struct otrace_callable_key otrace_callable_key(PyObject *callable) {
    PyTypeObject *type = Py_TYPE(callable);
    if (type == &PyFunction_Type) {
        return (struct otrace_callable_key){NULL, NULL, NULL};
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
    return otrace_callable_key_other(callable);
}

static inline size_t otrace_callable_hash(const void *key) {
    return (size_t)(((uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* First sight, or an address that has become something else. */
const struct otrace_callable *otrace_callable_see(PyObject *callable) __attribute__((cold));

/* Never NULL; `key.key` must not be. Needs the GIL, never raises. */
static inline const struct otrace_callable *otrace_callable_find(PyObject *callable,
                                                                 struct otrace_callable_key key) {
    const struct otrace_callables *table = &otrace_callables;
    size_t at = otrace_callable_hash(key.key) & table->mask;
    for (;;) {
        const struct otrace_callable *slot = &table->slots[at];
        if (__builtin_expect(slot->key.key == key.key, 1)) {
            if (__builtin_expect(slot->key.check1 == key.check1 && slot->key.check2 == key.check2,
                                 1)) {
                return slot;
            }
            return otrace_callable_see(callable);
        }
        if (slot->key.key == NULL) {
            return otrace_callable_see(callable);
        }
        at = (at + 1) & table->mask;
    }
}

/* The name id of a type, as a call of it would have. */
uint32_t otrace_callable_type_id(PyTypeObject *type);

/* Once a recording: the table is made, or forgotten where the filter has changed.
 * Returns 0 or -1. */
int otrace_callables_begin(bool filter_changed);

/* Calls of this function (otrace's own) are never recorded. */
void otrace_callable_hide(PyObject *callable);

#endif
