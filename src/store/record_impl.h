/* store/record_impl.h -- an open run directory. */
#ifndef STORE_RECORD_IMPL_H
#define STORE_RECORD_IMPL_H

#include "store/store.h"

struct store_run {
  char *dir;
  FILE *log, *metrics, *events; /* metrics and events NULL before first use */
  char **column;                /* names in metrics.csv, split among them */
  int n_columns;
};

/* Take the lock of the directory; E_USAGE names the holder. */
enum status
store_lock_take (const char *dir);
void
store_lock_release (const char *dir);
/* Open a file of lines for adding to it; a last line that was not finished is
 * cut off. */
enum status
store_lines_open (const char *dir, const char *name, FILE **out);

#endif
