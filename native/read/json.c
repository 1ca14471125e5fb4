#include "read/json.h"

#include <inttypes.h>
#include <stdio.h>

void otrace_json_string(struct otrace_output *output, const char *text, size_t size) {
    char *to = otrace_output_reserve(output, size * OTRACE_JSON_GROWTH + 2);
    if (to != NULL) {
        *to++ = '"';
        to = otrace_write_json(to, text, size);
        *to++ = '"';
        otrace_output_commit(output, to);
    }
}

static void append_value(struct otrace_output *output, const struct otrace_value *value, int depth);

static void append_list(struct otrace_output *output, const struct otrace_value *list, int depth) {
    struct otrace_values values = otrace_values_in(list);
    struct otrace_value value;
    bool first = true;
    APPEND(output, "[");
    while (depth < OTRACE_VALUE_DEPTH_MAX && otrace_values_next(&values, &value)) {
        otrace_output_append(output, ",", first ? 0 : 1);
        first = false;
        append_value(output, &value, depth + 1);
    }
    APPEND(output, "]");
}

static void append_text(struct otrace_output *output, const struct otrace_value *value) {
    char *to = otrace_output_reserve(output, (size_t)value->size * OTRACE_JSON_GROWTH + 8);
    if (to != NULL) {
        *to++ = '"';
        to = otrace_write_json(to, (const char *)value->payload, value->size);
        to = value->cut ? WRITE(to, "\xe2\x80\xa6") : to;
        *to++ = '"';
        otrace_output_commit(output, to);
    }
}

static void append_float(struct otrace_output *output, double value) {
    char number[48];
    size_t size = otrace_format_double(number, value);
    if (number[size - 1] >= '0' && number[size - 1] <= '9') {
        otrace_output_append(output, number, size);
    } else { /* JSON has no NaN and no infinity */
        otrace_json_string(output, number, size);
    }
}

static void append_int(struct otrace_output *output, int64_t value) {
    char number[24];
    int size = snprintf(number, sizeof number, "%" PRId64, value);
    otrace_output_append(output, number, (size_t)size);
}

static void append_value(struct otrace_output *output, const struct otrace_value *value,
                         int depth) {
    switch (value->type) {
    case OTRACE_VALUE_FALSE:
        APPEND(output, "false");
        break;
    case OTRACE_VALUE_TRUE:
        APPEND(output, "true");
        break;
    case OTRACE_VALUE_INT:
        append_int(output, otrace_value_int(value));
        break;
    case OTRACE_VALUE_FLOAT:
        append_float(output, otrace_value_float(value));
        break;
    case OTRACE_VALUE_TEXT:
    case OTRACE_VALUE_BIGINT:
    case OTRACE_VALUE_REPR:
        append_text(output, value);
        break;
    case OTRACE_VALUE_LIST:
        append_list(output, value, depth);
        break;
    default: /* None, or of a later format */
        APPEND(output, "null");
        break;
    }
}

void otrace_json_value(struct otrace_output *output, const struct otrace_value *value) {
    append_value(output, value, 0);
}
