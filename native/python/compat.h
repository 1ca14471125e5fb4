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

/* The layout behind PyCodeObject.co_extra, the same in 3.11 to 3.15. Reading it in place saves a
 * function call in each callback. */
struct otrace_code_extra {
    Py_ssize_t size;
    void *extras[];
};

static inline uintptr_t otrace_code_extra(PyObject *code, Py_ssize_t index) {
    const struct otrace_code_extra *extra =
        (const struct otrace_code_extra *)((PyCodeObject *)code)->co_extra;
    return extra != NULL && extra->size > index ? (uintptr_t)extra->extras[index] : 0;
}

/* A method-wrapper ([].__len__): CPython keeps the struct private, unchanged since 2.2. */
struct otrace_method_wrapper {
    PyObject_HEAD PyWrapperDescrObject *descr;
    PyObject *self;
};

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
