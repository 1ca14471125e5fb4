#include "read/proto.h"

#include "read/text.h"

#include "api_read.h"

#define LENGTH_BYTES 4u

char *otrace_message_reserve(struct otrace_message *message, size_t size) {
    if (message->size + size > message->capacity) {
        size_t capacity = 2 * (message->size + size);
        char *grown = realloc(message->bytes, capacity);
        if (grown == NULL) {
            message->failed = 1;
            return NULL;
        }
        message->bytes = grown;
        message->capacity = capacity;
    }
    return message->bytes + message->size;
}

static char *begin_bytes(struct otrace_message *message, uint32_t field, size_t bound) {
    char *to = otrace_message_reserve(message, OTRACE_VARINT_MAX + LENGTH_BYTES + bound);
    return to == NULL ? NULL : otrace_write_varint(to, OTRACE_PROTO_TAG(field, OTRACE_PROTO_BYTES));
}

void otrace_message_bytes(struct otrace_message *message, uint32_t field, const void *bytes,
                          size_t size) {
    char *to = begin_bytes(message, field, size);
    if (to != NULL) {
        to = otrace_write_varint(to, size);
        memcpy(to, bytes, size);
        message->size = (size_t)(to + size - message->bytes);
    }
}

/* A length of always four bytes, so that it can be set later. */
static void set_length(char *at, size_t length) {
    for (unsigned i = 0; i < LENGTH_BYTES; i++) {
        at[i] = (char)((length >> 7 * i & 0x7f) | (i + 1 < LENGTH_BYTES ? 0x80 : 0));
    }
}

size_t otrace_message_begin(struct otrace_message *message, uint32_t field) {
    char *to = begin_bytes(message, field, 0);
    if (to == NULL) {
        return 0;
    }
    message->size = (size_t)(to + LENGTH_BYTES - message->bytes);
    return message->size;
}

void otrace_message_end(struct otrace_message *message, size_t begun) {
    if (!message->failed) {
        set_length(message->bytes + begun - LENGTH_BYTES, message->size - begun);
    }
}

void otrace_message_text(struct otrace_message *message, uint32_t field, const char *text,
                         size_t size) {
    size_t begun = otrace_message_begin(message, field);
    char *to = otrace_message_reserve(message, size * OTRACE_UTF8_GROWTH);
    if (to != NULL) {
        message->size = (size_t)(otrace_write_utf8(to, text, size) - message->bytes);
        otrace_message_end(message, begun);
    }
}

int64_t otrace_message_finish(struct otrace_message *message, char *buffer, size_t capacity) {
    int64_t result = message->failed            ? OTRACE_READ_NO_MEMORY
                     : message->size > capacity ? OTRACE_READ_ARGUMENT
                                                : (int64_t)message->size;
    if (result > 0) {
        memcpy(buffer, message->bytes, message->size);
    }
    free(message->bytes);
    memset(message, 0, sizeof *message);
    return result;
}
