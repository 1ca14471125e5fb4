/* Python functions: a tag in each code object tells its id and whether it is recorded. */
#ifndef OTRACE_FUNCTIONS_H
#define OTRACE_FUNCTIONS_H

#include "python/compat.h"
#include "python/special.h"
#include "record/thread.h"

/* A tag: the function's key in its low half; in its high half the generation of the recording and
 * OTRACE_BEGIN, so that it is what the stack keeps of a call. The fast path compares the high half
 * whole: a code object not seen in this recording, excluded, special, or with an id too large for a
 * short word never equals it. */
#define OTRACE_TAG_GENERATION_SHIFT 8
#define OTRACE_TAG_GENERATION_MASK 0xfffffu
#define OTRACE_TAG_EXCLUDED (UINT64_C(1) << 62)
#define OTRACE_TAG_LONG (UINT64_C(1) << 60)  /* its key is a long one */
#define OTRACE_TAG_ASYNC (UINT64_C(1) << 63) /* a coroutine or asynchronous generator */
#define OTRACE_TAG_SPECIAL_SHIFT 35          /* enum otrace_special */
#define OTRACE_TAG_SPECIAL (UINT64_C(15) << OTRACE_TAG_SPECIAL_SHIFT)
/* The governor has switched it off once: from then on its calls are known by their frames. */
#define OTRACE_TAG_FRAMED (UINT64_C(1) << 61)
/* Beside EXCLUDED: it is off, and calls that began before may still end. */
#define OTRACE_TAG_LEAVING (UINT64_C(1) << 39)
#define OTRACE_TAG_FLAGS (UINT64_C(15) << 60 | OTRACE_TAG_SPECIAL | OTRACE_TAG_LEAVING)
#if OTRACE_HAS_MONITORING
#define OTRACE_TAG_GENERATOR UINT64_C(0) /* monitoring tells resumptions by itself */
#define OTRACE_TAG_KEY UINT64_C(0xffffffff)
#else
#define OTRACE_TAG_GENERATOR UINT64_C(1) /* generator, coroutine, async generator */
#define OTRACE_TAG_KEY (UINT64_C(0xffffffff) & ~OTRACE_TAG_GENERATOR)
#endif

/* Read in every callback: one cache line. */
extern struct otrace_tags {
    uint64_t generation; /* the high half of a plain tag */
    Py_ssize_t index;    /* of co_extra */
    bool excluded_seen;  /* in this recording: only then need a C call ask for its caller */
} otrace_tags __attribute__((visibility("hidden")));

static inline uint64_t otrace_function_tag(PyObject *code) {
    return otrace_code_extra(code, otrace_tags.index);
}

/* True when the tag says: seen, recorded, nothing special. */
static inline bool otrace_tag_plain(uint64_t tag) {
    return tag >> 32 == otrace_tags.generation;
}

/* The key of a plain tag. */
static inline otrace_key otrace_tag_key(uint64_t tag) {
    return (otrace_key)(tag & OTRACE_TAG_KEY);
}

/* What the stack keeps of a call that a plain tag is of; `kind` OTRACE_BEGIN or OTRACE_RESUME. */
static inline uint64_t otrace_tag_what(uint64_t tag, enum otrace_record_kind kind) {
    return (tag ^ (uint64_t)(kind ^ OTRACE_BEGIN) << 32) & ~OTRACE_TAG_GENERATOR;
}

static inline enum otrace_special otrace_tag_special(uint64_t tag) {
    return (enum otrace_special)((tag & OTRACE_TAG_SPECIAL) >> OTRACE_TAG_SPECIAL_SHIFT);
}

static inline uint32_t otrace_tag_id(uint64_t tag) {
    return otrace_key_id(tag & OTRACE_TAG_LONG ? (otrace_key)tag >> 1 : otrace_tag_key(tag));
}

/* The tag of a code object, made at first sight. `globals` (borrowed) are those of a frame that
 * runs it, or NULL for the current frame's. Needs the GIL, never raises. */
uint64_t otrace_function_see(PyObject *code, PyObject *globals);

/* Sets and clears bits of a tag that otrace_function_see has made. Needs the GIL, never raises. */
void otrace_function_change(PyObject *code, uint64_t set, uint64_t clear);

/* Once a recording: asks for the slot in code objects and makes all earlier tags stale.
 * Returns 0 or -1. */
int otrace_functions_begin(uint32_t generation);

#endif
