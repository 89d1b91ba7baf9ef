/* wire/idle.c -- what waits inside MPI leaves its core to others.
 *
 * Our own waiting polls with back-off, but HDF5 and ScaLAPACK call what blocks,
 * and MPICH waits by looking for news without a pause: where ranks outnumber
 * cores each such call lasts as long as others are let run.  Open MPI yields by
 * itself there; MPICH over UCX (Debian's) has no word for it, but all its
 * looking goes through one function of UCX, which is called by name.  The
 * program's own one comes before the library's: it calls that, and rests when
 * nothing has come for many looks in a row.  Where MPI is another, or reaches
 * its network in another way, nobody calls it.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "base/clock.h"
#include "wire/wire_impl.h"
#include <dlfcn.h>
#include <stddef.h>

#ifdef MPICH_VERSION

#define LOOKS 100     /* in vain, before the first rest */
#define APART_S 20e-6 /* looks further apart belong to no waiting */

unsigned
ucp_worker_progress (void *worker);

typedef unsigned
progress_function (void *worker);

static progress_function *library_progress;
static int looks;
static double last_s; /* when the last look in vain ended */
static struct wire_pause rest;

unsigned
ucp_worker_progress (void *worker)
{
  if (library_progress == NULL)
    library_progress =
        (progress_function *)dlsym (RTLD_NEXT, "ucp_worker_progress");
  unsigned n = library_progress (worker);
  double now = clock_now_s ();
  if (n > 0 || now - last_s > APART_S)
    looks = 0;
  if (++looks == LOOKS)
    wire_pause_begin (&rest);
  if (looks >= LOOKS) {
    wire_pause_step (&rest);
    now = clock_now_s ();
  }
  last_s = now;
  return n;
}

#endif

/* Called by wire_open, so that the above is linked. */
void
wire_idle_open (void)
{
}
