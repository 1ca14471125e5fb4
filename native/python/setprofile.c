/* The interpreter tells of a C call's return where the call was instrumented when it began. A plain
 * run's call of sys.setprofile is not; with the recorder it is, and the function that was just set
 * would hear of the return of sys.setprofile, which the `profile` module takes for an error. So
 * while recording, the C function behind it is wrapped: a function that the program sets gets its
 * first event by way of `first_event`, which keeps that one return back. */
#include "python/setprofile.h"

#include "python/compat.h"

struct wrapped {
    const char *name; /* in sys */
    PyCFunction wrapper;
    PyMethodDef *definition; /* of the interpreter, static; NULL: not wrapped */
    PyCFunction original;
};

static PyObject *set_here(PyObject *module, PyObject *function);
static PyObject *set_everywhere(PyObject *module, PyObject *function);

static struct wrapped wrapped[] = {
    {"setprofile", set_here, NULL, NULL},
    {"_setprofileallthreads", set_everywhere, NULL, NULL},
};
#define WRAPPED_COUNT (sizeof wrapped / sizeof *wrapped)

static Py_tracefunc trampoline; /* the interpreter's own, which calls functions in Python */

static bool is_wrapped(PyObject *callable) {
    for (size_t i = 0; i < WRAPPED_COUNT; i++) {
        if (PyCFunction_Check(callable) &&
            ((PyCFunctionObject *)callable)->m_ml == wrapped[i].definition) {
            return true;
        }
    }
    return false;
}

static int first_event(PyObject *function, PyFrameObject *frame, int what, PyObject *arg) {
    PyThreadState_Get()->c_profilefunc = trampoline;
    if (what == PyTrace_C_RETURN && is_wrapped(arg)) {
        return 0;
    }
    return trampoline(function, frame, what, arg);
}

/* Whether the interpreter would tell of the return in a plain run too: others have it instrument
 * calls already. The recorder's own profile hook has no object. */
static bool told_anyway(PyThreadState *thread) {
#if OTRACE_HAS_MONITORING
    PyThreadState *each = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(thread));
    for (; each != NULL; each = PyThreadState_Next(each)) {
        if (each->c_profilefunc != NULL && each->c_profileobj != NULL) {
            return true;
        }
    }
    return false;
#else
    return thread->c_profileobj != NULL || thread->c_tracefunc != NULL;
#endif
}

static PyObject *set(const struct wrapped *which, PyObject *module, PyObject *function) {
    PyThreadState *thread = PyThreadState_Get();
    bool keep_back = function != Py_None && !told_anyway(thread);
    PyObject *result = which->original(module, function);
    if (result != NULL && keep_back && thread->c_profilefunc != NULL) {
        trampoline = thread->c_profilefunc;
        thread->c_profilefunc = first_event;
    }
    return result;
}

static PyObject *set_here(PyObject *module, PyObject *function) {
    return set(&wrapped[0], module, function);
}

static PyObject *set_everywhere(PyObject *module, PyObject *function) {
    return set(&wrapped[1], module, function);
}

void otrace_setprofile_wrap(void) {
    for (size_t i = 0; i < WRAPPED_COUNT; i++) {
        PyObject *function = PySys_GetObject(wrapped[i].name); /* borrowed */
        bool known = function != NULL && PyCFunction_CheckExact(function) &&
                     PyCFunction_GET_FLAGS(function) == METH_O;
        if (known && wrapped[i].definition == NULL) {
            wrapped[i].definition = ((PyCFunctionObject *)function)->m_ml;
            wrapped[i].original = wrapped[i].definition->ml_meth;
            wrapped[i].definition->ml_meth = wrapped[i].wrapper;
        }
    }
}

void otrace_setprofile_unwrap(void) {
    for (size_t i = 0; i < WRAPPED_COUNT; i++) {
        if (wrapped[i].definition != NULL) {
            wrapped[i].definition->ml_meth = wrapped[i].original;
            wrapped[i].definition = NULL;
        }
    }
}
