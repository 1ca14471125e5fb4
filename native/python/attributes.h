/* Attributes of events as words of a record; see format.h for their encoding. */
#ifndef OTRACE_ATTRIBUTES_H
#define OTRACE_ATTRIBUTES_H

#include "python/compat.h"
#include "record/thread.h"

/* A record's payload being built; `used` never passes the room, what does not fit is cut. */
struct otrace_payload {
    otrace_word words[OTRACE_PAYLOAD_WORDS];
    size_t used;
    bool cut;
    bool interrupted; /* an exception is set that must reach the program; takes nothing more */
};

/* Only this much is set: the words are many, and each is written before it is read. */
static inline void otrace_payload_begin(struct otrace_payload *payload) {
    payload->used = 0;
    payload->cut = false;
    payload->interrupted = false;
}

static inline void otrace_payload_word(struct otrace_payload *payload, otrace_word word) {
    payload->words[payload->used++] = word;
}

/* After the program's own code was asked for something: clears what it raised, unless that is no
 * Exception. KeyboardInterrupt or SystemExit out of a signal handler were meant for the program:
 * true, and the exception stays set. */
bool otrace_interrupted(void);

/* Adds one attribute. None, bool, int, float, str and sequences of them keep their type, anything
 * else is given by its repr (which may run the program's code), bounded. Raises nothing of its own:
 * see `interrupted`. */
void otrace_payload_add(struct otrace_payload *payload, PyObject *key, PyObject *value);

/* Adds a text alone, bounded. */
void otrace_payload_add_text(struct otrace_payload *payload, PyObject *text);

/* Adds the items of a mapping (NULL or None: nothing); raises as otrace_payload_add. */
void otrace_payload_add_all(struct otrace_payload *payload, PyObject *mapping);

#endif
