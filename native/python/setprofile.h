/* sys.setprofile, as the program would have it without the recorder. */
#ifndef OTRACE_SETPROFILE_H
#define OTRACE_SETPROFILE_H

/* Needs the GIL. Between the two, functions that the program sets see the events of a plain run. */
void otrace_setprofile_wrap(void);
void otrace_setprofile_unwrap(void);

#endif
