/* wire/cores.c -- how many cores a rank has, where ranks share a node.
 *
 * hwloc knows where a rank may run, whoever has said so: the launcher, taskset,
 * or the control group of a job.  A core is what the system counts as one: a
 * hardware thread.
 */
#include "wire/wire_impl.h"

#include <hwloc.h>
#include <string.h>

enum { CORES = 8192 }; /* as many as Linux can be built for */

/* Caches and the like are not looked for: that takes long on large nodes. */
static bool
look (hwloc_topology_t machine, hwloc_bitmap_t mine)
{
  if (hwloc_topology_set_all_types_filter (machine,
                                           HWLOC_TYPE_FILTER_KEEP_NONE) != 0 ||
      hwloc_topology_set_flags (machine, HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM) !=
          0 ||
      hwloc_topology_load (machine) != 0)
    return false;
  return hwloc_get_cpubind (machine, mine, HWLOC_CPUBIND_THREAD) == 0 ||
         hwloc_bitmap_copy (mine,
                            hwloc_topology_get_allowed_cpuset (machine)) == 0;
}

/* has[i] = 1 for each core that this rank may run on; where nobody can tell,
 * for the first one. */
static void
find_mine (int has[CORES])
{
  hwloc_topology_t machine = NULL;
  hwloc_bitmap_t mine = hwloc_bitmap_alloc ();
  bool found = false;
  if (mine != NULL && hwloc_topology_init (&machine) == 0) {
    found = look (machine, mine);
    hwloc_topology_destroy (machine);
  }
  for (int i = found ? hwloc_bitmap_first (mine) : -1; i >= 0 && i < CORES;
       i = hwloc_bitmap_next (mine, i))
    has[i] = 1;
  if (!found)
    has[0] = 1;
  hwloc_bitmap_free (mine);
}

static void
reduce (struct wire *w, MPI_Comm comm, const void *in, void *out, int n,
        MPI_Datatype type, MPI_Op op)
{
  MPI_Request request;
  MPI_Iallreduce (in, out, n, type, op, comm, &request);
  wire_complete (w, &request);
}

double
wire_cores_mine (const struct wire *w)
{
  CHECK (w->cores > 0, "wire_cores_mine before wire_cores");
  return w->cores;
}

void
wire_cores (struct wire *w, double *least, double *most)
{
  if (w->cores_most == 0) { /* once: it takes a while */
    int has[CORES] = {0}, users[CORES];
    double share = 0, ends[2];
    find_mine (has);
    memcpy (users, has, sizeof users);
    if (!w->alone)
      reduce (w, w->node, has, users, CORES, MPI_INT, MPI_SUM);
    for (int i = 0; i < CORES; i++)
      share += has[i] ? 1.0 / users[i] : 0;
    double mine[2] = {-share, share};
    memcpy (ends, mine, sizeof ends);
    if (!w->alone)
      reduce (w, w->world, mine, ends, 2, MPI_DOUBLE, MPI_MAX);
    w->cores = share;
    w->cores_least = -ends[0];
    w->cores_most = ends[1];
  }
  *least = w->cores_least;
  *most = w->cores_most;
}
