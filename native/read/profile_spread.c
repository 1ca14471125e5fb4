/* How long the runs of a function were: every duration while they are few, a log-linear histogram
 * of all of them afterwards. A bucket is 1/128 of the durations in it wide, and is told by its
 * middle: 0.4 % off at most. */
#include <stdlib.h>
#include <string.h>

#include "read/profile.h"

#define FIRST 16u

static int count_in_row(struct otrace_profile_spread *spread, int64_t duration_ns) {
    uint64_t duration = (uint64_t)duration_ns;
    uint32_t row = 0, bucket = (uint32_t)duration;
    if (duration >= OTRACE_SPREAD_BUCKETS) {
        uint32_t highest = 63 - (uint32_t)__builtin_clzll(duration);
        row = highest - OTRACE_SPREAD_BITS + 1;
        bucket = (uint32_t)(duration >> (row - 1)) & (OTRACE_SPREAD_BUCKETS - 1);
    }
    if (spread->rows[row] == NULL) {
        spread->rows[row] = calloc(OTRACE_SPREAD_BUCKETS, sizeof **spread->rows);
        if (spread->rows[row] == NULL) {
            return OTRACE_READ_NO_MEMORY;
        }
    }
    spread->rows[row][bucket]++;
    return OTRACE_READ_OK;
}

static int turn_into_rows(struct otrace_profile_spread *spread) {
    spread->rows = calloc(OTRACE_SPREAD_ROWS, sizeof *spread->rows);
    if (spread->rows == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    for (uint64_t i = 0; i < spread->count; i++) {
        int status = count_in_row(spread, spread->exact[i]);
        if (status != 0) {
            return status;
        }
    }
    free(spread->exact);
    spread->exact = NULL;
    spread->capacity = 0;
    return OTRACE_READ_OK;
}

int otrace_profile_spread_grow(struct otrace_profile_spread *spread, int64_t duration_ns) {
    int status = OTRACE_READ_OK;
    if (spread->rows == NULL && spread->count < OTRACE_SPREAD_EXACT) {
        status = otrace_profile_reserve((void **)&spread->exact, (uint32_t)spread->count,
                                        &spread->capacity, sizeof *spread->exact, FIRST);
        return status != 0 ? status : otrace_profile_spread_add(spread, duration_ns);
    }
    if (spread->rows == NULL) {
        status = turn_into_rows(spread);
    }
    if (status == 0) {
        status = count_in_row(spread, duration_ns);
    }
    spread->count += status == 0;
    return status;
}

void otrace_profile_spread_free(struct otrace_profile_spread *spread) {
    for (uint32_t row = 0; spread->rows != NULL && row < OTRACE_SPREAD_ROWS; row++) {
        free(spread->rows[row]);
    }
    free(spread->rows);
    free(spread->exact);
}

static int compare(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static int64_t middle_of(uint32_t row, uint32_t bucket) {
    if (row == 0) {
        return bucket;
    }
    int64_t width = INT64_C(1) << (row - 1);
    return (int64_t)(OTRACE_SPREAD_BUCKETS + bucket) * width + width / 2;
}

int64_t otrace_profile_spread_quantile(struct otrace_profile_spread *spread, uint32_t thousandths) {
    if (spread->count == 0) {
        return 0;
    }
    /* The rank from 1, rounded up, in arithmetic that does not overflow. */
    uint64_t rank =
        spread->count / 1000 * thousandths + (spread->count % 1000 * thousandths + 999) / 1000;
    rank = rank == 0 ? 1 : rank;
    if (spread->rows == NULL) {
        if (!spread->sorted) {
            qsort(spread->exact, spread->count, sizeof *spread->exact, compare);
            spread->sorted = true;
        }
        return spread->exact[rank - 1];
    }
    for (uint32_t row = 0; row < OTRACE_SPREAD_ROWS; row++) {
        for (uint32_t i = 0; spread->rows[row] != NULL && i < OTRACE_SPREAD_BUCKETS; i++) {
            if (rank <= spread->rows[row][i]) {
                return middle_of(row, i);
            }
            rank -= spread->rows[row][i];
        }
    }
    return INT64_MAX;
}
