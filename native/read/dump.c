/* Raw records as text:
 *
 *   12 1 84 BEGIN 5 +120 __main__.fib
 *
 * chunk sequence, thread id, offset in the segment, kind, id, time in ticks since the record
 * before (or @ the tick itself), and the name. `#` lines tell of chunks. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "read/output.h"
#include "read/segment.h"
#include "read/text.h"
#include "words.h"

#define LINE_MAX_BYTES 256u

struct otrace_dump {
    struct otrace_segment *segment;
    struct otrace_chunk_entry *entries; /* by sequence */
    uint32_t next;
    char *chunk;
    const struct otrace_chunk_entry *entry;
    const otrace_word *position, *end; /* equal: the next chunk */
    struct otrace_output output;
};

static int compare(const void *left, const void *right) {
    const struct otrace_chunk_entry *a = left, *b = right;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

int otrace_dump_new(struct otrace_segment *segment, struct otrace_dump **out) {
    struct otrace_dump *dump = *out = calloc(1, sizeof *dump);
    if (dump == NULL) {
        return OTRACE_READ_NO_MEMORY;
    }
    size_t size = segment->entries_count * sizeof *dump->entries;
    dump->segment = segment;
    dump->chunk = malloc(segment->header.chunk_size);
    dump->entries = malloc(size + 1);
    if (dump->chunk == NULL || dump->entries == NULL) {
        otrace_dump_free(dump);
        *out = NULL;
        return OTRACE_READ_NO_MEMORY;
    }
    if (size > 0) {
        memcpy(dump->entries, segment->entries, size);
        qsort(dump->entries, segment->entries_count, sizeof *dump->entries, compare);
    }
    return OTRACE_READ_OK;
}

void otrace_dump_free(struct otrace_dump *dump) {
    if (dump != NULL) {
        free(dump->chunk);
        free(dump->entries);
        otrace_output_free(&dump->output);
        free(dump);
    }
}

__attribute__((format(printf, 2, 3))) static void print(struct otrace_dump *dump,
                                                        const char *format, ...) {
    char line[LINE_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    otrace_output_append(&dump->output, line,
                         (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}

static void print_name(struct otrace_dump *dump, uint32_t id) {
    struct otrace_name_info info;
    otrace_segment_get_name(dump->segment, id, &info);
    struct otrace_output *output = &dump->output;
    char *to = otrace_output_reserve(output, info.display.size * OTRACE_JSON_GROWTH + 2);
    if (to != NULL) {
        if (info.display.size > 0) {
            *to++ = ' ';
        }
        to = otrace_write_json(to, info.display.text, info.display.size); /* one line a record */
        *to++ = '\n';
        otrace_output_commit(output, to);
    }
}

static void dump_short(struct otrace_dump *dump, otrace_word word) {
    static const char *const kinds[] = {"", "BEGIN", "END", "C_BEGIN", "C_END", "RESUME", "YIELD"};
    uint32_t id = otrace_word_id(word);
    print(dump, "%s %u +%u", kinds[otrace_word_kind(word)], id, otrace_word_delta(word));
    print_name(dump, id);
}

static void dump_prefix(struct otrace_dump *dump, otrace_word word) {
    static const char *const kinds[] = {"", "TIME", "ID", "EXC", "ACT", "TASK", "HIGH", "ARRIVE"};
    uint32_t sub = otrace_word_sub(word);
    print(dump, "%s %u", kinds[sub], otrace_word_argument(word));
    if (sub == OTRACE_X_EXC) {
        print_name(dump, otrace_word_argument(word));
    } else {
        print(dump, "\n");
    }
}

static void dump_long(struct otrace_dump *dump, const otrace_word *word) {
    uint32_t flags = otrace_record_flags(*word), words = *word & 0xffff;
    uint32_t sub = otrace_word_sub(*word);
    uint64_t tick = words >= 3 ? otrace_words_tick(word + 1) : 0;
    switch (sub) {
    case OTRACE_X_TICK:
        print(dump, "TICK @%" PRIu64 "\n", tick);
        break;
    case OTRACE_X_SYNC:
        print(dump, "SYNC @%" PRIu64 " open=%u", tick, word[3]);
        if (words >= 6) {
            print(dump, " span=%016" PRIx64, otrace_words_tick(word + 4));
        }
        print(dump, "\n");
        break;
    case OTRACE_X_SPAN_BEGIN:
        print(dump, "SPAN_BEGIN %016" PRIx64 " @%" PRIu64 " trace=%016" PRIx64 "%016" PRIx64 "\n",
              otrace_words_tick(word + 3), tick, otrace_words_tick(word + 5),
              otrace_words_tick(word + 7));
        break;
    case OTRACE_X_SPAN_END:
        print(dump, "SPAN_END %016" PRIx64 " @%" PRIu64 " trace=%016" PRIx64 "%016" PRIx64 "\n",
              otrace_words_tick(word + 3), tick, otrace_words_tick(word + 5),
              otrace_words_tick(word + 7));
        break;
    case OTRACE_X_SPAN_CURRENT:
        print(dump, "SPAN_CURRENT %016" PRIx64 " @%" PRIu64 "\n", otrace_words_tick(word + 3),
              tick);
        break;
    case OTRACE_X_OPEN:
        print(dump, "OPEN %u @%" PRIu64 " kind=%u%s", word[1], otrace_words_tick(word + 2),
              flags & 0xf, flags & OTRACE_OPEN_INHERITED ? " inherited" : "");
        print_name(dump, (flags & 0xf) == OTRACE_OPEN_EVENT && words > 4 ? word[4] : word[1]);
        break;
    case OTRACE_X_PAUSE:
        print(dump, "PAUSE @%" PRIu64 "\n", tick);
        break;
    case OTRACE_X_EVENT_BEGIN:
        print(dump, "EVENT_BEGIN %u @%" PRIu64 " name=%u words=%u", word[3], tick, word[4],
              words - 5);
        print_name(dump, word[4]);
        break;
    case OTRACE_X_EVENT_END:
        print(dump, "EVENT_END %u @%" PRIu64 " exception=%u words=%u", word[3], tick, word[4],
              words - 5);
        print_name(dump, word[4]);
        break;
    case OTRACE_X_INSTANT:
    case OTRACE_X_COUNTER:
        print(dump, "%s %u @%" PRIu64 " flags=%u words=%u",
              sub == OTRACE_X_INSTANT ? "INSTANT" : "COUNTER", word[3], tick, flags, words - 4);
        print_name(dump, word[3]);
        break;
    case OTRACE_X_FLOW:
        print(dump, "FLOW %u @%" PRIu64 "\n", word[3], tick);
        break;
    case OTRACE_X_TASK_INFO:
        print(dump, "TASK_INFO %u @%" PRIu64 " parent=%u root=%u flags=%u words=%u\n", word[3],
              tick, word[4], word[5], flags, words - 6);
        break;
    default:
        print(dump, "RECORD sub=%u words=%u\n", sub, words);
        break;
    }
}

static void dump_record(struct otrace_dump *dump) {
    uint64_t inside = (uint64_t)((const char *)dump->position - dump->chunk);
    uint64_t offset = dump->segment->header.chunks_offset +
                      (uint64_t)dump->entry->slot * dump->segment->header.chunk_size + inside;
    print(dump, "%" PRIu64 " %u %" PRIu64 " ", dump->entry->sequence, dump->entry->thread_id,
          offset);
    uint32_t words = otrace_record_words(dump->position, dump->end);
    if (words == 0) {
        print(dump, "UNREADABLE 0x%08x\n", *dump->position);
        dump->position = dump->end;
        return;
    }
    if (otrace_word_kind(*dump->position) != OTRACE_EXTENDED) {
        dump_short(dump, *dump->position);
    } else if (otrace_word_sub(*dump->position) < OTRACE_X_TICK) {
        dump_prefix(dump, *dump->position);
    } else {
        dump_long(dump, dump->position);
    }
    dump->position += words;
}

/* False at the end. */
static bool next_chunk(struct otrace_dump *dump) {
    if (dump->next >= dump->segment->entries_count) {
        return false;
    }
    dump->entry = &dump->entries[dump->next++];
    dump->position = dump->end = NULL;
    if (!otrace_segment_read_chunk(dump->segment, dump->entry, dump->chunk)) {
        print(dump, "# chunk %" PRIu64 " was taken over or cannot be read\n",
              dump->entry->sequence);
        return true;
    }
    const struct otrace_chunk *chunk = (const struct otrace_chunk *)dump->chunk;
    print(dump,
          "# chunk %" PRIu64 " slot=%u thread=%u thread_sequence=%" PRIu64 " state=%u tick=%" PRIu64
          " mono_ns=%" PRIu64 " calls_ended=%u records=%u\n",
          dump->entry->sequence, dump->entry->slot, chunk->thread_id, chunk->thread_sequence,
          chunk->state, chunk->anchor.tick, chunk->anchor.mono_ns, chunk->calls_ended,
          chunk->records);
    dump->position = (const otrace_word *)(chunk + 1);
    dump->end = dump->position + (dump->segment->header.chunk_size - sizeof *chunk) / 4;
    return true;
}

int otrace_dump_next(struct otrace_dump *dump, char *buffer, size_t capacity, size_t *written) {
    struct otrace_output *output = &dump->output;
    *written = 0;
    if (capacity < OTRACE_BLOCK_MIN) {
        return OTRACE_READ_ARGUMENT;
    }
    otrace_output_begin(output, buffer, capacity);
    while (!otrace_output_full(output)) {
        if (dump->position == dump->end || *dump->position == 0) {
            if (!next_chunk(dump)) {
                break;
            }
        } else {
            dump_record(dump);
        }
        if (output->spill_size > 0) {
            otrace_output_drain(output);
        }
    }
    *written = (size_t)(output->to - buffer);
    return output->failed ? OTRACE_READ_NO_MEMORY : OTRACE_READ_OK;
}
