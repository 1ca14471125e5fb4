/* Which functions are recorded. Asked once for each function, when it is first seen. */
#ifndef OTRACE_FILTER_H
#define OTRACE_FILTER_H

#include <stdbool.h>

/* Newline-separated patterns, NULL or "" for none; copied. */
struct otrace_filter_options {
    const char *include;           /* module prefix, path or glob; none: everything */
    const char *exclude;           /* the same */
    const char *exclude_functions; /* globs on the qualified name, with or without the module */
    const char *library_paths;     /* folders that --no-stdlib leaves out; none: keep all */
    const char *own_path;          /* otrace's own folder, always left out */
};

/* Replaces the filter in force. Returns 1 when it differs from the one before, 0 when it is the
 * same, or -ENOMEM. */
int otrace_filter_set(const struct otrace_filter_options *options);

/* True when calls of this Python function are recorded. `module_file`: that of the module, which
 * tells where code without a file comes from. No argument is NULL. */
bool otrace_filter_python(const char *module, const char *qualname, const char *file,
                          const char *module_file);

/* True when calls of this C callable are recorded, given that its caller is. */
bool otrace_filter_c(const char *module, const char *qualname);

#endif
