/* Names of rows, apart from those that Chrome's DevTools takes for markers of its own. */
#ifndef OTRACE_READ_CHROME_NAMES_H
#define OTRACE_READ_CHROME_NAMES_H

#include "api_read.h"
#include "read/output.h"

/* `,"name":"NAME","cat":"CATEGORY"`; a name that is a marker's becomes "NAME (CATEGORY)". Needs
 * as many bytes as `room` says. */
size_t otrace_chrome_name_room(struct otrace_text name, const char *category);
char *otrace_chrome_write_name(char *to, struct otrace_text name, const char *category);
void otrace_chrome_append_name(struct otrace_output *output, struct otrace_text name,
                               const char *category);

#endif
