/* base/halt.h -- lets long work be stopped in the middle.
 *
 * `train` knows about signals, the stop file and the end of the job's time, and
 * sets the hook.  Work that lasts minutes (measuring kernels and blocks) lies
 * in rooms that know none of these: it calls halt_check between two pieces,
 * which also counts as a move (base/status.h).  Without a hook it never stops.
 */
#ifndef BASE_HALT_H
#define BASE_HALT_H

#include "base/status.h"

/* asked: true when this rank should stop.  Called often, so it has to be cheap.
 * NULL: never stop. */
void
halt_hook (bool (*asked) (void *context), void *context);
/* E_STOPPED, with a message that names what is left unfinished.  Local. */
enum status
halt_check (const char *what);

#endif
