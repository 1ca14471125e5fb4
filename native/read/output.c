#include "read/output.h"

#include <stdlib.h>

#include "api_read.h"

void otrace_output_drain(struct otrace_output *output) {
    size_t left = output->spill_size - output->spill_done;
    size_t room = (size_t)(output->end - output->to);
    size_t size = left < room ? left : room;
    if (size > 0) {
        memcpy(output->to, output->spill + output->spill_done, size);
        output->to += size;
        output->spill_done += size;
    }
    if (output->spill_done == output->spill_size) {
        output->spill_done = output->spill_size = 0;
    }
}

char *otrace_output_spill(struct otrace_output *output, size_t size) {
    size_t need = output->spill_size + size;
    if (need > output->spill_capacity) {
        char *grown = realloc(output->spill, 2 * need);
        if (grown == NULL) {
            output->failed = true;
            return NULL;
        }
        output->spill = grown;
        output->spill_capacity = 2 * need;
    }
    return output->spill + output->spill_size;
}

int otrace_output_fill(struct otrace_output *output, char *buffer, size_t capacity, size_t *written,
                       int (*write)(void *encoder), void *encoder) {
    int status = 1;
    *written = 0;
    if (capacity < OTRACE_BLOCK_MIN) {
        return OTRACE_READ_ARGUMENT;
    }
    otrace_output_begin(output, buffer, capacity);
    while (status > 0 && !otrace_output_full(output)) {
        status = write(encoder);
        if (output->spill_size > 0) {
            otrace_output_drain(output);
        }
    }
    *written = (size_t)(output->to - buffer);
    return output->failed ? OTRACE_READ_NO_MEMORY : status < 0 ? status : OTRACE_READ_OK;
}

void otrace_output_free(struct otrace_output *output) {
    free(output->spill);
    memset(output, 0, sizeof *output);
}
