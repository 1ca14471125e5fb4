/* Spans of OpenTelemetry's that the program makes, noted in the recording when they end. */
#ifndef OTRACE_SPANS_H
#define OTRACE_SPANS_H

#include "python/compat.h"

/* note_span_end(): see otrace/_events.py. */
PyObject *otrace_note_span_end(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* A tracer provider of the SDK (borrowed) is asked for a tracer: from now on its spans are noted.
 */
void otrace_spans_provided(PyObject *provider);

#endif
