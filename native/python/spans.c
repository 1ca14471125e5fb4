#include "python/spans.h"

#include "python/attributes.h"
#include "record/names.h"
#include "record/recorder.h"

#define ARGUMENTS 9
#define NUMBERS 6 /* of them are written as two words each: ids, and times before now */

/* Tells readers once a segment that there is something to look for. */
static void say_once(void) {
    static uint64_t told;
    const struct otrace_segment_header *header = otrace_recorder.segment.header;
    uint64_t now = header == NULL ? 0 : header->start_anchor.tick ^ (uint64_t)header->pid << 40;
    if (now != told) {
        told = now;
        otrace_names_note(OTRACE_META_NOTE, 0, (struct otrace_text){"spans", 5},
                          (struct otrace_text){"1", 1});
    }
}

PyObject *otrace_note_span_end(PyObject *Py_UNUSED(module), PyObject *const *args,
                               Py_ssize_t count) {
    if (count != ARGUMENTS || !PyUnicode_Check(args[7])) {
        PyErr_SetString(PyExc_TypeError, "note_span_end() takes a span's ids, times and texts");
        return NULL;
    }
    if (!otrace_recorder.recording) {
        Py_RETURN_NONE;
    }
    struct otrace_payload payload;
    otrace_payload_begin(&payload);
    for (int i = 0; i < NUMBERS; i++) {
        uint64_t number = PyLong_AsUnsignedLongLongMask(args[i]);
        otrace_payload_word(&payload, (otrace_word)number);
        otrace_payload_word(&payload, (otrace_word)(number >> 32));
    }
    uint32_t flags = (uint32_t)PyLong_AsUnsignedLongMask(args[6]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    say_once();
    otrace_payload_add_text(&payload, args[7]);
    otrace_payload_add_all(&payload, args[8]);
    otrace_thread_write(OTRACE_X_SPAN_END, (flags & 0x3f) | (payload.cut ? OTRACE_SPAN_CUT : 0),
                        payload.words, payload.used);
    return payload.interrupted ? NULL : Py_NewRef(Py_None);
}

void otrace_spans_provided(PyObject *provider) {
    PyObject *module = provider == NULL ? NULL : PyImport_ImportModule("otrace.spans");
    PyObject *done = module == NULL ? NULL : PyObject_CallMethod(module, "attach", "O", provider);
    bool interrupted = done == NULL && PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    PyErr_Clear(); /* the spans are missing, and the program goes on */
    if (interrupted) {
        PyErr_SetInterrupt(); /* again, where the program can see it */
    }
    Py_XDECREF(done);
    Py_XDECREF(module);
}
