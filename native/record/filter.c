#include "record/filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum list { INCLUDE, EXCLUDE, EXCLUDE_FUNCTIONS, LIBRARY_PATHS, OWN_PATH, LISTS };

/* Each list is one block of NUL-terminated patterns that ends with an empty one. */
static char *lists[LISTS];
static size_t sizes[LISTS];

static char *split_lines(const char *text, size_t *used) {
    size_t size = text == NULL ? 0 : strlen(text);
    char *copy = calloc(1, size + 2);
    *used = 0;
    for (size_t i = 0; copy != NULL && i < size; i++) {
        if (text[i] != '\n') {
            copy[(*used)++] = text[i];
        } else if (*used > 0 && copy[*used - 1] != '\0') {
            copy[(*used)++] = '\0';
        }
    }
    return copy;
}

int otrace_filter_set(const struct otrace_filter_options *options) {
    const char *texts[LISTS] = {options->include, options->exclude, options->exclude_functions,
                                options->library_paths, options->own_path};
    int changed = 0;
    for (int i = 0; i < LISTS; i++) {
        size_t size;
        char *split = split_lines(texts[i], &size);
        if (split == NULL) {
            return -ENOMEM;
        }
        changed |= lists[i] == NULL || size != sizes[i] || memcmp(lists[i], split, size) != 0;
        free(lists[i]);
        lists[i] = split;
        sizes[i] = size;
    }
    return changed;
}

static bool is_glob(const char *pattern) {
    return strpbrk(pattern, "*?[") != NULL;
}

static bool has_prefix(const char *text, const char *prefix, char separator) {
    size_t size = strlen(prefix);
    if (strncmp(text, prefix, size) != 0) {
        return false;
    }
    return text[size] == '\0' || text[size] == separator ||
           (size > 0 && prefix[size - 1] == separator);
}

/* A pattern with a slash, or that ends in .py, is a path; others name modules. */
static bool module_or_path_matches(const char *pattern, const char *module, const char *file) {
    bool path = strchr(pattern, '/') != NULL;
    size_t size = strlen(pattern);
    if (is_glob(pattern)) {
        return fnmatch(pattern, path ? file : module, 0) == 0 ||
               (!path && fnmatch(pattern, file, 0) == 0);
    }
    if (path) {
        return has_prefix(file, pattern, '/');
    }
    if (size > 3 && strcmp(pattern + size - 3, ".py") == 0) {
        const char *base = strrchr(file, '/');
        return strcmp(base == NULL ? file : base + 1, pattern) == 0;
    }
    return has_prefix(module, pattern, '.');
}

static bool any_module_or_path(enum list list, const char *module, const char *file) {
    for (const char *p = lists[list]; p != NULL && *p != '\0'; p += strlen(p) + 1) {
        if (module_or_path_matches(p, module, file)) {
            return true;
        }
    }
    return false;
}

static bool any_path_prefix(enum list list, const char *file) {
    for (const char *p = lists[list]; p != NULL && *p != '\0'; p += strlen(p) + 1) {
        if (has_prefix(file, p, '/')) {
            return true;
        }
    }
    return false;
}

static bool function_excluded(const char *module, const char *qualname) {
    char full[1024];
    snprintf(full, sizeof full, "%s%s%s", module, *module == '\0' ? "" : ".", qualname);
    for (const char *p = lists[EXCLUDE_FUNCTIONS]; p != NULL && *p != '\0'; p += strlen(p) + 1) {
        if (fnmatch(p, qualname, 0) == 0 || fnmatch(p, full, 0) == 0) {
            return true;
        }
    }
    return false;
}

static bool in_library(const char *file) {
    return strstr(file, "/site-packages/") != NULL || strstr(file, "/dist-packages/") != NULL ||
           any_path_prefix(LIBRARY_PATHS, file);
}

/* Code that was made from text, such as <string>, belongs where its module does. That of a
 * namedtuple has a module of its own, which is nowhere. */
static bool is_library(const char *module, const char *file, const char *module_file) {
    if (file[0] != '<') {
        return in_library(file);
    }
    return strncmp(file, "<frozen", 7) == 0 ||
           (module_file[0] == '\0' ? strncmp(module, "namedtuple_", 11) == 0
                                   : in_library(module_file));
}

bool otrace_filter_python(const char *module, const char *qualname, const char *file,
                          const char *module_file) {
    if (any_path_prefix(OWN_PATH, file)) {
        return false;
    }
    bool included = lists[INCLUDE] == NULL || *lists[INCLUDE] == '\0' ||
                    any_module_or_path(INCLUDE, module, file);
    if (!included || any_module_or_path(EXCLUDE, module, file)) {
        return false;
    }
    bool no_libraries = lists[LIBRARY_PATHS] != NULL && *lists[LIBRARY_PATHS] != '\0';
    return !(no_libraries && is_library(module, file, module_file)) &&
           !function_excluded(module, qualname);
}

bool otrace_filter_c(const char *module, const char *qualname) {
    return !function_excluded(module, qualname) && !any_module_or_path(EXCLUDE, module, "");
}
