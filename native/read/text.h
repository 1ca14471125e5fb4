/* Text and numbers for encoders. */
#ifndef OTRACE_READ_TEXT_H
#define OTRACE_READ_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api_read.h"

extern const char otrace_digit_pairs[201];

/* Decimal digits of `value`; returns the end. Needs 20 bytes. */
static inline char *otrace_write_unsigned(char *to, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, otrace_digit_pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, otrace_digit_pairs + 2 * value, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(to, digits + at, sizeof digits - at);
    return to + sizeof digits - at;
}

/* Nanoseconds as microseconds with three decimals. Needs 24 bytes. */
static inline char *otrace_write_micros(char *to, uint64_t ns) {
    to = otrace_write_unsigned(to, ns / 1000);
    uint32_t rest = (uint32_t)(ns % 1000);
    *to++ = '.';
    *to++ = (char)('0' + rest / 100);
    memcpy(to, otrace_digit_pairs + 2 * (rest % 100), 2);
    return to + 2;
}

static inline char *otrace_write_bytes(char *to, const char *bytes, size_t size) {
    memcpy(to, bytes, size);
    return to + size;
}

/* A double as the shortest decimal text that reads back as the same, always with a point or an
 * exponent, whatever the locale; "NaN", "Infinity", "-Infinity". Returns its length, below 40. */
size_t otrace_format_double(char *to, double value);

/* Bytes of the UTF-8 character at `text`, 0 when it is none: a lone surrogate, or broken. */
size_t otrace_utf8_length(const unsigned char *text, size_t size);

#define OTRACE_JSON_GROWTH 6 /* a byte becomes at most this many */
#define OTRACE_UTF8_GROWTH 4

/* The inside of a JSON string: raw UTF-8, since viewers do not read \u escapes. What is not a
 * character is made visible: \\udc80 for a lone surrogate, \\xff for a stray byte. */
char *otrace_write_json(char *to, const char *text, size_t size);
/* Valid UTF-8, with \udc80 and \xff in place of what is none. */
char *otrace_write_utf8(char *to, const char *text, size_t size);

#endif
