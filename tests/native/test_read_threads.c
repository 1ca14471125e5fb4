/* One segment and one clock serve decoders on several threads at once, also when the first of them
 * has to look for events that end on other threads. Meant for the thread sanitizer. */
#include <pthread.h>
#include <unistd.h>

#include "check.h"
#include "read/decode.h"
#include "synth.h"

#define THREADS 4
#define EVENTS 200u

static struct otrace_segment *segment;
static struct otrace_clock *clock_of_all;

static void *decode_all(void *unused) {
    (void)unused;
    for (uint32_t track = 0; track < 2; track++) {
        struct otrace_decoder *decoder;
        struct otrace_edge edge;
        uint32_t whole = 0;
        CHECK_EQUAL(otrace_decoder_new(segment, track, clock_of_all, 0, &decoder), 0);
        while (otrace_decoder_next(decoder, &edge) > 0) {
            whole += edge.kind == OTRACE_EDGE_EVENT && !(edge.flags & OTRACE_CALL_OPEN);
        }
        otrace_decoder_free(decoder);
        CHECK_EQUAL(whole, track == 0 ? EVENTS : 0);
    }
    return NULL;
}

int main(void) {
    struct synth synth;
    struct synth_thread begins, ends;
    synth_create(&synth, 2048, 64, OTRACE_CLOCK_MONOTONIC);
    synth_thread(&synth, &begins, 1, "begins", 1000);
    synth_thread(&synth, &ends, 2, "ends", 1000);
    for (uint32_t i = 0; i < EVENTS; i++) {
        uint64_t tick = 2000 + 100 * i;
        synth_call(&synth, &begins, OTRACE_BEGIN, 3, tick - 10, -1);
        synth_record(&synth, &begins, OTRACE_X_EVENT_BEGIN, 0, tick, (otrace_word[]){1 + i, 5}, 2);
        synth_call(&synth, &begins, OTRACE_END, 3, tick + 10, -1);
        begins.depth = 0;
        synth_record(&synth, &ends, OTRACE_X_EVENT_END, 0, tick + 50, (otrace_word[]){1 + i, 0}, 2);
    }
    int fd = synth_file(&synth);
    struct otrace_read_problem problem;
    CHECK_EQUAL(otrace_segment_open(fd, &segment, &problem), 0);
    close(fd);
    CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_MONOTONIC, &clock_of_all), 0);
    CHECK_EQUAL(otrace_clock_fit(clock_of_all, 1000), 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQUAL(pthread_create(&threads[i], NULL, decode_all, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    }
    otrace_clock_free(clock_of_all);
    otrace_segment_free(segment);
    synth_free(&synth);
    return 0;
}
