/* Every difference between CPython 3.11 and 3.15 that the hooks meet, in one place. */
#ifndef OTRACE_COMPAT_H
#define OTRACE_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#define OTRACE_HAS_MONITORING (PY_VERSION_HEX >= 0x030c0000)

#if PY_VERSION_HEX >= 0x030c0000
#define OTRACE_CODE_SET_EXTRA PyUnstable_Code_SetExtra
#define OTRACE_REQUEST_CODE_EXTRA PyUnstable_Eval_RequestCodeExtraIndex
#else
#define OTRACE_CODE_SET_EXTRA _PyCode_SetExtra
#define OTRACE_REQUEST_CODE_EXTRA _PyEval_RequestCodeExtraIndex
#endif

#if PY_VERSION_HEX >= 0x030d0000
#define OTRACE_THREAD_STATE PyThreadState_GetUnchecked
#else
#define OTRACE_THREAD_STATE _PyThreadState_UncheckedGet
#endif

/* The layout behind PyCodeObject.co_extra, the same in 3.11 to 3.15. Reading it in place saves a
 * function call in each callback. */
struct otrace_code_extra {
    Py_ssize_t size;
    void *extras[];
};

static inline uintptr_t otrace_code_extra(PyObject *code, Py_ssize_t index) {
    const struct otrace_code_extra *extra =
        (const struct otrace_code_extra *)((PyCodeObject *)code)->co_extra;
    return __builtin_expect(extra != NULL && extra->size > index, 1)
               ? (uintptr_t)extra->extras[index]
               : 0;
}

/* Stores `value` in the slot. The interpreter's own setter makes room for every user of co_extra,
 * and when the code dies each one's free function is called, also with nothing to free: others
 * would hear of all code, and some for the first time of NULL. So new room ends with our slot.
 * Returns 0, or -1 with an exception set. */
static inline int otrace_code_set_extra(PyObject *code, Py_ssize_t index, uintptr_t value) {
#ifndef Py_GIL_DISABLED
    void **place = &((PyCodeObject *)code)->co_extra;
    if (*place == NULL) {
        size_t slots = (size_t)index + 1;
        struct otrace_code_extra *extra =
            (struct otrace_code_extra *)PyMem_Calloc(1, sizeof *extra + slots * sizeof(void *));
        if (extra == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        extra->size = (Py_ssize_t)slots;
        *place = extra;
    }
#endif
    return OTRACE_CODE_SET_EXTRA(code, index, (void *)value);
}

/* The same for a slot that has a value: the interpreter's setter would take the value for gone, and
 * call the free function. */
static inline void otrace_code_change_extra(PyObject *code, Py_ssize_t index, uintptr_t value) {
    struct otrace_code_extra *extra = (struct otrace_code_extra *)((PyCodeObject *)code)->co_extra;
    extra->extras[index] = (void *)value;
}

/* A method-wrapper ([].__len__): CPython keeps the struct private, unchanged since 2.2. */
struct otrace_method_wrapper {
    PyObject_HEAD PyWrapperDescrObject *descr;
    PyObject *self;
};

/* What the interpreter runs (pycore_frame.h), read in place: a suspended call's frame is known by
 * its address, what it was resumed by is the frame before it, and arguments are its first locals.
 */
struct otrace_running_frame {
#if PY_VERSION_HEX < 0x030c0000
    PyFunctionObject *f_func;
    PyObject *f_globals, *f_builtins, *f_locals;
    PyCodeObject *code;
    PyFrameObject *frame_obj;
    const struct otrace_running_frame *previous;
    void *instruction;
    int stacktop;
    bool is_entry;
    char owner;
#else
    uintptr_t code; /* or None where C code called; since 3.14 with tags in the lowest bits */
    const struct otrace_running_frame *previous;
    uintptr_t function;
    PyObject *f_globals, *f_builtins, *f_locals;
    PyFrameObject *frame_obj;
    void *instruction;
#if PY_VERSION_HEX < 0x030e0000
    int stacktop;
#else
    void *stack_pointer;
#ifdef Py_GIL_DISABLED
    int32_t tlbc_index;
#endif
#endif
    uint16_t return_offset;
    char owner;
#if PY_VERSION_HEX >= 0x030e0000
    uint8_t visited;
#endif
#endif
    uintptr_t locals[1]; /* tagged as `code` is */
};

static inline const struct otrace_running_frame *otrace_running_frame_of(PyThreadState *thread) {
#if PY_VERSION_HEX < 0x030d0000
    return (const struct otrace_running_frame *)thread->cframe->current_frame;
#else
    return (const struct otrace_running_frame *)thread->current_frame;
#endif
}

static inline const struct otrace_running_frame *otrace_running_frame(void) {
    return otrace_running_frame_of(PyThreadState_Get());
}

/* An argument that the Python function that begins now has (co_argcount): borrowed, or NULL. */
static inline PyObject *otrace_frame_argument(size_t index) {
    const struct otrace_running_frame *frame = otrace_running_frame();
    return frame == NULL ? NULL : (PyObject *)(frame->locals[index] & ~UINT64_C(3));
}

/* What a frame runs, borrowed; NULL: C code entered the interpreter there, which 3.12 gives a code
 * object of its own to (pycore_frame.h: FRAME_OWNED_BY_CSTACK). */
static inline PyCodeObject *otrace_running_code(const struct otrace_running_frame *frame) {
#if PY_VERSION_HEX >= 0x030c0000 && PY_VERSION_HEX < 0x030d0000
    if (frame->owner == 3) {
        return NULL;
    }
#endif
    PyObject *code = (PyObject *)((uintptr_t)frame->code & ~UINT64_C(3));
    return code != NULL && PyCode_Check(code) ? (PyCodeObject *)code : NULL;
}

/* The code that the interpreter came to `frame` from, if it has one of these flags: borrowed. */
static inline PyObject *otrace_frame_async_caller(const struct otrace_running_frame *frame,
                                                  int flags) {
    const struct otrace_running_frame *previous = frame == NULL ? NULL : frame->previous;
    PyCodeObject *code = previous == NULL ? NULL : otrace_running_code(previous);
    return code != NULL && code->co_flags & flags ? (PyObject *)code : NULL;
}

#if PY_VERSION_HEX < 0x030c0000
/* The first fields of 3.11's frame objects (pycore_frame.h): the profile hook asks for the code of
 * one at every event, and of a generator's for its instruction. */
struct otrace_frame {
    PyObject_HEAD PyFrameObject *f_back;
    const struct otrace_running_frame *f_frame;
};
#endif

/* The code that a frame runs; borrowed from the frame. */
static inline PyCodeObject *otrace_frame_code(PyFrameObject *frame) {
#if PY_VERSION_HEX < 0x030c0000
    return ((const struct otrace_frame *)frame)->f_frame->code;
#else
    PyCodeObject *code = PyFrame_GetCode(frame);
    Py_DECREF(code); /* never the last reference: the frame holds one */
    return code;
#endif
}

/* A dict's item by a name that is made once: PyDict_GetItemString would make it each time and
 * complain on stderr when memory runs out. Borrowed; NULL without an exception. */
static inline PyObject *otrace_dict_get(PyObject *dict, PyObject **key, const char *name) {
    if (*key == NULL) {
        *key = PyUnicode_InternFromString(name);
    }
    PyObject *item = *key == NULL ? NULL : PyDict_GetItemWithError(dict, *key);
    if (item == NULL) {
        PyErr_Clear();
    }
    return item;
}

/* A frame's local variable as a new reference; NULL without an exception when it has none. */
static inline PyObject *otrace_frame_local(PyFrameObject *frame, const char *name) {
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *value = PyFrame_GetVarString(frame, name);
#else
    PyObject *locals = PyFrame_GetLocals(frame);
    PyObject *value = locals == NULL ? NULL : PyMapping_GetItemString(locals, name);
    Py_XDECREF(locals);
#endif
    if (value == NULL) {
        PyErr_Clear();
    }
    return value;
}

#endif
