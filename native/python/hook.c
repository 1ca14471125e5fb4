#include "python/hook.h"

#include "python/governor.h"

static bool profile_installed;

void otrace_c_begin_slow(PyObject *callable, struct otrace_callable_key key) {
    otrace_governor_check();
    const struct otrace_callable *found = otrace_callable_find(callable, key);
    if (!found->excluded) {
        otrace_thread_begin(OTRACE_C_BEGIN, found->id, callable, 0, otrace_clock_ticks());
    }
}

void otrace_c_end_slow(PyObject *callable, bool raised) {
    otrace_governor_check();
    struct otrace_callable_key key = otrace_callable_key(callable);
    if (key.key == NULL) {
        return;
    }
    const struct otrace_callable *found = otrace_callable_find(callable, key);
    if (!found->excluded) {
        otrace_thread_end(OTRACE_C_END, found->id, raised ? otrace_exception_word(NULL) : 0,
                          otrace_clock_ticks());
    }
}

int otrace_hook_install(bool c_calls, const char **warning) {
#if OTRACE_HAS_MONITORING
    bool no_tool_free = false;
    if (otrace_monitoring_install(c_calls, &no_tool_free) == 0) {
        return OTRACE_HOOK_MONITORING;
    }
    if (!no_tool_free) {
        return -1;
    }
    *warning = "all free sys.monitoring tool ids (5, 4, 3) are in use, so the slower profile hook "
               "records this process";
#else
    (void)warning;
#endif
    if (otrace_profile_install(c_calls) != 0) {
        return -1;
    }
    profile_installed = true;
    return OTRACE_HOOK_PROFILE;
}

void otrace_hook_remove(void) {
#if OTRACE_HAS_MONITORING
    if (otrace_monitoring_installed()) {
        otrace_monitoring_remove();
    }
#endif
    if (profile_installed) {
        otrace_profile_remove();
        profile_installed = false;
    }
}

int otrace_hook_watch(void) {
#if OTRACE_HAS_MONITORING
    if (otrace_monitoring_installed()) {
        return otrace_monitoring_watch();
    }
#endif
    return 0;
}

int otrace_hook_rearm(PyObject *const *codes, size_t count) {
#if OTRACE_HAS_MONITORING
    if (otrace_monitoring_installed()) {
        return otrace_monitoring_rearm(codes, count);
    }
#endif
    (void)codes;
    (void)count;
    return 0;
}

bool otrace_hook_is_profile(void) {
    return profile_installed;
}
