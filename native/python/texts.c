#include "python/texts.h"

#include <string.h>

/* Names made at run time ("request 123") would grow the metadata without end. */
#define TEXTS_MOST 65536

static PyObject *text_ids; /* owned: str → int */

struct otrace_held_text otrace_text_hold(PyObject *string) {
    struct otrace_held_text held = {otrace_text_literal("?"), NULL};
    Py_ssize_t size = 0;
    if (string == NULL || !PyUnicode_Check(string)) {
        return held;
    }
    const char *data = PyUnicode_AsUTF8AndSize(string, &size);
    if (data != NULL) {
        held.text = (struct otrace_text){data, (size_t)size};
        return held;
    }
    PyErr_Clear();
    held.owner = PyUnicode_AsEncodedString(string, "utf-8", "surrogatepass");
    if (held.owner == NULL) {
        PyErr_Clear();
        return held;
    }
    held.text =
        (struct otrace_text){PyBytes_AS_STRING(held.owner), (size_t)PyBytes_GET_SIZE(held.owner)};
    return held;
}

static uint32_t add_text(PyObject *string) {
    if (PyDict_GET_SIZE(text_ids) >= TEXTS_MOST) {
        return OTRACE_NAME_UNKNOWN;
    }
    struct otrace_held_text held = otrace_text_hold(string);
    struct otrace_text empty = {"", 0};
    uint32_t id = otrace_names_add(OTRACE_NAME_TEXT, 0, empty, held.text, empty);
    otrace_text_drop(&held);
    PyObject *number = PyLong_FromUnsignedLong(id);
    if (number == NULL || PyDict_SetItem(text_ids, string, number) != 0) {
        PyErr_Clear();
    }
    Py_XDECREF(number);
    return id;
}

uint32_t otrace_text_id(PyObject *string) {
    if (text_ids == NULL) {
        text_ids = PyDict_New();
    }
    if (text_ids == NULL || !PyUnicode_CheckExact(string)) {
        PyErr_Clear();
        return OTRACE_NAME_UNKNOWN;
    }
    PyObject *number = PyDict_GetItemWithError(text_ids, string); /* borrowed */
    if (number != NULL) {
        return (uint32_t)PyLong_AsUnsignedLong(number);
    }
    PyErr_Clear();
    return add_text(string);
}
