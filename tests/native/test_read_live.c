/* Reads a segment while another process writes it and takes chunks over. Whatever is shown must be
 * whole: each call carries in its duration what its id is. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "read/decode.h"
#include "synth.h"

#define CHUNK 4096u
#define CHUNKS 8u
#define READINGS 300

static void put(_Atomic otrace_word *at, otrace_word word) {
    atomic_store_explicit(at, word, memory_order_release);
}

/* The writer's order of stores, as docs/segment-format.md has it. */
static _Atomic otrace_word *take_over(struct synth *synth, uint64_t sequence, uint64_t tick) {
    struct otrace_chunk *chunk = synth_slot(synth, (uint32_t)(sequence % CHUNKS));
    atomic_store(&chunk->sequence, 0);
    atomic_store(&chunk->state, OTRACE_CHUNK_FREE);
    memset(chunk + 1, 0, CHUNK - sizeof *chunk);
    chunk->thread_id = 1;
    chunk->thread_sequence = sequence;
    chunk->anchor = (struct otrace_anchor){tick, tick, tick};
    atomic_store(&chunk->state, OTRACE_CHUNK_WRITING);
    atomic_store(&chunk->sequence, sequence);
    _Atomic otrace_word *at = (_Atomic otrace_word *)(chunk + 1);
    at[1] = (otrace_word)tick;
    at[2] = (otrace_word)(tick >> 32);
    at[3] = 0;
    put(at, OTRACE_LONG(OTRACE_X_SYNC, 4));
    return at + 4;
}

static void write_for_ever(struct synth *synth) {
    uint64_t tick = 1000;
    for (uint64_t sequence = 1;; sequence++) {
        _Atomic otrace_word *at = take_over(synth, sequence, tick);
        uint32_t room = (CHUNK - (uint32_t)sizeof(struct otrace_chunk)) / 4 - 4;
        for (uint32_t i = 0; i + 2 <= room; i += 2) {
            uint32_t id = 1 + (uint32_t)(sequence + i) % 4000;
            put(at++, OTRACE_WORD(OTRACE_BEGIN, id, 7));
            put(at++, OTRACE_WORD(OTRACE_END, id, id));
            tick += 7 + id;
        }
        atomic_store(&synth_slot(synth, (uint32_t)(sequence % CHUNKS))->state, OTRACE_CHUNK_CLOSED);
    }
}

/* One reading; the number of calls shown. */
static uint64_t read_once(int fd) {
    struct otrace_segment *segment;
    struct otrace_read_problem problem;
    CHECK_EQUAL(otrace_segment_open(fd, &segment, &problem), 0);
    struct otrace_clock *clock;
    CHECK_EQUAL(otrace_clock_new(OTRACE_CLOCK_MONOTONIC, &clock), 0);
    CHECK_EQUAL(otrace_clock_fit(clock, 1000), 0);
    struct otrace_decoder *decoder;
    CHECK_EQUAL(otrace_decoder_new(segment, 0, clock, 0, &decoder), 0);
    struct otrace_edge edge;
    uint64_t calls = 0;
    while (otrace_decoder_next(decoder, &edge) > 0) {
        if (edge.kind == OTRACE_EDGE_END && !(edge.flags & OTRACE_CALL_INFERRED)) {
            CHECK_EQUAL(edge.end_ns - edge.start_ns, edge.id);
            calls++;
        }
    }
    struct otrace_decode_counts counts;
    otrace_decoder_counts(decoder, &counts);
    struct otrace_segment_info info;
    otrace_segment_get_info(segment, &info);
    CHECK_EQUAL((info.warnings & OTRACE_WARN_TAKEN_OVER) != 0, counts.taken_over != 0);
    CHECK_EQUAL(info.warnings & OTRACE_WARN_RECORDS, 0);
    otrace_decoder_free(decoder);
    otrace_clock_free(clock);
    otrace_segment_free(segment);
    return calls;
}

int main(void) {
    struct synth synth;
    struct synth_thread thread;
    synth_create(&synth, CHUNK, CHUNKS, OTRACE_CLOCK_MONOTONIC);
    synth_thread(&synth, &thread, 1, "writer", 1000);
    synth.header->chunks_used = CHUNKS;
    int fd = synth_bytes_file(synth.bytes, synth.size);
    char *shared = mmap(NULL, synth.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(shared != MAP_FAILED);
    free(synth.bytes);
    synth.bytes = shared;
    synth.header = (struct otrace_segment_header *)shared;
    pid_t writer = fork();
    CHECK(writer >= 0);
    if (writer == 0) {
        write_for_ever(&synth);
    }
    uint64_t calls = 0;
    for (int i = 0; i < READINGS || (calls == 0 && i < 100 * READINGS); i++) {
        calls += read_once(fd);
    }
    kill(writer, SIGKILL);
    CHECK_EQUAL(waitpid(writer, NULL, 0), writer);
    CHECK(calls > 0);
    CHECK(read_once(fd) > 0); /* what a killed process leaves behind */
    munmap(shared, synth.size);
    close(fd);
    return 0;
}
