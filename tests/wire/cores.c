/* ranks: 1 2 3 5 */
/* tests/wire/cores.c -- the cores of ranks that share a node, against a count
 * of every core in every rank.
 */
#define _GNU_SOURCE /* cpu_set_t */
#include "tests/wire/tool.h"
#include <math.h>
#include <sched.h>

enum { MOST_CORES = 256 };

/* Odd ranks give up the first of their cores, where they have another. */
static void
narrow (int rank)
{
  cpu_set_t set;
  int i = 0;
  if (rank % 2 == 0 || sched_getaffinity (0, sizeof set, &set) != 0 ||
      CPU_COUNT (&set) < 2)
    return;
  while (!CPU_ISSET (i, &set))
    i++;
  CPU_CLR (i, &set);
  sched_setaffinity (0, sizeof set, &set);
}

static void
pack (struct wire *w, double *words)
{
  cpu_set_t set;
  CPU_ZERO (&set);
  sched_getaffinity (0, sizeof set, &set);
  words[0] = wire_node_first (w);
  for (int i = 0; i < MOST_CORES; i++)
    words[1 + i] = CPU_ISSET (i, &set);
}

static double
share_of (const double *all, int size, int r)
{
  enum { N = 1 + MOST_CORES };
  const double *me = all + (size_t)r * N;
  double share = 0;
  for (int i = 1; i < N; i++) {
    int users = 0;
    for (int o = 0; o < size; o++)
      users += all[(size_t)o * N] == me[0] && all[(size_t)o * N + i] > 0;
    share += me[i] > 0 ? 1.0 / users : 0;
  }
  return share;
}

static void
test_cores (struct wire *w)
{
  enum { N = 1 + MOST_CORES };
  double mine[N], least, most, low = INFINITY, high = 0, *all = NULL;
  int size = wire_size (w);
  narrow (wire_rank (w));
  pack (w, mine);
  if (MEM_NEW ((size_t)size * N, &all, "all cores") != OK)
    wire_abort (E_MEMORY);
  bool good = wire_all_gather (w, mine, N, all) == OK;
  for (int r = 0; r < size; r++) {
    double share = share_of (all, size, r);
    low = fmin (low, share);
    high = fmax (high, share);
  }
  mem_free (&all);
  wire_cores (w, &least, &most);
  tap_ok (good && least == low && most == high,
          "each rank has %.3g to %.3g cores, counted %.3g to %.3g", least, most,
          low, high);
  wire_cores (w, &low, &high);
  tap_ok (least == low && most == high, "and the second time");
}

int
main (int argc, char **argv)
{
  struct wire *w = NULL;
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  test_cores (w);
  wire_close (&w);
  return tap_done ();
}
