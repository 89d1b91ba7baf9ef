/* store/shared.h -- a text that the first of many processes decides. */
#ifndef STORE_SHARED_H
#define STORE_SHARED_H

#include "base/status.h"

/* The text DIR/NAME, owned by the caller: mine, where there was none.  Any
 * number of processes may ask at once, on any nodes, and all get the same one.
 * None holds a lock or waits for another, so that one that dies stops nobody.
 * Local.  E_IO. */
enum status
store_shared_text (const char *dir, const char *name, const char *mine,
                   char **out);

#endif
