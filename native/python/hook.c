#include "python/hook.h"

static bool profile_installed;

int otrace_hook_install(bool c_calls, const char **told) {
    *told = NULL;
#if OTRACE_HAS_MONITORING
    bool no_tool_free = false;
    if (otrace_monitoring_install(c_calls, &no_tool_free) == 0) {
        return OTRACE_HOOK_MONITORING;
    }
    if (!no_tool_free) {
        return -1;
    }
    *told = "all free sys.monitoring tool ids (5, 4, 3) are in use, so the slower profile hook "
            "records this process";
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

bool otrace_hook_is_profile(void) {
    return profile_installed;
}
