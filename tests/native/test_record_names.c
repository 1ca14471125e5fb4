/* Names: an id means the same in every segment of a process, and of its forked children. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "record/names.h"
#include "record_shadow.h"

static struct otrace_text text(const char *value) {
    return (struct otrace_text){value, strlen(value)};
}

static uint32_t add(enum otrace_name_kind kind, uint32_t line, const char *name) {
    return otrace_names_add(kind, line, text("some.module"), text(name), text("/path/file.py"));
}

static void check_name(const struct record_file *file, uint32_t id, uint32_t line,
                       const char *name) {
    const struct otrace_meta *meta = record_meta_find(file, OTRACE_META_NAME, id);
    CHECK(meta != NULL);
    CHECK_EQUAL(meta->line, line);
    CHECK(record_meta_is(meta, 0, "some.module"));
    CHECK(record_meta_is(meta, 1, name));
    CHECK(record_meta_is(meta, 2, "/path/file.py"));
}

static void check_each_id_once(const struct record_file *file, uint32_t last) {
    CHECK_EQUAL(record_meta_count(file, OTRACE_META_NAME), last);
    for (uint32_t id = 1; id <= last; id++) {
        CHECK(record_meta_find(file, OTRACE_META_NAME, id) != NULL);
    }
}

static void test_names_live_over_restarts(void) {
    struct record_file file;
    shadow_start(1 << 20, 0);
    uint32_t first = add(OTRACE_NAME_PYTHON, 10, "first");
    uint32_t second = add(OTRACE_NAME_C, 0, "second");
    CHECK_EQUAL(first, OTRACE_NAME_UNKNOWN + 1);
    CHECK_EQUAL(second, first + 1);
    shadow_stop(&file);
    check_each_id_once(&file, second);
    CHECK_EQUAL(record_meta_find(&file, OTRACE_META_NAME, second)->kind, OTRACE_NAME_C);
    record_file_free(&file);

    uint32_t between = add(OTRACE_NAME_PYTHON, 30, "while nothing records");
    shadow_start(1 << 20, 0);
    uint32_t later = add(OTRACE_NAME_PYTHON, 40, "later");
    CHECK_EQUAL(later, between + 1);
    shadow_stop(&file);
    check_each_id_once(&file, later);
    check_name(&file, first, 10, "first");
    check_name(&file, between, 30, "while nothing records");
    check_name(&file, later, 40, "later");
    record_file_free(&file);
}

static void test_notes_belong_to_their_segment(void) {
    struct record_file file;
    CHECK(otrace_names_note(OTRACE_META_PROCESS_NAME, 0, text("nobody"), text("")) != 0);
    shadow_start(1 << 20, 0);
    CHECK_EQUAL(otrace_names_note(OTRACE_META_NOTE, 0, text("key"), text("a value")), 0);
    CHECK_EQUAL(otrace_names_note(OTRACE_META_THREAD_NAME, 7, text("old"), text("")), 0);
    CHECK_EQUAL(otrace_names_note(OTRACE_META_THREAD_NAME, 7, text("new"), text("")), 0);
    shadow_stop(&file);
    const struct otrace_meta *note = record_meta_find(&file, OTRACE_META_NOTE, 0);
    CHECK(note != NULL && record_meta_is(note, 0, "key") && record_meta_is(note, 1, "a value"));
    CHECK(record_meta_is(record_meta_find(&file, OTRACE_META_THREAD_NAME, 7), 0, "new"));
    CHECK_EQUAL(record_meta_count(&file, OTRACE_META_PROCESS_NAME), 0);
    record_file_free(&file);
    shadow_start(1 << 20, 0);
    shadow_stop(&file);
    CHECK_EQUAL(record_meta_count(&file, OTRACE_META_NOTE), 0);
    record_file_free(&file);
}

static void test_odd_texts(void) {
    static char longest[10000];
    struct record_file file;
    memset(longest, 'n', sizeof longest);
    shadow_start(1 << 20, 0);
    struct otrace_text none = {"", 0}, with_zero = {"a\0b", 3}, large = {longest, sizeof longest};
    uint32_t empty = otrace_names_add(OTRACE_NAME_TEXT, 0, none, none, none);
    uint32_t zero = otrace_names_add(OTRACE_NAME_TEXT, 0, none, with_zero, none);
    uint32_t cut = otrace_names_add(OTRACE_NAME_TEXT, 0, large, large, large);
    shadow_stop(&file);
    CHECK_EQUAL(record_meta_find(&file, OTRACE_META_NAME, empty)->text_size[1], 0);
    const struct otrace_meta *meta = record_meta_find(&file, OTRACE_META_NAME, zero);
    CHECK(meta->text_size[1] == 3 && memcmp(meta + 1, "a\0b", 3) == 0);
    CHECK_EQUAL(record_meta_find(&file, OTRACE_META_NAME, cut)->text_size[2], 4096);
    record_file_free(&file);
}

/* The child's first act is a name, before any record: it must not reach the parent's segment. */
static void test_names_of_a_forked_child(void) {
    struct record_file file, child_file;
    char path[4096], child[4200];
    shadow_start(1 << 20, 0);
    uint32_t known = add(OTRACE_NAME_PYTHON, 50, "before the fork");
    strcpy(path, otrace_recorder.segment.path);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK_EQUAL(add(OTRACE_NAME_PYTHON, 60, "of the child"), known + 1);
        CHECK(strcmp(path, otrace_recorder.segment.path) != 0);
        CHECK_EQUAL(otrace_recorder_end(), 0);
        _exit(0);
    }
    int status;
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(add(OTRACE_NAME_PYTHON, 70, "of the parent"), known + 1);
    snprintf(child, sizeof child, "%.*s/%ld-0.segment", (int)(strrchr(path, '/') - path), path,
             (long)pid);
    record_file_load(&child_file, child);
    shadow_stop(&file);
    check_each_id_once(&file, known + 1);
    check_name(&file, known + 1, 70, "of the parent");
    check_each_id_once(&child_file, known + 1);
    check_name(&child_file, known, 50, "before the fork");
    check_name(&child_file, known + 1, 60, "of the child");
    CHECK_EQUAL(child_file.header->pid, pid);
    CHECK_EQUAL(child_file.header->parent_pid, getpid());
    record_file_free(&file);
    record_file_free(&child_file);
    unlink(child);
}

/* With the metadata full, new names are one unknown name; threads can still be recorded, now and
 * in recordings to come. */
static void test_more_names_than_there_is_room_for(void) {
    static char large[4096];
    struct record_file file;
    memset(large, 'x', sizeof large);
    struct otrace_text longest = {large, sizeof large}, none = {"", 0};
    shadow_start(1 << 20, 0);
    uint32_t id = 0, dropped = 0;
    while (dropped < 10) {
        id = otrace_names_add(OTRACE_NAME_PYTHON, 0, longest, longest, longest);
        dropped += id == OTRACE_NAME_UNKNOWN;
    }
    while (add(OTRACE_NAME_C, 0, "s") != OTRACE_NAME_UNKNOWN) {
    }
    while (otrace_names_add(OTRACE_NAME_TEXT, 0, none, none, none) != OTRACE_NAME_UNKNOWN) {
    }
    for (int recording = 0; recording < 2; recording++) {
        shadow_hot_begin(OTRACE_BEGIN, 2);
        shadow_hot_end(OTRACE_END, 2);
        CHECK(otrace_thread_self->id != 0);
        shadow_stop(&file);
        CHECK(recording == 1 || file.header->dropped_names >= dropped);
        CHECK_EQUAL(record_meta_count(&file, OTRACE_META_THREAD), 1);
        CHECK_EQUAL(file.count, 1);
        record_file_free(&file);
        if (recording == 0) {
            shadow_start(1 << 20, 0);
        }
    }
}

int main(void) {
    test_names_live_over_restarts();
    test_notes_belong_to_their_segment();
    test_odd_texts();
    test_names_of_a_forked_child();
    test_more_names_than_there_is_room_for();
    return 0;
}
