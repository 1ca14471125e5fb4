/* Python strings as the segment's texts and names. */
#ifndef OTRACE_TEXTS_H
#define OTRACE_TEXTS_H

#include "python/compat.h"
#include "record/names.h"

/* A text and what keeps it alive. Release with otrace_text_drop. */
struct otrace_held_text {
    struct otrace_text text;
    PyObject *owner; /* owned; NULL: the text is borrowed from the string itself */
};

/* UTF-8 of a str, lone surrogates included; "?" for anything else. Never raises. */
struct otrace_held_text otrace_text_hold(PyObject *string);

static inline void otrace_text_drop(struct otrace_held_text *held) {
    Py_CLEAR(held->owner);
}

static inline struct otrace_text otrace_text_literal(const char *text) {
    return (struct otrace_text){text, strlen(text)};
}

/* The id of a short text (event name, attribute key). The first thousands are kept in a table;
 * past it a text that was never seen gets OTRACE_NAME_UNKNOWN. Needs the GIL, never raises. */
uint32_t otrace_text_id(PyObject *string);

#endif
