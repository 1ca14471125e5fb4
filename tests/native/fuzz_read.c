/* Feeds damaged segments to every part of the reader: cut, flipped, spliced, random ones, and ones
 * with a lie in a single field. Runs: OTRACE_FUZZ_RUNS (20,000); the first seed: OTRACE_FUZZ_SEED.
 * Under sanitizers any over-read ends the run; so does a broken promise of the decoder. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "profile_check.h"
#include "read/decode.h"
#include "synth.h"

#define CHUNK 512u
#define SEEDS 6u

struct image {
    char *bytes;
    size_t size;
};

static struct image seeds[SEEDS];
static uint64_t state;

static uint32_t pick(uint32_t limit) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % limit;
}

static void random_calls(struct synth *synth, struct synth_thread *thread, uint32_t count) {
    uint64_t now = thread->tick;
    for (uint32_t i = 0; i < count && synth->slots < synth->header->chunk_count; i++) {
        now += pick(20) == 0 ? pick(1u << 22) : pick(400);
        uint32_t kind = 1 + pick(6), id = pick(10) ? 1 + pick(8) : pick(40000);
        switch (pick(13)) {
        case 0:
            synth_record(synth, thread, OTRACE_X_EVENT_BEGIN, 0, now,
                         (otrace_word[]){1 + pick(30), 5, 6, 3 | 8 << 8, 7, 0}, 6);
            break;
        case 1:
            synth_record(synth, thread, OTRACE_X_EVENT_END, 0, now,
                         (otrace_word[]){1 + pick(30), pick(3), 6, 5 | 3 << 8, 0x62a0edff}, 5);
            break;
        case 2:
            synth_record(synth, thread, OTRACE_X_INSTANT, pick(4), now,
                         (otrace_word[]){5, 6, 8 | 16 << 8, 4 | 8 << 8, 0, 0x7ff80000, 2}, 7);
            break;
        case 3:
            synth_record(synth, thread, OTRACE_X_COUNTER, 0, now,
                         (otrace_word[]){5, 6, 4 | 8 << 8, 0, 0x40000000}, 5);
            break;
        case 4:
            thread->tick = now;
            synth_sync(synth, thread, now);
            break;
        case 5:
            synth_record(synth, thread, OTRACE_X_TASK_INFO, pick(64), now,
                         (otrace_word[]){pick(4), pick(4), pick(20), 5 | 3 << 8, 0x620a61}, 5);
            break;
        case 6:
            synth_record(synth, thread, OTRACE_X_FLOW, 0, now, (otrace_word[]){pick(9)}, 1);
            break;
        case 7:
            synth_record(synth, thread, OTRACE_X_SPAN_END, pick(128), now,
                         (otrace_word[]){pick(9), 0, 0, 0, pick(3), 0, pick(9), 0, pick(90), 0,
                                         pick(50), 0, 5 | 3 << 8, 0x620a61, 4, 2},
                         16);
            break;
        case 8:
            synth_words(synth, thread,
                        (otrace_word[]){OTRACE_LONG(OTRACE_X_ARRIVE, pick(9)),
                                        OTRACE_LONG(OTRACE_X_ACT, pick(20)),
                                        OTRACE_LONG(OTRACE_X_TASK, pick(4)),
                                        OTRACE_LONG(OTRACE_X_HIGH, pick(2) ? 0 : pick(1 << 16))},
                        1 + pick(4));
            kind = pick(2) ? OTRACE_RESUME : OTRACE_YIELD;
            /* fall through */
        default:
            synth_call(synth, thread, kind, id, now, pick(8) ? -1 : (int64_t)pick(9));
            break;
        }
        if (thread->depth > 12) {
            thread->depth = pick(6);
        }
    }
}

static struct image make_seed(uint32_t number) {
    struct synth synth;
    struct synth_thread threads[2];
    state = number + 1;
    synth_create(&synth, CHUNK, 10, number % 2 ? OTRACE_CLOCK_TSC : OTRACE_CLOCK_MONOTONIC);
    synth.header->min_duration_ns = number % 3 == 2 ? 300 : 0;
    for (uint32_t id = 1; id <= 8; id++) {
        uint32_t async = id % 4 == 0 ? OTRACE_NAME_ASYNC : 0;
        synth_name(&synth, id, (1 + id % 3) | async, id % 2 ? "module" : "",
                   "na\"me\xed\xb2\x80\xff", "f.py", id);
    }
    synth_note(&synth, "spans", "1");
    for (uint32_t i = 0; i < 2; i++) {
        synth_thread(&synth, &threads[i], i + 1, "thread", 2000);
    }
    for (uint32_t round = 0; round < 40 && synth.slots < 8; round++) {
        random_calls(&synth, &threads[pick(2)], 20);
    }
    return (struct image){synth.bytes, synth.size};
}

/* ---- damage ---- */

static const uint64_t odd_numbers[] = {0,          1,          2,          0xff,
                                       0xffff,     0x10000,    0x7fffffff, 0x80000000,
                                       0xffffffff, UINT64_MAX, INT64_MAX,  UINT64_C(1) << 40};

static size_t pick_place(size_t size) {
    const size_t chunks = OTRACE_PAGE + SYNTH_META_CAPACITY;
    switch (pick(4)) {
    case 0: /* the header */
        return pick(sizeof(struct otrace_segment_header));
    case 1: /* metadata */
        return OTRACE_PAGE + pick(900);
    case 2: /* a chunk's header */
        return (chunks + pick(10) * CHUNK + pick(sizeof(struct otrace_chunk))) % size;
    default: /* records */
        return (chunks + pick(10 * CHUNK)) % size;
    }
}

static void damage(char *bytes, size_t *size) {
    for (uint32_t times = 1 + pick(4); times > 0 && *size > 16; times--) {
        size_t at = pick_place(*size), length = 1 + pick(16);
        length = length < *size - at ? length : *size - at;
        switch (pick(8)) {
        case 0:
            *size = pick(3) ? pick((uint32_t)*size) : at;
            break;
        case 1:
            for (size_t i = 0; i < length; i++) {
                bytes[at + i] = (char)pick(256);
            }
            break;
        case 2: {
            uint64_t number = odd_numbers[pick(sizeof odd_numbers / sizeof odd_numbers[0])];
            size_t width = pick(2) ? 4 : 8;
            at &= ~(width - 1);
            memcpy(bytes + at, &number, at + width <= *size ? width : 0);
            break;
        }
        case 3: { /* a piece of another segment, or of another place */
            const struct image *other = &seeds[pick(SEEDS)];
            size_t from = pick_place(other->size);
            length = pick(600);
            length = length < *size - at ? length : *size - at;
            length = length < other->size - from ? length : other->size - from;
            memcpy(bytes + at, other->bytes + from, length);
            break;
        }
        case 4: /* a word of a kind that matters */
            at &= ~(size_t)3;
            if (at + 4 <= *size) {
                otrace_word word = OTRACE_LONG(pick(32), pick(6) | pick(32) << 16);
                memcpy(bytes + at, &word, 4);
            }
            break;
        case 5:
            memset(bytes + at, pick(2) ? 0 : 0xff, length);
            break;
        default:
            bytes[at] = (char)(bytes[at] ^ 1 << pick(8));
            break;
        }
    }
}

/* ---- what must hold for any input ---- */

static uint64_t edges_limit;

static void check_decoder(struct otrace_segment *segment, uint32_t track,
                          const struct otrace_clock *clock, uint32_t options) {
    struct otrace_decoder *decoder;
    CHECK_EQUAL(otrace_decoder_new(segment, track, clock, options, &decoder), 0);
    struct otrace_edge edge;
    uint64_t edges = 0, depth = 0;
    int64_t last = -1;
    int status;
    while ((status = otrace_decoder_next(decoder, &edge)) > 0) {
        CHECK(++edges < edges_limit); /* it ends */
        CHECK(edge.start_ns >= 0 && edge.end_ns >= edge.start_ns);
        if (edge.kind == OTRACE_EDGE_BEGIN || edge.kind == OTRACE_EDGE_END) {
            int64_t at = edge.kind == OTRACE_EDGE_BEGIN ? edge.start_ns : edge.end_ns;
            CHECK(at >= last); /* in the order of time */
            last = at;
        }
        if (options & OTRACE_DECODE_BEGINS) {
            depth += edge.kind == OTRACE_EDGE_BEGIN;
            CHECK(edge.kind != OTRACE_EDGE_END || depth > 0); /* every end has its begin */
            depth -= edge.kind == OTRACE_EDGE_END;
        }
        volatile otrace_word sum = 0; /* attributes are readable */
        for (uint32_t i = 0; i < edge.begin_attributes.count; i++) {
            sum += edge.begin_attributes.words[i];
        }
        for (uint32_t i = 0; i < edge.end_attributes.count; i++) {
            sum += edge.end_attributes.words[i];
        }
    }
    CHECK_EQUAL(status, 0);
    otrace_decoder_free(decoder);
}

typedef int (*advance)(void *cursor, char *block, size_t capacity, size_t *written);

static void drain(advance next, void *cursor) {
    static char block[OTRACE_PAGE];
    size_t written, total = 0;
    do {
        CHECK_EQUAL(next(cursor, block, sizeof block, &written), 0);
        CHECK(written <= sizeof block);
        total += written;
        CHECK(total < 100u << 20);
    } while (written > 0);
}

static void check_encoders(struct otrace_segment *segment, uint32_t track,
                           const struct otrace_clock *clock) {
    struct otrace_chrome *chrome;
    CHECK_EQUAL(otrace_chrome_new(segment, track, clock, 1, 2, &chrome), 0);
    drain((advance)otrace_chrome_next, chrome);
    otrace_chrome_free(chrome);
    struct otrace_perfetto_track description = {
        .sequence = 1, .process_uuid = 1, .thread_uuid = 2, .thread_name = "t"};
    struct otrace_perfetto *perfetto;
    CHECK_EQUAL(otrace_perfetto_new(segment, track, clock, &description, &perfetto), 0);
    drain((advance)otrace_perfetto_next, perfetto);
    otrace_perfetto_free(perfetto);
}

static void check_columns(struct otrace_segment *segment, uint32_t track,
                          const struct otrace_clock *clock) {
    static int64_t times[3][64];
    static uint32_t numbers[6][64];
    static uint64_t index[64];
    struct otrace_columns columns = {64,         times[0],   times[1],  numbers[0],
                                     numbers[1], index,      times[2],  numbers[2],
                                     numbers[3], numbers[4], numbers[5]};
    struct otrace_batches *batches;
    struct otrace_batch batch;
    CHECK_EQUAL(otrace_batches_new(segment, track, clock, &batches), 0);
    do {
        CHECK_EQUAL(otrace_batches_next(batches, &columns, &batch), 0);
        CHECK(batch.rows <= 64);
        for (uint32_t i = 0; i < batch.marks_count; i++) {
            CHECK(batch.marks[i].offset + batch.marks[i].words <= batch.payload_words);
        }
    } while (batch.rows + batch.marks_count > 0);
    otrace_batches_free(batches);
    struct otrace_track_summary summary;
    CHECK_EQUAL(otrace_track_summarize(segment, track, clock, &summary), 0);
}

static void check_tasks(struct otrace_segment *segment, const struct otrace_clock *clock) {
    static int64_t times[3][64];
    static uint32_t numbers[6][64];
    static uint64_t awaits[64];
    struct otrace_task_call_columns calls = {64,         times[0],   times[1],   times[2],
                                             awaits,     numbers[0], numbers[1], numbers[2],
                                             numbers[3], numbers[4], numbers[5]};
    struct otrace_task_step_columns steps = {64,         times[0],   times[1],  numbers[0],
                                             numbers[1], numbers[2], numbers[3]};
    struct otrace_tasks *tasks;
    uint64_t counts[3], seen = 0, rows;
    CHECK_EQUAL(otrace_tasks_new(segment, clock, &tasks), 0);
    otrace_tasks_counts(tasks, &counts[0], &counts[1], &counts[2]);
    for (uint64_t i = 0; i < counts[0]; i++) {
        struct otrace_task_info info;
        CHECK_EQUAL(otrace_tasks_get(tasks, i, &info), 0);
        CHECK(info.id != 0 && info.name.size < SIZE_MAX / 2);
    }
    for (; (rows = otrace_tasks_read_calls(tasks, seen, &calls)) > 0; seen += rows) {
        for (uint64_t i = 0; i < rows; i++) {
            CHECK(calls.activation[i] != 0 && calls.duration_ns[i] >= -1);
        }
    }
    CHECK_EQUAL(seen, counts[1]);
    for (seen = 0; (rows = otrace_tasks_read_steps(tasks, seen, &steps)) > 0; seen += rows) {
        for (uint64_t i = 0; i < rows; i++) {
            CHECK(steps.task[i] != 0 && steps.duration_ns[i] >= 0);
        }
    }
    CHECK_EQUAL(seen, counts[2]);
    otrace_tasks_free(tasks);
    struct otrace_perfetto_track description = {.sequence = 1, .process_uuid = 1};
    struct otrace_chrome_tasks *chrome;
    CHECK_EQUAL(otrace_chrome_tasks_new(segment, clock, 1, 2, &chrome), 0);
    drain((advance)otrace_chrome_tasks_next, chrome);
    otrace_chrome_tasks_free(chrome);
    struct otrace_chrome_spans *chrome_spans;
    CHECK_EQUAL(otrace_chrome_spans_new(segment, clock, 1, 2, "http://j", &chrome_spans), 0);
    drain((advance)otrace_chrome_spans_next, chrome_spans);
    otrace_chrome_spans_free(chrome_spans);
    struct otrace_perfetto_spans *perfetto_spans;
    CHECK_EQUAL(otrace_perfetto_spans_new(segment, clock, &description, "", &perfetto_spans), 0);
    drain((advance)otrace_perfetto_spans_next, perfetto_spans);
    otrace_perfetto_spans_free(perfetto_spans);
    struct otrace_perfetto_tasks *perfetto;
    CHECK_EQUAL(otrace_perfetto_tasks_new(segment, clock, &description, &perfetto), 0);
    drain((advance)otrace_perfetto_tasks_next, perfetto);
    otrace_perfetto_tasks_free(perfetto);
}

static void check_segment(struct otrace_segment *segment) {
    struct otrace_segment_info info;
    otrace_segment_get_info(segment, &info);
    struct otrace_clock *clock;
    CHECK_EQUAL(otrace_clock_new(info.clock_kind, &clock), 0);
    CHECK_EQUAL(otrace_clock_add(clock, segment), 0);
    CHECK_EQUAL(otrace_clock_fit(clock, info.start_mono_ns), 0);
    struct otrace_name_info name;
    for (uint32_t id = 0; id <= info.names + 1; id++) {
        otrace_segment_get_name(segment, id, &name);
    }
    for (uint32_t track = 0; track < info.tracks; track++) {
        struct otrace_track_info track_info;
        CHECK_EQUAL(otrace_segment_get_track(segment, track, &track_info), 0);
        if (track_info.chunks == 0 && pick(8)) {
            continue;
        }
        check_decoder(segment, track, clock, 0);
        check_decoder(segment, track, clock, OTRACE_DECODE_BEGINS);
        check_columns(segment, track, clock);
        check_encoders(segment, track, clock);
    }
    check_tasks(segment, clock);
    profile_check(segment, clock);
    struct otrace_dump *dump;
    CHECK_EQUAL(otrace_dump_new(segment, &dump), 0);
    drain((advance)otrace_dump_next, dump);
    otrace_dump_free(dump);
    otrace_clock_free(clock);
}

static uint64_t number_from(const char *variable, uint64_t standard) {
    const char *text = getenv(variable);
    return text == NULL ? standard : strtoull(text, NULL, 10);
}

int main(void) {
    uint64_t runs = number_from("OTRACE_FUZZ_RUNS", 20000);
    uint64_t first = number_from("OTRACE_FUZZ_SEED", 1), opened = 0;
    for (uint32_t i = 0; i < SEEDS; i++) {
        seeds[i] = make_seed(i);
    }
    char *bytes = malloc(seeds[0].size);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(bytes != NULL && fd >= 0);
    edges_limit = 4 * seeds[0].size;
    for (uint64_t run = 0; run < runs; run++) {
        state = (first + run) * UINT64_C(0x9e3779b97f4a7c15);
        const struct image *seed = &seeds[pick(SEEDS)];
        size_t size = seed->size;
        memcpy(bytes, seed->bytes, size);
        if (run >= SEEDS) {
            damage(bytes, &size);
        }
        CHECK(ftruncate(fd, (off_t)size) == 0 && pwrite(fd, bytes, size, 0) == (ssize_t)size);
        struct otrace_segment *segment;
        struct otrace_read_problem problem;
        if (otrace_segment_open(fd, &segment, &problem) == 0) {
            opened++;
            check_segment(segment);
            otrace_segment_free(segment);
        }
    }
    printf("%" PRIu64 " inputs, %" PRIu64 " of them readable\n", runs, opened);
    CHECK(opened * 2 > runs || runs < 100); /* most damage is met behind the door */
    for (uint32_t i = 0; i < SEEDS; i++) {
        free(seeds[i].bytes);
    }
    free(bytes);
    close(fd);
    return 0;
}
