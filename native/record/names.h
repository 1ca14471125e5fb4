/* Names: functions, events, attribute keys, exception types. An id is good for the life of the
 * process; each new segment begins with all names known so far. */
#ifndef OTRACE_NAMES_H
#define OTRACE_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

struct otrace_segment;

struct otrace_text {
    const char *data; /* UTF-8, surrogatepass; not NUL-terminated */
    size_t size;
};

#define OTRACE_NAME_UNKNOWN 1u /* the id of every name that found no room */

/* Adds a name and publishes it. Returns its id, or OTRACE_NAME_UNKNOWN when there is no room.
 * Takes the recorder's mutex. */
uint32_t otrace_names_add(enum otrace_name_kind kind, uint32_t line, struct otrace_text module,
                          struct otrace_text name, struct otrace_text file);

/* Writes every known name into a segment that was just made. Returns 0 or -ENOSPC. The caller
 * holds the mutex. */
int otrace_names_replay(struct otrace_segment *segment);

/* Publishes a metadata record with up to two texts that is not a name. Takes the mutex.
 * Returns 0, or -ENOSPC when the metadata is full. */
int otrace_names_note(enum otrace_meta_type type, uint32_t id, struct otrace_text first,
                      struct otrace_text second);

#endif
