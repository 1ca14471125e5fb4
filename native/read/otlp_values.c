/* Recorded attributes as OTLP KeyValues. */
#include <math.h>

#include "read/attributes.h"
#include "read/otlp.h"

static void put_literal(struct otrace_bytes *to, const char *text) {
    otrace_wire_bytes(to, OTRACE_ANY_TEXT, text, strlen(text));
}

static void put_double(struct otrace_bytes *to, double number) {
    if (isfinite(number)) {
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        otrace_wire_fixed64(to, OTRACE_ANY_DOUBLE, bits);
    } else { /* JSON has no such numbers, and backends answer queries in JSON */
        put_literal(to, isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
    }
}

static void put_text(struct otrace_bytes *to, const struct otrace_value *value) {
    size_t begin = otrace_wire_open(to, OTRACE_ANY_TEXT);
    otrace_wire_utf8(to, (const char *)value->payload, value->size);
    if (value->cut) {
        otrace_wire_raw(to, "\xe2\x80\xa6", 3); /* an ellipsis */
    }
    otrace_wire_close(to, begin);
}

static void put_value(struct otrace_bytes *to, const struct otrace_value *value, uint32_t depth);

/* ArrayValue{1: AnyValue} */
static void put_list(struct otrace_bytes *to, const struct otrace_value *list, uint32_t depth) {
    size_t begin = otrace_wire_open(to, OTRACE_ANY_ARRAY);
    struct otrace_values values = otrace_values_in(list);
    struct otrace_value value;
    while (depth < OTRACE_VALUE_DEPTH_MAX && otrace_values_next(&values, &value)) {
        size_t inner = otrace_wire_open(to, 1);
        put_value(to, &value, depth + 1);
        otrace_wire_close(to, inner);
    }
    otrace_wire_close(to, begin);
}

/* The inside of an AnyValue. */
static void put_value(struct otrace_bytes *to, const struct otrace_value *value, uint32_t depth) {
    switch (value->type) {
    case OTRACE_VALUE_NONE: /* an empty value is dropped by most backends */
        put_literal(to, "None");
        break;
    case OTRACE_VALUE_FALSE:
    case OTRACE_VALUE_TRUE:
        otrace_wire_number(to, OTRACE_ANY_BOOL, value->type == OTRACE_VALUE_TRUE);
        break;
    case OTRACE_VALUE_INT:
        otrace_wire_number(to, OTRACE_ANY_INT, (uint64_t)otrace_value_int(value));
        break;
    case OTRACE_VALUE_FLOAT:
        put_double(to, otrace_value_float(value));
        break;
    case OTRACE_VALUE_LIST:
        put_list(to, value, depth);
        break;
    default:
        put_text(to, value);
        break;
    }
}

void otrace_otlp_put_attributes(struct otrace_bytes *to, uint32_t field,
                                const struct otrace_segment *segment,
                                const struct otrace_attributes *attributes) {
    struct otrace_values values = otrace_values_of(attributes);
    struct otrace_value value;
    uint32_t key;
    while (otrace_attributes_next(&values, &key, &value)) {
        struct otrace_name_info name;
        otrace_segment_get_name(segment, key, &name);
        size_t begin = otrace_wire_open(to, field);
        otrace_wire_text(to, 1, name.display.text, name.display.size);
        size_t inner = otrace_wire_open(to, 2);
        put_value(to, &value, 0);
        otrace_wire_close(to, inner);
        otrace_wire_close(to, begin);
    }
}
