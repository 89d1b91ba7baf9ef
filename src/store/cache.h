/* store/cache.h -- what was measured once, kept for other runs of one user.
 *
 * A directory of small texts, each under the digest of a key that says all that
 * it depends on: $INTERLOCK_CACHE/start, or interlock/start in $XDG_CACHE_HOME,
 * or in .cache at home.  Any number of processes on any number of machines may
 * use it at once: an entry is written under a name of its own and renamed, and
 * what is not whole, or is of another key, is none.  Whatever happens to it
 * costs time alone: nothing here fails for the directory's sake, and what is
 * wrong with it is said once.  Local; for the root.
 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include "base/status.h"

/* The text of an entry, owned by the caller, "" where there is none.  kind: a
 * short word; key: one line.  Fails with E_MEMORY alone. */
enum status
store_cache_get (const char *kind, const char *key, char **text);
/* Put an entry in its place, unless one is there that took less: seconds, of
 * what was measured (work of others beside it can only add to them).  Old
 * entries go where there are too many. */
void
store_cache_put (const char *kind, const char *key, double seconds,
                 const char *text);

#endif
