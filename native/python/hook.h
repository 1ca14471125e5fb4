/* What both hooks share: where an event of the interpreter becomes a record. */
#ifndef OTRACE_HOOK_H
#define OTRACE_HOOK_H

#include "python/callables.h"
#include "python/compat.h"
#include "python/functions.h"
#include "python/tasks.h"
#include "record/thread.h"

/* Installs the hook of this interpreter version. Returns its enum otrace_hook_kind, or -1 with an
 * exception set. `*warning` gets one for the user, static, if there is one. */
int otrace_hook_install(bool c_calls, const char **warning);
void otrace_hook_remove(void);
bool otrace_hook_is_profile(void);
/* Follows otrace_contexts_watched from now on. 0, or -1 with an exception set. */
int otrace_hook_watch(void);

/* Arms these code objects (borrowed) again, which were switched off at some of their places.
 * 0, or -1 with an exception set. */
int otrace_hook_rearm(PyObject *const *codes, size_t count);

/* The hooks themselves; the same contract. */
#if OTRACE_HAS_MONITORING
int otrace_monitoring_install(bool c_calls, bool *no_tool_free);
bool otrace_monitoring_installed(void);
void otrace_monitoring_remove(void);
int otrace_monitoring_watch(void);
int otrace_monitoring_rearm(PyObject *const *codes, size_t count);
#endif
int otrace_profile_install(bool c_calls);
void otrace_profile_remove(void);

/* Gives `threading`, once it is imported, the hook for threads to come. */
void otrace_profile_follow_threads(void);

/* Thread._bootstrap_inner begins or ends; Thread.name has been set. */
void otrace_threads_named(void);
void otrace_threads_renamed(void);

/* The names of `threading` (borrowed), or NULL while it is not imported. */
PyObject *otrace_threading_names(void);

/* Reads the names of all living threads again. */
void otrace_threads_refresh(void);

/* At the end of a recording of all threads: names those that called nothing. */
void otrace_threads_tell_idle(void);

/* struct otrace_host */
void otrace_threads_started(struct otrace_thread *thread, bool beginning);

/* The exception word of a slow end: the type of `value` (borrowed, NULL: not known). */
static inline uint32_t otrace_exception_word(PyObject *value) {
    return OTRACE_WITH_EXCEPTION | (value == NULL ? 0 : otrace_callable_type_id(Py_TYPE(value)));
}

/* The same where a line holds the type; else 0. */
static inline uint32_t otrace_exception_known(PyObject *value) {
    struct otrace_callable_key key = otrace_key_of_type(Py_TYPE(value));
    const struct otrace_callable *line = otrace_callable_line(key.key);
    return line->key.key == key.key && line->key.check == key.check
               ? OTRACE_WITH_EXCEPTION | line->id
               : 0;
}

/* What the line does not hold. */
void otrace_c_begin_slow(PyObject *callable, struct otrace_callable_key key);

/* An end that otrace_emit_end did not know, or that raised. */
void otrace_c_end_slow(PyObject *callable, bool raised);

static inline void otrace_c_begin(PyObject *callable) {
    struct otrace_callable_key key = otrace_callable_key(callable);
    if (key.key == NULL) {
        return;
    }
    const struct otrace_callable *line = otrace_callable_line(key.key);
    if (__builtin_expect(line->key.key != key.key || line->key.check != key.check, 0) ||
        __builtin_expect(!otrace_emit_begin(OTRACE_C_BEGIN, line->what, callable), 0)) {
        otrace_c_begin_slow(callable, key);
    }
}

#endif
