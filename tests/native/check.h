/* Checks of the C tests: a failed one says where and ends the program. */
#ifndef OTRACE_TEST_CHECK_H
#define OTRACE_TEST_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_EQUAL(left, right)                                                                   \
    do {                                                                                           \
        int64_t left_value = (int64_t)(left), right_value = (int64_t)(right);                      \
        if (left_value != right_value) {                                                           \
            fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", __FILE__, __LINE__,     \
                    #left, left_value, right_value);                                               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
