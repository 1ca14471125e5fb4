#include "python/loops.h"

#include "format.h"

/* The dict of an imported module, borrowed, or NULL. */
static PyObject *module_names(PyObject **key, const char *name) {
    PyObject *module = otrace_dict_get(PyImport_GetModuleDict(), key, name);
    return module != NULL && PyModule_Check(module) ? PyModule_GetDict(module) : NULL;
}

/* A name of asyncio's accelerator (uvloop uses its tasks too): borrowed, kept once it is found. */
static PyObject *asyncio_name(PyObject **kept, PyObject **key, const char *name) {
    static PyObject *module_key; /* owned for good */
    if (*kept == NULL) {
        PyObject *names = module_names(&module_key, "_asyncio");
        *kept = Py_XNewRef(names == NULL ? NULL : otrace_dict_get(names, key, name));
    }
    return *kept;
}

static PyObject *running_loop(void) {
    static PyObject *function, *key; /* owned for good */
    PyObject *call = asyncio_name(&function, &key, "_get_running_loop");
    PyObject *loop = call == NULL ? NULL : PyObject_CallNoArgs(call);
    if (loop == Py_None) {
        Py_CLEAR(loop);
    }
    return loop;
}

static PyObject *asyncio_task(void) {
    static PyObject *source, *key; /* owned for good */
    PyObject *loop = running_loop();
    PyObject *task = NULL;
    if (loop == NULL) {
        return NULL;
    }
#if PY_VERSION_HEX >= 0x030c0000
    PyObject *function = asyncio_name(&source, &key, "current_task");
    task = function == NULL ? NULL : PyObject_CallOneArg(function, loop);
#else
    PyObject *tasks = asyncio_name(&source, &key, "_current_tasks");
    task = tasks == NULL ? NULL : Py_XNewRef(PyDict_GetItemWithError(tasks, loop));
#endif
    Py_DECREF(loop);
    if (task == Py_None) {
        Py_CLEAR(task);
    }
    return task;
}

static PyObject *trio_task(void) {
    static PyObject *module_key, *context_key, *task_key; /* owned for good */
    PyObject *names = module_names(&module_key, "trio._core._run");
    PyObject *context =
        names == NULL ? NULL : otrace_dict_get(names, &context_key, "GLOBAL_RUN_CONTEXT");
    if (task_key == NULL) {
        task_key = PyUnicode_InternFromString("task");
    }
    return context == NULL || task_key == NULL ? NULL : PyObject_GetAttr(context, task_key);
}

PyObject *otrace_loops_task(uint32_t *flag) {
    PyObject *task = asyncio_task();
    *flag = OTRACE_TASK_ASYNCIO;
    if (task == NULL) {
        PyErr_Clear();
        task = trio_task();
        *flag = OTRACE_TASK_TRIO;
    }
    PyErr_Clear();
    return task;
}

/* asyncio's own method, past what a subclass may make of it; NULL for other tasks. */
static PyObject *asyncio_method(PyObject *task, PyObject **kept, const char *name) {
    static PyObject *type, *type_key; /* owned for good */
    PyObject *found = asyncio_name(&type, &type_key, "Task");
    if (found == NULL || !PyType_Check(found) || !PyObject_TypeCheck(task, (PyTypeObject *)found)) {
        return NULL;
    }
    if (*kept == NULL) {
        *kept = PyObject_GetAttrString(found, name);
    }
    return *kept;
}

/* An attribute without a property of the program's: new reference or NULL. */
static PyObject *plain_attribute(PyObject *object, const char *name) {
    PyObject *key = PyUnicode_InternFromString(name);
    PyObject *in_type = key == NULL ? NULL : _PyType_Lookup(Py_TYPE(object), key);
    bool plain = key != NULL && (in_type == NULL || Py_TYPE(in_type) == &PyMemberDescr_Type);
    PyObject *value = plain ? PyObject_GenericGetAttr(object, key) : NULL;
    Py_XDECREF(key);
    PyErr_Clear();
    return value;
}

PyObject *otrace_loops_name(PyObject *task) {
    static PyObject *method; /* owned for good */
    PyObject *own = asyncio_method(task, &method, "get_name");
    PyObject *name = own != NULL ? PyObject_CallOneArg(own, task) : plain_attribute(task, "name");
    if (name == NULL && own == NULL) {
        name = plain_attribute(task, "_name"); /* asyncio's tasks in Python */
    }
    PyErr_Clear();
    if (name != NULL && !PyUnicode_CheckExact(name)) {
        Py_CLEAR(name); /* a subclass of str may have a __hash__ of its own */
    }
    return name;
}

PyObject *otrace_loops_coroutine(PyObject *task) {
    static PyObject *method; /* owned for good */
    PyObject *own = asyncio_method(task, &method, "get_coro");
    PyObject *coroutine =
        own != NULL ? PyObject_CallOneArg(own, task) : plain_attribute(task, "coro");
    if (coroutine == NULL && own == NULL) {
        coroutine = plain_attribute(task, "_coro");
    }
    PyErr_Clear();
    return coroutine;
}

PyObject *otrace_loops_parent(PyObject *task) {
    PyObject *nursery = plain_attribute(task, "_parent_nursery");
    PyObject *parent =
        nursery == NULL || nursery == Py_None ? NULL : plain_attribute(nursery, "_parent_task");
    Py_XDECREF(nursery);
    if (parent == Py_None) {
        Py_CLEAR(parent);
    }
    return parent;
}

bool otrace_loops_cancelling(PyObject *task) {
    static PyObject *method; /* owned for good */
    PyObject *own = asyncio_method(task, &method, "cancelling");
    PyObject *count = own == NULL ? NULL : PyObject_CallOneArg(own, task);
    bool asked = count != NULL && PyObject_IsTrue(count) == 1;
    Py_XDECREF(count);
    PyErr_Clear();
    return asked;
}
