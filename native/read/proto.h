/* Writing protobuf by hand. */
#ifndef OTRACE_READ_PROTO_H
#define OTRACE_READ_PROTO_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OTRACE_PROTO_VARINT 0u
#define OTRACE_PROTO_FIXED64 1u
#define OTRACE_PROTO_BYTES 2u
#define OTRACE_VARINT_MAX 10u
#define OTRACE_PROTO_TAG(field, type) ((field) << 3 | (type))

static inline char *otrace_write_varint(char *to, uint64_t value) {
    while (value >= 0x80) {
        *to++ = (char)(value | 0x80);
        value >>= 7;
    }
    *to++ = (char)value;
    return to;
}

/* A message that grows; nested messages get their length when they end, padded to four bytes. */
struct otrace_message {
    char *bytes;
    size_t size, capacity;
    int failed; /* no memory: the bytes are incomplete */
};

char *otrace_message_reserve(struct otrace_message *message, size_t size);
void otrace_message_bytes(struct otrace_message *message, uint32_t field, const void *bytes,
                          size_t size);
/* Copies the message into the buffer and frees it: its size, or a negative status. */
int64_t otrace_message_finish(struct otrace_message *message, char *buffer, size_t capacity);
/* Text as valid UTF-8. */
void otrace_message_text(struct otrace_message *message, uint32_t field, const char *text,
                         size_t size);
size_t otrace_message_begin(struct otrace_message *message, uint32_t field);
void otrace_message_end(struct otrace_message *message, size_t begun);

static inline void otrace_message_varint(struct otrace_message *message, uint32_t field,
                                         uint64_t value) {
    char *to = otrace_message_reserve(message, 2 * OTRACE_VARINT_MAX);
    if (to != NULL) {
        to = otrace_write_varint(to, OTRACE_PROTO_TAG(field, OTRACE_PROTO_VARINT));
        to = otrace_write_varint(to, value);
        message->size = (size_t)(to - message->bytes);
    }
}

static inline void otrace_message_double(struct otrace_message *message, uint32_t field,
                                         double value) {
    char *to = otrace_message_reserve(message, OTRACE_VARINT_MAX + sizeof value);
    if (to != NULL) {
        to = otrace_write_varint(to, OTRACE_PROTO_TAG(field, OTRACE_PROTO_FIXED64));
        memcpy(to, &value, sizeof value);
        message->size = (size_t)(to + sizeof value - message->bytes);
    }
}

#endif
