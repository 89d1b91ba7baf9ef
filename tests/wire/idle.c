/* ranks: 2 4 */
/* tests/wire/idle.c -- a rank that waits inside MPI leaves its core to others.
 *
 * Seen from the times that it has given up its core of its own will: who looks
 * for news without a pause never does, however busy the machine is. */
#include "tests/wire/tool.h"
#include "wire/raw.h"
#include <mpi.h>
#include <sys/resource.h>
#include <time.h>

static long
given_up (void)
{
  struct rusage u;
  getrusage (RUSAGE_SELF, &u);
  return u.ru_nvcsw;
}

int
main (int argc, char **argv)
{
  struct wire *w;
  char library[MPI_MAX_LIBRARY_VERSION_STRING];
  int length;
  if (wire_open (&argc, &argv, &w) != OK)
    tap_bail ("no MPI");
  MPI_Get_library_version (library, &length);
  if (strstr (library, "ch4:ucx") == NULL)
    tap_skip ("not MPICH over UCX: it waits in a way of its own");
  else {
    wire_barrier (w);
    long before = given_up ();
    if (wire_rank (w) == 0)
      nanosleep (&(struct timespec){.tv_nsec = 300000000}, NULL);
    MPI_Barrier (wire_raw_world (w));
    /* 300 ms are 3000 rests of the longest kind. */
    long times = given_up () - before;
    tap_ok (wire_rank (w) == 0 || times >= 20,
            "who waits for rank 0 gives up its core meanwhile");
  }
  wire_close (&w);
  return tap_done ();
}
