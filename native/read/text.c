#include "read/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char otrace_digit_pairs[201] = "00010203040506070809101112131415161718192021222324"
                                     "25262728293031323334353637383940414243444546474849"
                                     "50515253545556575859606162636465666768697071727374"
                                     "75767778798081828384858687888990919293949596979899";

static const char hex[] = "0123456789abcdef";

size_t otrace_format_double(char *to, double value) {
    if (isnan(value)) {
        return (size_t)sprintf(to, "NaN");
    }
    if (isinf(value)) {
        return (size_t)sprintf(to, value > 0 ? "Infinity" : "-Infinity");
    }
    int size = 0;
    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(to, 40, "%.*g", digits, value);
        if (strtod(to, NULL) == value) {
            break;
        }
    }
    bool plain = true; /* of a locale's decimal sign too, only digits are left out */
    for (int i = 0; i < size; i++) {
        if ((to[i] < '0' || to[i] > '9') && to[i] != '-' && to[i] != '+' && to[i] != 'e') {
            to[i] = '.';
        }
        plain = plain && to[i] != '.' && to[i] != 'e';
    }
    if (plain) {
        memcpy(to + size, ".0", 3);
        size += 2;
    }
    return (size_t)size;
}

static bool follows(const unsigned char *text, size_t size, size_t count) {
    for (size_t i = 1; i <= count; i++) {
        if (i >= size || (text[i] & 0xc0) != 0x80) {
            return false;
        }
    }
    return true;
}

size_t otrace_utf8_length(const unsigned char *text, size_t size) {
    unsigned char first = text[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    if (first < 0xe0) {
        return follows(text, size, 1) ? 2 : 0;
    }
    if (first < 0xf0) {
        bool wrong = !follows(text, size, 2) || (first == 0xe0 && text[1] < 0xa0) ||
                     (first == 0xed && text[1] >= 0xa0);
        return wrong ? 0 : 3;
    }
    bool wrong = !follows(text, size, 3) || (first == 0xf0 && text[1] < 0x90) ||
                 (first == 0xf4 && text[1] >= 0x90);
    return wrong ? 0 : 4;
}

/* A lone surrogate or a stray byte, made visible behind `escape`; *used bytes of the text. */
static char *write_visible(char *to, const unsigned char *text, size_t size, const char *escape,
                           size_t *used) {
    to = otrace_write_bytes(to, escape, strlen(escape));
    if (text[0] == 0xed && follows(text, size, 2)) {
        *used = 3;
        *to++ = 'u';
        *to++ = 'd';
        *to++ = hex[text[1] >> 2 & 0xf];
        *to++ = hex[(text[1] & 3) << 2 | (text[2] >> 4 & 3)];
    } else {
        *used = 1;
        *to++ = 'x';
        *to++ = hex[text[0] >> 4];
        *to++ = hex[text[0] & 0xf];
        return to;
    }
    *to++ = hex[text[2] & 0xf];
    return to;
}

static char *write_escape(char *to, unsigned char byte) {
    *to++ = '\\';
    switch (byte) {
    case '"':
    case '\\':
        *to++ = (char)byte;
        return to;
    case '\n':
        *to++ = 'n';
        return to;
    case '\r':
        *to++ = 'r';
        return to;
    case '\t':
        *to++ = 't';
        return to;
    case '\b':
        *to++ = 'b';
        return to;
    case '\f':
        *to++ = 'f';
        return to;
    default:
        to = otrace_write_bytes(to, "u00", 3);
        *to++ = hex[byte >> 4];
        *to++ = hex[byte & 0xf];
        return to;
    }
}

char *otrace_write_json(char *to, const char *text, size_t size) {
    const unsigned char *from = (const unsigned char *)text, *end = from + size;
    while (from < end) {
        if (*from == '\\' && from + 1 == end) {
            /* Perfetto's UI takes the quote behind a last backslash for an escaped one. */
            to = otrace_write_bytes(to, "\\u005c", 6);
            break;
        }
        if (*from < 0x20 || *from == '"' || *from == '\\') {
            to = write_escape(to, *from++);
            continue;
        }
        size_t length = otrace_utf8_length(from, (size_t)(end - from));
        if (length == 0) {
            to = write_visible(to, from, (size_t)(end - from), "\\\\", &length);
        } else {
            to = otrace_write_bytes(to, (const char *)from, length);
        }
        from += length;
    }
    return to;
}

char *otrace_write_utf8(char *to, const char *text, size_t size) {
    const unsigned char *from = (const unsigned char *)text, *end = from + size;
    while (from < end) {
        size_t length = otrace_utf8_length(from, (size_t)(end - from));
        if (length == 0) {
            to = write_visible(to, from, (size_t)(end - from), "\\", &length);
        } else {
            to = otrace_write_bytes(to, (const char *)from, length);
        }
        from += length;
    }
    return to;
}
