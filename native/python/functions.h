/* Python functions: a tag in each code object tells its id and whether it is recorded. */
#ifndef OTRACE_FUNCTIONS_H
#define OTRACE_FUNCTIONS_H

#include "python/compat.h"

/* A tag: the generation of the recording in its high half, the name id in its low 24 bits.
 * The fast path compares the high half whole: a code object not seen in this recording, excluded
 * or special never equals it. */
#define OTRACE_TAG_EXCLUDED (UINT64_C(1) << 62)
#define OTRACE_TAG_SPECIAL (UINT64_C(1) << 61)   /* tells a thread's name */
#define OTRACE_TAG_GENERATOR (UINT64_C(1) << 31) /* generator, coroutine, async generator */
#define OTRACE_TAG_ID UINT64_C(0xffffff)

extern uint64_t otrace_tag_generation __attribute__((visibility("hidden")));
extern Py_ssize_t otrace_tag_index __attribute__((visibility("hidden"))); /* of co_extra */

static inline uint64_t otrace_function_tag(PyObject *code) {
    return otrace_code_extra(code, otrace_tag_index);
}

/* True when the tag says: seen, recorded, nothing special. */
static inline bool otrace_tag_plain(uint64_t tag) {
    return tag >> 32 == otrace_tag_generation;
}

static inline uint32_t otrace_tag_id(uint64_t tag) {
    return (uint32_t)(tag & OTRACE_TAG_ID);
}

/* The tag of a code object, made at first sight. `globals` (borrowed) are those of a frame that
 * runs it, or NULL for the current frame's. Needs the GIL, never raises. */
uint64_t otrace_function_see(PyObject *code, PyObject *globals);

/* Once a recording: asks for the slot in code objects and makes all earlier tags stale.
 * Returns 0 or -1. */
int otrace_functions_begin(uint32_t generation);

#endif
