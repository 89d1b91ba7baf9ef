/* store/lock_impl.h -- who holds a run directory, and is he alive? */
#ifndef STORE_LOCK_IMPL_H
#define STORE_LOCK_IMPL_H

#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

struct holder {
  char host[256], job[64], boot[40]; /* boot: of the kernel; "": not known */
  int64_t pid, start, restart;
  int64_t space;  /* of process numbers: the namespace; 0: not known */
  char token[96]; /* of this lock alone */
  bool flock;     /* the file is flocked as long as the process lives */
  bool known;     /* the file could be read */
};

enum life {
  ALIVE,  /* or nobody can tell, now or later */
  GONE,   /* proven */
  SILENT, /* nobody here can tell but by waiting */
};

void
holder_self (struct holder *h);
/* *h is not known where the file is not there, or does not make sense.  E_USAGE
 * where it is no plain file: nothing waits for a pipe. */
enum status
holder_read (const char *path, struct holder *h);
/* "process 17 on host n1, job 4711, restart 2"; one buffer per thread. */
const char *
holder_text (const struct holder *h);
/* Of the holder of the lock at path, seen by self. */
enum life
holder_life (const char *path, const struct holder *h,
             const struct holder *self);

#endif
