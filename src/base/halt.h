/* base/halt.h -- asked in the middle of long work: is this rank to stop?
 *
 * Who knows (signals, a file, the end of the job's time) sets the hook; whoever
 * measures for minutes asks it between runs, which is a move (base/status.h).
 * Without a hook nobody stops.
 */
#ifndef BASE_HALT_H
#define BASE_HALT_H

#include "base/status.h"

/* asked: whether to stop; called often, so it has to be cheap.  NULL: never. */
void
halt_hook (bool (*asked) (void *context), void *context);
/* E_STOPPED, with a message that names what is left unfinished.  Local. */
enum status
halt_check (const char *what);

#endif
