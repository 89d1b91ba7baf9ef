/* wire/idle.c -- lets a rank that waits inside MPICH leave its core to others.
 *
 * Our own waiting polls and sleeps, but HDF5 and ScaLAPACK call blocking
 * functions, in which MPICH polls without a pause.  Where ranks outnumber
 * cores, the rank that is waited for then hardly gets a core.  Open MPI yields
 * by itself; MPICH over UCX (Debian's) has no setting for it.
 *
 * All its polling goes through one function of UCX, ucp_worker_progress, which
 * the dynamic linker finds by name: a function of that name in the program
 * comes before the library's.  Ours calls the library's and sleeps a little
 * when many calls in a row have found nothing.  Where MPI is another one, or
 * uses another network library, nobody calls it.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "base/clock.h"
#include "wire/wire_impl.h"
#include <dlfcn.h>
#include <stddef.h>

#ifdef MPICH_VERSION

#define LOOKS 100     /* that find nothing, before the first rest */
#define APART_S 20e-6 /* looks further apart are not one wait */

unsigned
ucp_worker_progress (void *worker);

typedef unsigned
progress_function (void *worker);

static progress_function *library_progress;
static int looks;
static double last_s; /* when the last look ended */
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
