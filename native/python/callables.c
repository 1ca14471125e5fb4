#include "python/callables.h"

#include <stdlib.h>
#include <string.h>

#include "python/texts.h"
#include "record/filter.h"

static PyObject *key_module; /* owned for good */

#define SLOTS_FIRST 1024

struct otrace_callables otrace_callables;
struct otrace_callable otrace_callable_lines[OTRACE_CALLABLE_LINES];
const PyMethodDef *otrace_new_method;

static PyTypeObject *method_wrapper_type; /* not public: taken from a method-wrapper */

struct name {
    struct otrace_held_text module, name;
};

struct otrace_callable_key otrace_callable_key_other(PyObject *callable) {
    PyTypeObject *type = Py_TYPE(callable);
    if (type == &PyMethod_Type) {
        PyObject *function = PyMethod_GET_FUNCTION(callable);
        /* No further: a method of a method is called through its type's slot. */
        return Py_TYPE(function) == &PyMethod_Type
                   ? (struct otrace_callable_key){type, type->tp_name}
                   : otrace_callable_key(function);
    }
    if (PyType_Check(callable)) {
        return otrace_key_of_type((PyTypeObject *)callable);
    }
    if (PyCFunction_Check(callable)) { /* __new__, a builtin method with its class, a subtype */
        PyCFunctionObject *function = (PyCFunctionObject *)callable;
        struct otrace_callable_key key = otrace_key_of_method(function->m_ml);
        if (function->m_ml == otrace_new_method) {
            /* Beside the type's own key, which is its address: objects are 16-byte aligned. */
            key.key = (const char *)function->m_self + 8;
        }
        return key;
    }
    if (type == &PyClassMethodDescr_Type) {
        return otrace_key_of_method(((PyMethodDescrObject *)callable)->d_method);
    }
    if (type == &PyWrapperDescr_Type) {
        const void *base = ((PyWrapperDescrObject *)callable)->d_base;
        return (struct otrace_callable_key){base, PyDescr_TYPE(callable)};
    }
    if (type == method_wrapper_type) {
        PyWrapperDescrObject *descr = ((struct otrace_method_wrapper *)callable)->descr;
        return (struct otrace_callable_key){descr->d_base, PyDescr_TYPE(descr)};
    }
    return otrace_key_of_type(type);
}

/* ---- names ---- */

static struct name name_of_type(PyTypeObject *type) {
    struct name found = {{{"", 0}, NULL}, {otrace_text_literal(type->tp_name), NULL}};
    if (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
        return found; /* tp_name has the module in it: "datetime.timedelta", "list" */
    }
    PyHeapTypeObject *heap = (PyHeapTypeObject *)type;
    PyObject *module =
        type->tp_dict == NULL ? NULL : otrace_dict_get(type->tp_dict, &key_module, "__module__");
    PyErr_Clear();
    found.name = otrace_text_hold(heap->ht_qualname);
    if (module != NULL && PyUnicode_Check(module) &&
        PyUnicode_CompareWithASCIIString(module, "builtins") != 0) {
        found.module = otrace_text_hold(module);
    }
    return found;
}

/* "list" + "append": the text of a type with a member's name behind it, owned by a bytes. */
static struct name name_of_member(PyTypeObject *type, const char *member) {
    struct name found = name_of_type(type);
    size_t size = found.name.text.size + 1 + strlen(member);
    PyObject *joined = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (joined == NULL) {
        PyErr_Clear();
        return found;
    }
    char *out = PyBytes_AS_STRING(joined);
    memcpy(out, found.name.text.data, found.name.text.size);
    out[found.name.text.size] = '.';
    strcpy(out + found.name.text.size + 1, member);
    otrace_text_drop(&found.name);
    found.name.owner = joined;
    found.name.text =
        (struct otrace_text){PyBytes_AS_STRING(joined), (size_t)PyBytes_GET_SIZE(joined)};
    return found;
}

/* The class whose method table holds the definition: list for any subclass's append. */
static PyTypeObject *defining_type(PyTypeObject *type, const PyMethodDef *method) {
    PyObject *mro = type->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        for (const PyMethodDef *def = base->tp_methods; def != NULL && def->ml_name != NULL;
             def++) {
            if (def == method) {
                return base;
            }
        }
    }
    return NULL;
}

/* A method bound to a class is the class's own (dict.fromkeys) or its metaclass's (type.mro). */
static PyTypeObject *owner_of(PyObject *self, const PyMethodDef *method) {
    PyTypeObject *own = PyType_Check(self) ? defining_type((PyTypeObject *)self, method) : NULL;
    PyTypeObject *owner = own != NULL ? own : defining_type(Py_TYPE(self), method);
    if (owner != NULL) {
        return owner;
    }
    return PyType_Check(self) ? (PyTypeObject *)self : Py_TYPE(self);
}

static struct name name_of_function(PyCFunctionObject *function) {
    const PyMethodDef *method = function->m_ml;
    PyObject *self = function->m_self;
    if (self != NULL && !PyModule_Check(self)) {
        return name_of_member(owner_of(self, method), method->ml_name);
    }
    struct name found = {{{"", 0}, NULL}, {otrace_text_literal(method->ml_name), NULL}};
    if (function->m_module != NULL && PyUnicode_Check(function->m_module)) {
        found.module = otrace_text_hold(function->m_module);
    }
    return found;
}

static struct name name_of(PyObject *callable) {
    PyTypeObject *type = Py_TYPE(callable);
    if (type == &PyMethod_Type && Py_TYPE(PyMethod_GET_FUNCTION(callable)) != &PyMethod_Type) {
        return name_of(PyMethod_GET_FUNCTION(callable));
    }
    if (PyCFunction_Check(callable)) {
        return name_of_function((PyCFunctionObject *)callable);
    }
    if (type == &PyMethodDescr_Type || type == &PyClassMethodDescr_Type) {
        return name_of_member(PyDescr_TYPE(callable),
                              ((PyMethodDescrObject *)callable)->d_method->ml_name);
    }
    if (type == &PyWrapperDescr_Type) {
        return name_of_member(PyDescr_TYPE(callable),
                              ((PyWrapperDescrObject *)callable)->d_base->name);
    }
    if (type == method_wrapper_type) {
        PyWrapperDescrObject *descr = ((struct otrace_method_wrapper *)callable)->descr;
        return name_of_member(PyDescr_TYPE(descr), descr->d_base->name);
    }
    return name_of_type(PyType_Check(callable) ? (PyTypeObject *)callable : type);
}

/* ---- the table ---- */

static size_t hash_of(const void *key) {
    return (size_t)(((uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

static struct otrace_callable *slot_for(struct otrace_callables *table, const void *key) {
    size_t at = hash_of(key) & table->mask;
    while (table->slots[at].key.key != NULL && table->slots[at].key.key != key) {
        at = (at + 1) & table->mask;
    }
    return &table->slots[at];
}

static bool grow(struct otrace_callables *table) {
    size_t count = table->slots == NULL ? SLOTS_FIRST : (table->mask + 1) * 2;
    struct otrace_callables larger = {calloc(count, sizeof *larger.slots), count - 1, table->used};
    if (larger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; table->slots != NULL && i <= table->mask; i++) {
        if (table->slots[i].key.key != NULL) {
            *slot_for(&larger, table->slots[i].key.key) = table->slots[i];
        }
    }
    free(table->slots);
    *table = larger;
    return true;
}

static bool recorded(const struct name *name) {
    char modules[512], names[1024];
    snprintf(modules, sizeof modules, "%.*s", (int)name->module.text.size, name->module.text.data);
    snprintf(names, sizeof names, "%.*s", (int)name->name.text.size, name->name.text.data);
    return otrace_filter_c(modules, names);
}

static uint64_t what_of(uint32_t id) {
    otrace_key key = otrace_key_of(id);
    return key & OTRACE_KEY_LONG ? 0 : otrace_what(OTRACE_C_BEGIN, key);
}

static const struct otrace_callable *see(PyObject *callable, struct otrace_callable_key key) {
    static const struct otrace_callable unknown = {.id = OTRACE_NAME_UNKNOWN};
    struct otrace_callables *table = &otrace_callables;
    if (table->used * 4 >= (table->mask + 1) * 3 && !grow(table)) {
        return &unknown;
    }
    struct otrace_callable *slot = slot_for(table, key.key);
    table->used += slot->key.key == NULL;
    struct name name = name_of(callable);
    uint32_t id = otrace_names_add(OTRACE_NAME_C, 0, name.module.text, name.name.text,
                                   (struct otrace_text){"", 0});
    bool excluded = !recorded(&name);
    *slot = (struct otrace_callable){key, excluded ? 0 : what_of(id), id, excluded};
    otrace_text_drop(&name.module);
    otrace_text_drop(&name.name);
    return slot;
}

const struct otrace_callable *otrace_callable_find(PyObject *callable,
                                                   struct otrace_callable_key key) {
    const struct otrace_callable *slot = slot_for(&otrace_callables, key.key);
    if (slot->key.key == NULL || slot->key.check != key.check) {
        slot = see(callable, key);
    }
    if (slot->what != 0) {
        *otrace_callable_line(key.key) = *slot;
    }
    return slot;
}

uint32_t otrace_callable_type_id(PyTypeObject *type) {
    return otrace_callable_find((PyObject *)type, otrace_key_of_type(type))->id;
}

static PyObject *hidden[64]; /* owned; one of a kind */
static size_t hidden_count;

void otrace_callable_hide(PyObject *callable) {
    const void *key = otrace_callable_key(callable).key;
    bool known = false;
    for (size_t i = 0; i < hidden_count && !known; i++) {
        known = otrace_callable_key(hidden[i]).key == key;
    }
    if (!known && hidden_count < sizeof hidden / sizeof *hidden) {
        hidden[hidden_count++] = Py_NewRef(callable);
    }
}

int otrace_functions_publish(PyObject *namespace, PyMethodDef *functions) {
    for (PyMethodDef *def = functions; def->ml_name != NULL; def++) {
        PyObject *function = PyCFunction_New(def, NULL);
        if (function == NULL || PyDict_SetItemString(namespace, def->ml_name, function) != 0) {
            Py_XDECREF(function);
            return -1;
        }
        otrace_callable_hide(function);
        Py_DECREF(function);
    }
    return 0;
}

int otrace_callables_begin(bool filter_changed) {
    struct otrace_callables *table = &otrace_callables;
    if (method_wrapper_type == NULL) {
        PyObject *wrapper = PyObject_GetAttrString(Py_None, "__repr__");
        if (wrapper == NULL) {
            return -1;
        }
        method_wrapper_type = Py_TYPE(wrapper);
        Py_DECREF(wrapper);
        PyObject *new = PyObject_GetAttrString((PyObject *)&PyBaseObject_Type, "__new__");
        if (new != NULL && PyCFunction_Check(new)) {
            otrace_new_method = ((PyCFunctionObject *)new)->m_ml;
        }
        PyErr_Clear();
        Py_XDECREF(new);
    }
    if (table->slots != NULL && filter_changed) {
        memset(table->slots, 0, (table->mask + 1) * sizeof *table->slots);
        memset(otrace_callable_lines, 0, sizeof otrace_callable_lines);
        table->used = 0;
    }
    if (table->slots == NULL && !grow(table)) {
        return -1;
    }
    for (size_t i = 0; i < hidden_count; i++) {
        struct otrace_callable_key key = otrace_callable_key(hidden[i]);
        struct otrace_callable *slot = slot_for(table, key.key);
        table->used += slot->key.key == NULL;
        *slot = (struct otrace_callable){key, 0, OTRACE_NAME_UNKNOWN, 1};
    }
    return 0;
}
