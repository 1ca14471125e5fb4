#include "record/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record/names.h"
#include "record/states.h"
#include "record/thread.h"

struct otrace_recorder otrace_recorder;

static int open_segment(struct otrace_recorder *recorder) {
    int status = otrace_segment_create(&recorder->segment, &recorder->options);
    if (status != 0) {
        return status;
    }
    recorder->closed = calloc(recorder->segment.header->chunk_count, sizeof *recorder->closed);
    recorder->closed_first = recorder->closed_end = 0;
    recorder->next_thread_id = 1;
    otrace_recorder_lock();
    status = recorder->closed == NULL ? -ENOMEM : otrace_names_replay(&recorder->segment);
    otrace_recorder_unlock();
    if (status == 0 && recorder->process_name[0] != '\0') {
        struct otrace_text name = {recorder->process_name, strlen(recorder->process_name)};
        otrace_names_note(OTRACE_META_PROCESS_NAME, 0, name, (struct otrace_text){"", 0});
    }
    if (status == 0) {
        otrace_recorder_warn(recorder->warning);
    }
    if (status != 0) {
        unlink(recorder->segment.path);
        otrace_segment_forget(&recorder->segment);
        free(recorder->closed);
        recorder->closed = NULL;
    }
    return status;
}

static void forked(void) {
    struct otrace_recorder *recorder = &otrace_recorder;
    bool recorded = recorder->recording;
    otrace_states_reset();
    otrace_segment_forget(&recorder->segment);
    free(recorder->closed);
    recorder->closed = NULL;
    recorder->inherited = true;
    if (recorder->host.forked != NULL) {
        recorder->host.forked();
    }
    recorder->recording = recorded && recorder->follow_forks && open_segment(recorder) == 0;
}

void otrace_recorder_notice_fork(void) {
    if (!otrace_states_alive()) {
        int saved = errno; /* the program must not see ours */
        forked();
        errno = saved;
    }
}

int otrace_recorder_begin(const struct otrace_segment_options *options, bool follow_forks,
                          bool inherited) {
    struct otrace_recorder *recorder = &otrace_recorder;
    int status = otrace_states_init();
    if (status != 0) {
        return status;
    }
    otrace_recorder_notice_fork();
    if (recorder->segment.header != NULL) {
        return -EBUSY;
    }
    if (strlen(options->folder) >= sizeof recorder->folder) {
        return -ENAMETOOLONG;
    }
    otrace_clock_init();
    strcpy(recorder->folder, options->folder);
    recorder->options = *options;
    recorder->options.folder = recorder->folder;
    recorder->follow_forks = follow_forks;
    recorder->inherited = inherited;
    recorder->warning = NULL;
    recorder->generation += 2;
    status = open_segment(recorder);
    recorder->recording = status == 0;
    return status;
}

int otrace_recorder_end(void) {
    struct otrace_recorder *recorder = &otrace_recorder;
    bool fresh_fork = !otrace_states_alive();
    recorder->recording = false;
    if (fresh_fork) { /* it recorded nothing: the segment is the parent's */
        otrace_recorder_notice_fork();
        return 0;
    }
    if (recorder->segment.header == NULL) {
        return -ENOENT;
    }
    otrace_states_each(otrace_thread_detach);
    otrace_segment_close(&recorder->segment);
    free(recorder->closed);
    recorder->closed = NULL;
    return 0;
}

void otrace_recorder_warn(const char *warning) {
    static const char key[] = "warning";
    otrace_recorder.warning = warning;
    if (warning != NULL) {
        otrace_names_note(OTRACE_META_NOTE, 0, (struct otrace_text){key, sizeof key - 1},
                          (struct otrace_text){warning, strlen(warning)});
    }
}

void otrace_recorder_fail(int status) {
    struct otrace_recorder *recorder = &otrace_recorder;
    recorder->recording = false;
    atomic_store_explicit(&recorder->segment.header->stop_errno, (uint32_t)-status,
                          memory_order_relaxed);
}

bool otrace_recorder_is_ours(void) {
    return otrace_states_alive();
}
