/* JSON pieces of recorded values. */
#ifndef OTRACE_READ_JSON_H
#define OTRACE_READ_JSON_H

#include "read/attributes.h"
#include "read/output.h"
#include "read/text.h"

#define WRITE(to, literal) otrace_write_bytes(to, literal, sizeof literal - 1)
#define APPEND(output, literal) otrace_output_append(output, literal, sizeof literal - 1)

/* A string with its quotes. */
void otrace_json_string(struct otrace_output *output, const char *text, size_t size);
/* Always JSON: NaN, infinities and integers beyond 64 bits as strings. */
void otrace_json_value(struct otrace_output *output, const struct otrace_value *value);

#endif
