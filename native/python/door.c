/* The door's Python half: takes the GIL, puts the recorder and the hook together. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_record.h"
#include "python/contexts.h"
#include "python/events.h"
#include "python/flows.h"
#include "python/governor.h"
#include "python/greenlets.h"
#include "python/hook.h"
#include "python/setprofile.h"
#include "python/texts.h"
#include "record/filter.h"
#include "record/recorder.h"
#include "record/usage.h"

static int hook_kind;
static const char no_governor[] = "the overhead is not bounded: switching functions off while they "
                                  "run takes sys.monitoring, of Python 3.12";

/* In order at exit: a process that leaves by exit() ends its segment; one that is killed does not
 * need to. Forked children that did not record leave their parent's alone. */
static void at_exit(void) {
    if (otrace_recorder_is_ours() && otrace_recorder.segment.header != NULL) {
        otrace_recorder.recording = false;
        otrace_usage_scan_open();
        otrace_segment_end(&otrace_recorder.segment);
    }
}

static void write_notes(const char *lines) {
    while (lines != NULL && *lines != '\0') {
        size_t size = strcspn(lines, "\n"), key = strcspn(lines, "=\n");
        size_t value = key < size ? key + 1 : size;
        otrace_names_note(OTRACE_META_NOTE, 0, (struct otrace_text){lines, key},
                          (struct otrace_text){lines + value, size - value});
        lines += size + (lines[size] == '\n');
    }
}

static int start(const struct otrace_record_options *options) {
    struct otrace_filter_options filter = {options->include, options->exclude,
                                           options->exclude_functions, options->library_paths,
                                           options->own_path};
    struct otrace_segment_options segment = {
        .folder = options->folder,
        .buffer_size = options->buffer_size,
        .min_duration_ns = options->min_duration_ns,
        .max_depth = options->max_depth,
        .flags = options->c_calls ? OTRACE_SEGMENT_C_CALLS : 0,
        .python_version = PY_VERSION_HEX,
    };
    static bool exit_registered;
    const char *warning = NULL;
    int changed = otrace_filter_set(&filter);
    if (changed < 0) {
        return changed;
    }
    otrace_recorder.host.thread_started = otrace_threads_started;
    otrace_recorder.host.forked = otrace_governor_forked;
    snprintf(otrace_recorder.process_name, sizeof otrace_recorder.process_name, "%s",
             options->process_name);
    int status = otrace_recorder_begin(&segment, options->follow_forks, options->inherited);
    if (status != 0) {
        return status;
    }
    write_notes(options->notes);
    if (!exit_registered) {
        exit_registered = atexit(at_exit) == 0;
    }
    otrace_tasks_begin_recording();
    otrace_governor_begin(options->overhead);
    otrace_flows_begin_recording();
    otrace_greenlets_begin_recording();
    hook_kind = otrace_functions_begin(otrace_recorder.generation) != 0 ||
                        otrace_callables_begin(changed) != 0
                    ? -1
                    : otrace_hook_install(options->c_calls, &warning);
    if (hook_kind < 0) {
        PyErr_Clear();
        hook_kind = 0;
        otrace_recorder_end();
        otrace_governor_end();
        return -ENOTSUP;
    }
    otrace_recorder.segment.header->flags |= (uint32_t)hook_kind << OTRACE_SEGMENT_HOOK_SHIFT;
    if (hook_kind == OTRACE_HOOK_MONITORING) {
        otrace_governor_hooked();
    } else if (options->overhead > 0) {
        otrace_governor_end();
        warning = warning != NULL ? warning : no_governor;
    }
    otrace_recorder_warn(warning);
    otrace_setprofile_wrap();
    return 0;
}

/* Events, callbacks and objects belong to one interpreter: we live in the main one. */
static bool in_main_interpreter(void) {
    return PyInterpreterState_Get() == PyInterpreterState_Main();
}

int otrace_record_start(const struct otrace_record_options *options) {
    PyGILState_STATE gil = PyGILState_Ensure();
    int status;
    if (!in_main_interpreter()) {
        status = -ENOTSUP;
    } else if (otrace_recorder.segment.header != NULL && otrace_recorder_is_ours()) {
        status = -EBUSY;
    } else {
        status = start(options);
    }
    PyGILState_Release(gil);
    return status;
}

int otrace_record_stop(void) {
    PyGILState_STATE gil = PyGILState_Ensure();
    if (hook_kind != 0) {
        otrace_hook_remove();
        otrace_greenlets_end_recording();
        otrace_setprofile_unwrap();
        hook_kind = 0;
    }
    if (otrace_recorder_is_ours() && otrace_recorder.segment.header != NULL) {
        otrace_threads_refresh();
        if (otrace_recorder.inherited) {
            otrace_threads_tell_idle();
        }
    }
    int status = otrace_recorder_end();
    otrace_governor_end();
    PyGILState_Release(gil);
    return status;
}

void otrace_record_status(struct otrace_record_status *status) {
    const struct otrace_recorder *recorder = &otrace_recorder;
    struct otrace_segment_header *header =
        otrace_recorder_is_ours() ? recorder->segment.header : NULL;
    *status = (struct otrace_record_status){
        .recording = header != NULL && recorder->recording,
        .path = recorder->segment.path,
    };
}

int otrace_record_publish(uintptr_t namespace_dict, uintptr_t decorate) {
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *namespace = (PyObject *)namespace_dict;
    int status =
        in_main_interpreter() && otrace_events_publish(namespace, (PyObject *)decorate) == 0
            ? otrace_contexts_publish(namespace)
            : -1;
    if (status != 0) {
        PyErr_Clear();
    }
    PyGILState_Release(gil);
    return status == 0 ? 0 : -EINVAL;
}
