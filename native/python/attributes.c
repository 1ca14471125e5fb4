#include "python/attributes.h"

#include <string.h>

#include "python/texts.h"

#define TEXT_MOST 1024u /* bytes of one text value */
#define LIST_DEPTH_MOST 3

static size_t room_bytes(const struct otrace_payload *payload) {
    return (OTRACE_PAYLOAD_WORDS - payload->used) * sizeof(otrace_word);
}

/* One value of `size` bytes behind its header word. False when there is no room. */
static bool put_bytes(struct otrace_payload *payload, uint32_t type, const void *data,
                      size_t size) {
    size_t padded = (size + 3) & ~(size_t)3;
    if (room_bytes(payload) < sizeof(otrace_word) + padded) {
        payload->cut = true;
        return false;
    }
    otrace_payload_word(payload, type | (otrace_word)size << 8);
    if (padded > 0) {
        payload->words[payload->used + padded / 4 - 1] = 0;
        memcpy(&payload->words[payload->used], data, size);
        payload->used += padded / 4;
    }
    return true;
}

/* Cuts text between characters. */
static size_t cut_at(struct otrace_text text, size_t limit) {
    if (text.size <= limit) {
        return text.size;
    }
    while (limit > 0 && ((unsigned char)text.data[limit] & 0xc0) == 0x80) {
        limit--;
    }
    return limit;
}

static bool put_text(struct otrace_payload *payload, uint32_t type, PyObject *string) {
    struct otrace_held_text held = otrace_text_hold(string);
    size_t room = room_bytes(payload);
    size_t limit = room < 2 * sizeof(otrace_word) ? 0 : room - 2 * sizeof(otrace_word);
    size_t size = cut_at(held.text, limit < TEXT_MOST ? limit : TEXT_MOST);
    if (size < held.text.size) {
        type |= OTRACE_VALUE_CUT;
    }
    bool done = put_bytes(payload, type, held.text.data, size);
    otrace_text_drop(&held);
    return done;
}

bool otrace_interrupted(void) {
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return true;
    }
    PyErr_Clear();
    return false;
}

static bool put_repr(struct otrace_payload *payload, PyObject *value) {
    if (PyErr_CheckSignals() != 0) { /* repr would, and its exception would look like its own */
        payload->interrupted = true;
        return false;
    }
    PyObject *text = PyObject_Repr(value);
    if (text == NULL) {
        payload->interrupted = otrace_interrupted();
        if (payload->interrupted) {
            return false;
        }
        text = PyUnicode_FromFormat("<%s object whose repr() failed>", Py_TYPE(value)->tp_name);
    }
    bool done = put_text(payload, OTRACE_VALUE_REPR, text);
    PyErr_Clear();
    Py_XDECREF(text);
    return done;
}

static bool put_int(struct otrace_payload *payload, PyObject *value) {
    int overflow = 0;
    int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) {
        return put_bytes(payload, OTRACE_VALUE_INT, &number, sizeof number);
    }
    PyObject *text = PyLong_Type.tp_repr(value); /* refuses ints of thousands of digits */
    if (text == NULL) {
        PyErr_Clear();
        text = PyUnicode_FromString("<int with too many digits>");
    }
    bool done = put_text(payload, OTRACE_VALUE_BIGINT, text);
    Py_XDECREF(text);
    return done;
}

static bool put_value(struct otrace_payload *payload, PyObject *value, int depth);

static bool put_sequence(struct otrace_payload *payload, PyObject *value, int depth) {
    size_t header = payload->used;
    if (!put_bytes(payload, OTRACE_VALUE_LIST, NULL, 0)) {
        return false;
    }
    PyObject *items = PySequence_Fast(value, "");
    uint32_t type = OTRACE_VALUE_LIST;
    for (Py_ssize_t i = 0; items != NULL && i < PySequence_Fast_GET_SIZE(items); i++) {
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(items, i));
        bool done = put_value(payload, item, depth + 1);
        Py_DECREF(item);
        if (!done) {
            type |= OTRACE_VALUE_CUT;
            break;
        }
    }
    if (items == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(items);
    size_t size = (payload->used - header - 1) * sizeof(otrace_word);
    payload->words[header] = type | (otrace_word)size << 8;
    return !payload->interrupted;
}

static bool put_value(struct otrace_payload *payload, PyObject *value, int depth) {
    if (PyUnicode_Check(value)) {
        return put_text(payload, OTRACE_VALUE_TEXT, value);
    }
    if (value == Py_None || PyBool_Check(value)) {
        uint32_t type = value == Py_None   ? OTRACE_VALUE_NONE
                        : value == Py_True ? OTRACE_VALUE_TRUE
                                           : OTRACE_VALUE_FALSE;
        return put_bytes(payload, type, NULL, 0);
    }
    if (PyLong_Check(value)) {
        return put_int(payload, value);
    }
    if (PyFloat_Check(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        return put_bytes(payload, OTRACE_VALUE_FLOAT, &number, sizeof number);
    }
    if ((PyList_CheckExact(value) || PyTuple_CheckExact(value)) && depth < LIST_DEPTH_MOST) {
        return put_sequence(payload, value, depth);
    }
    return put_repr(payload, value);
}

void otrace_payload_add(struct otrace_payload *payload, PyObject *key, PyObject *value) {
    size_t start = payload->used;
    if (payload->interrupted) {
        return;
    }
    PyObject *text = PyUnicode_CheckExact(key) ? Py_NewRef(key) : PyObject_Str(key);
    if (text == NULL || !PyUnicode_CheckExact(text)) {
        payload->interrupted = otrace_interrupted();
        Py_XDECREF(text);
        return;
    }
    if (room_bytes(payload) < 2 * sizeof(otrace_word)) {
        payload->cut = true;
    } else {
        otrace_payload_word(payload, otrace_text_id(text));
        if (!put_value(payload, value, 0)) {
            payload->used = start;
        }
    }
    Py_DECREF(text);
}

void otrace_payload_add_text(struct otrace_payload *payload, PyObject *text) {
    put_text(payload, OTRACE_VALUE_TEXT, text);
    PyErr_Clear();
}

void otrace_payload_add_all(struct otrace_payload *payload, PyObject *mapping) {
    if (mapping == NULL || mapping == Py_None || payload->interrupted) {
        return;
    }
    PyObject *items = PyDict_CheckExact(mapping) ? PyDict_Items(mapping) : PyMapping_Items(mapping);
    for (Py_ssize_t i = 0; items != NULL && i < PyList_GET_SIZE(items); i++) {
        PyObject *pair = PyList_GET_ITEM(items, i);
        if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
            otrace_payload_add(payload, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1));
        }
    }
    if (items == NULL) {
        payload->interrupted = otrace_interrupted();
    }
    Py_XDECREF(items);
}
