/* Protobuf's wire format, as far as OTLP needs it, into a buffer that grows. */
#ifndef OTRACE_READ_OTLP_WIRE_H
#define OTRACE_READ_OTLP_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "read/text.h"

/* `failed` stays set once memory was missing: looked at when all was written. */
struct otrace_bytes {
    char *data;
    size_t size, capacity;
    bool failed;
};

enum otrace_wire_type {
    OTRACE_WIRE_VARINT = 0,
    OTRACE_WIRE_FIXED64 = 1,
    OTRACE_WIRE_BYTES = 2,
    OTRACE_WIRE_FIXED32 = 5
};

static inline bool otrace_bytes_reserve(struct otrace_bytes *to, size_t size) {
    if (to->failed || size > to->capacity - to->size) {
        size_t capacity = 2 * to->capacity + size + 256;
        void *data = to->failed ? NULL : realloc(to->data, capacity);
        if (data == NULL) {
            to->failed = true;
            return false;
        }
        to->data = data;
        to->capacity = capacity;
    }
    return true;
}

static inline void otrace_wire_raw(struct otrace_bytes *to, const char *bytes, size_t size) {
    if (size > 0 && otrace_bytes_reserve(to, size)) {
        memcpy(to->data + to->size, bytes, size);
        to->size += size;
    }
}

static inline void otrace_wire_varint(struct otrace_bytes *to, uint64_t value) {
    if (!otrace_bytes_reserve(to, 10)) {
        return;
    }
    for (; value >= 0x80; value >>= 7) {
        to->data[to->size++] = (char)(value | 0x80);
    }
    to->data[to->size++] = (char)value;
}

static inline void otrace_wire_tag(struct otrace_bytes *to, uint32_t field, uint32_t type) {
    otrace_wire_varint(to, field << 3 | type);
}

static inline void otrace_wire_number(struct otrace_bytes *to, uint32_t field, uint64_t value) {
    otrace_wire_tag(to, field, OTRACE_WIRE_VARINT);
    otrace_wire_varint(to, value);
}

static inline void otrace_wire_fixed64(struct otrace_bytes *to, uint32_t field, uint64_t value) {
    otrace_wire_tag(to, field, OTRACE_WIRE_FIXED64);
    otrace_wire_raw(to, (const char *)&value, sizeof value);
}

static inline void otrace_wire_fixed32(struct otrace_bytes *to, uint32_t field, uint32_t value) {
    otrace_wire_tag(to, field, OTRACE_WIRE_FIXED32);
    otrace_wire_raw(to, (const char *)&value, sizeof value);
}

static inline void otrace_wire_bytes(struct otrace_bytes *to, uint32_t field, const char *bytes,
                                     size_t size) {
    otrace_wire_tag(to, field, OTRACE_WIRE_BYTES);
    otrace_wire_varint(to, size);
    otrace_wire_raw(to, bytes, size);
}

/* A message whose size is not known yet: from open to close everything is put into it. */
static inline size_t otrace_wire_open(struct otrace_bytes *to, uint32_t field) {
    otrace_wire_tag(to, field, OTRACE_WIRE_BYTES);
    otrace_wire_varint(to, 0);
    return to->size;
}

static inline void otrace_wire_close(struct otrace_bytes *to, size_t begin) {
    if (!otrace_bytes_reserve(to, 10)) {
        return;
    }
    size_t size = to->size - begin, extra = 0;
    for (size_t rest = size; rest >= 0x80; rest >>= 7) {
        extra++;
    }
    if (extra > 0) {
        memmove(to->data + begin + extra, to->data + begin, size);
    }
    char *at = to->data + begin - 1;
    for (size_t rest = size;; rest >>= 7) {
        *at++ = (char)(rest >= 0x80 ? rest | 0x80 : rest);
        if (rest < 0x80) {
            break;
        }
    }
    to->size += extra;
}

/* Valid UTF-8 whatever the text is: receivers refuse a whole request for one wrong byte. */
static inline void otrace_wire_utf8(struct otrace_bytes *to, const char *text, size_t size) {
    if (size > 0 && otrace_bytes_reserve(to, size * OTRACE_UTF8_GROWTH)) {
        char *end = otrace_write_utf8(to->data + to->size, text, size);
        to->size = (size_t)(end - to->data);
    }
}

static inline void otrace_wire_text(struct otrace_bytes *to, uint32_t field, const char *text,
                                    size_t size) {
    size_t begin = otrace_wire_open(to, field);
    otrace_wire_utf8(to, text, size);
    otrace_wire_close(to, begin);
}

/* ---- KeyValue{1: key, 2: AnyValue} ---------------------------------------------------------- */

#define OTRACE_ANY_TEXT 1
#define OTRACE_ANY_BOOL 2
#define OTRACE_ANY_INT 3
#define OTRACE_ANY_DOUBLE 4
#define OTRACE_ANY_ARRAY 5

static inline size_t otrace_wire_open_key(struct otrace_bytes *to, uint32_t field,
                                          const char *key) {
    size_t begin = otrace_wire_open(to, field);
    otrace_wire_bytes(to, 1, key, strlen(key));
    return begin;
}

static inline void otrace_wire_key_text(struct otrace_bytes *to, uint32_t field, const char *key,
                                        struct otrace_text text) {
    size_t begin = otrace_wire_open_key(to, field, key), value = otrace_wire_open(to, 2);
    otrace_wire_text(to, OTRACE_ANY_TEXT, text.text, text.size);
    otrace_wire_close(to, value);
    otrace_wire_close(to, begin);
}

static inline void otrace_wire_key_number(struct otrace_bytes *to, uint32_t field, const char *key,
                                          uint32_t kind, uint64_t number) {
    size_t begin = otrace_wire_open_key(to, field, key), value = otrace_wire_open(to, 2);
    otrace_wire_number(to, kind, number);
    otrace_wire_close(to, value);
    otrace_wire_close(to, begin);
}

#endif
