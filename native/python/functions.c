#include "python/functions.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "python/governor.h"
#include "python/tasks.h"
#include "python/texts.h"
#include "record/filter.h"

static PyObject *key_name, *key_file; /* owned for good */

struct otrace_tags otrace_tags __attribute__((aligned(64))) = {.index = -1};

static char start_folder[4096]; /* what relative file names are relative to */

/* A code object goes away; `slot` is what it has in ours. */
static void code_gone(void *slot) {
    uint32_t id = otrace_tag_id((uint64_t)(uintptr_t)slot);
    if (id != 0) {
        otrace_governor_forget(id);
    }
}

int otrace_functions_begin(uint32_t generation) {
    if (otrace_tags.index < 0) {
        otrace_tags.index = OTRACE_REQUEST_CODE_EXTRA(code_gone);
    }
    if (getcwd(start_folder, sizeof start_folder) == NULL) {
        start_folder[0] = '\0';
    }
    otrace_tags.generation =
        (generation & OTRACE_TAG_GENERATION_MASK) << OTRACE_TAG_GENERATION_SHIFT | OTRACE_BEGIN;
    otrace_tags.excluded_seen = false;
    return otrace_tags.index < 0 ? -1 : 0;
}

/* A text of the module, borrowed; NULL when there is none. */
static PyObject *module_text(PyObject *globals, PyObject **key, const char *name) {
    PyObject *from = globals != NULL ? globals : PyEval_GetGlobals();
    if (from == NULL || !PyDict_Check(from)) {
        return NULL;
    }
    PyObject *text = otrace_dict_get(from, key, name);
    PyErr_Clear();
    return text != NULL && PyUnicode_Check(text) ? text : NULL;
}

/* The text behind an object that may be NULL. */
static struct otrace_held_text hold(PyObject *object) {
    struct otrace_held_text held = otrace_text_hold(object);
    if (object == NULL) {
        held.text = (struct otrace_text){"", 0};
    }
    return held;
}

/* Filters take NUL-terminated text; a name with a NUL inside is compared up to it. */
static const char *terminated(char *buffer, size_t room, struct otrace_text text) {
    size_t size = text.size < room - 1 ? text.size : room - 1;
    memcpy(buffer, text.data, size);
    buffer[size] = '\0';
    return buffer;
}

/* A file's path, absolute unless it is none. */
static const char *path_of(char *path, size_t room, struct otrace_text file) {
    char relative[4096];
    terminated(relative, sizeof relative, file);
    bool as_it_is = relative[0] == '/' || relative[0] == '<' || start_folder[0] == '\0';
    snprintf(path, room, "%s%s%s", as_it_is ? "" : start_folder, as_it_is ? "" : "/",
             !as_it_is && strncmp(relative, "./", 2) == 0 ? relative + 2 : relative);
    return path;
}

static bool recorded(struct otrace_text module, struct otrace_text name, struct otrace_text file,
                     PyObject *globals) {
    char modules[512], names[1024], path[8192], module_path[8192] = "";
    if (file.size > 0 && file.data[0] == '<') {
        PyObject *object = module_text(globals, &key_file, "__file__");
        struct otrace_held_text held = hold(object);
        if (held.text.size > 0) {
            path_of(module_path, sizeof module_path, held.text);
        }
        otrace_text_drop(&held);
    }
    return otrace_filter_python(terminated(modules, sizeof modules, module),
                                terminated(names, sizeof names, name),
                                path_of(path, sizeof path, file), module_path);
}

static uint64_t tag_of_id(uint32_t id) {
    otrace_key key = otrace_key_of(id);
    return key & OTRACE_KEY_LONG ? OTRACE_TAG_LONG | (uint64_t)key << 1 : key;
}

uint64_t otrace_function_see(PyObject *object, PyObject *globals) {
    PyCodeObject *code = (PyCodeObject *)object;
    uint64_t known = otrace_function_tag(object);
    if ((known & ~OTRACE_TAG_FLAGS) >> 32 == otrace_tags.generation) {
        return known;
    }
    struct otrace_held_text module = hold(module_text(globals, &key_name, "__name__"));
    struct otrace_held_text name = otrace_text_hold(code->co_qualname);
    struct otrace_held_text file = otrace_text_hold(code->co_filename);
    uint64_t tag = otrace_tags.generation << 32;
    if (!recorded(module.text, name.text, file.text, globals)) {
        tag |= OTRACE_TAG_EXCLUDED;
    } else {
        uint32_t id = otrace_tag_id(known); /* named in an earlier recording */
        if (id == 0) {
            unsigned kind =
                OTRACE_NAME_PYTHON | (code->co_flags & OTRACE_CODE_ASYNC ? OTRACE_NAME_ASYNC : 0);
            id = otrace_names_add((enum otrace_name_kind)kind, (uint32_t)code->co_firstlineno,
                                  module.text, name.text, file.text);
        }
        tag |= tag_of_id(id);
    }
    tag |= (uint64_t)otrace_special_kind(code, module.text, name.text) << OTRACE_TAG_SPECIAL_SHIFT;
    if (code->co_flags & OTRACE_CODE_ASYNC) {
        tag |= OTRACE_TAG_ASYNC;
    }
    if (code->co_flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)) {
        tag |= OTRACE_TAG_GENERATOR;
    }
    otrace_text_drop(&module);
    otrace_text_drop(&name);
    otrace_text_drop(&file);
    if (otrace_code_set_extra(object, otrace_tags.index, (uintptr_t)tag) != 0) {
        PyErr_Clear();
    } else if (!(tag & (OTRACE_TAG_EXCLUDED | OTRACE_TAG_SPECIAL))) {
        otrace_governor_meet(otrace_tag_id(tag), object);
    }
    return tag;
}

void otrace_function_change(PyObject *code, uint64_t set, uint64_t clear) {
    uint64_t tag = (otrace_function_tag(code) & ~clear) | set;
    otrace_code_change_extra(code, otrace_tags.index, (uintptr_t)tag);
}
