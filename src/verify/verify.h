/* verify/verify.h -- the program checks itself on the machine of its user.
 *
 * Everything is Collective on world; all ranks return the same status.
 */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/status.h"
#include "config/config.h"
#include "wire/wire.h"

/* Self-check on this machine; out gets the report on root. */
enum status
verify_run (struct wire *w, const char *what);
/* Every kernel that training this may use against plain arithmetic, each with
 * its largest error; E_FAULT where one that is wrong would be used. */
enum status
verify_kernels (struct wire *w, const struct config *c);

#endif
