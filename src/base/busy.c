/* base/busy.c -- reads /proc/stat. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/busy.h"
#include "base/hash.h"
#include "base/text.h"

#include <math.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CORES 8192 /* as many as Linux can be built for */
#define LINE 256

/* A line "cpu3 user nice system idle iowait irq softirq steal ...": which core,
 * or -1. */
static int
core_line (const char *line, double v[8])
{
  char *end;
  if (strncmp (line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
    return -1;
  const long core = strtol (line + 3, &end, 10);
  for (int i = 0; i < 8; i++)
    v[i] = strtod (end, &end);
  return core >= 0 && core < CORES ? (int)core : -1;
}

void
busy_read (const char *stat, double ticks, int n, const unsigned char *mine,
           struct busy *out)
{
  double v[8];
  for (; stat && *stat; stat = strchr (stat, '\n'), stat += stat != NULL) {
    const int core = core_line (stat, v);
    if (core < 0 || core >= n || !mine[core])
      continue;
    for (int i = 0; i < 8; i++) {
      out->all_s += v[i] / ticks;
      out->used_s += i == 3 || i == 4 ? 0 : v[i] / ticks; /* idle, iowait */
    }
    out->stolen_s += v[7] / ticks;
    out->known = true;
  }
}

/* Which cores; their number for struct busy. */
static bool
find_mine (unsigned char mine[CORES], double *where)
{
  char node[256] = "";
  cpu_set_t *set = CPU_ALLOC (CORES);
  const size_t size = CPU_ALLOC_SIZE (CORES);
  bool found = set && sched_getaffinity (0, size, set) == 0;
  for (int i = 0; found && i < CORES; i++)
    mine[i] = CPU_ISSET_S (i, size, set) != 0;
  CPU_FREE (set);
  gethostname (node, sizeof node - 1);
  *where = (double)(hash_bytes (mine, CORES, hash_text (node, 1)) >> 12);
  return found;
}

void
busy_now (struct busy *out)
{
  unsigned char mine[CORES] = {0};
  struct timespec own;
  char line[LINE];
  *out = (struct busy){.known = false};
  const double ticks = (double)sysconf (_SC_CLK_TCK);
  FILE *f = find_mine (mine, &out->where) && ticks > 0
                ? fopen ("/proc/stat", "re")
                : NULL;
  /* The lines of cores come first; what follows them may be long. */
  while (f && fgets (line, sizeof line, f) && strncmp (line, "cpu", 3) == 0)
    busy_read (line, ticks, CORES, mine, out);
  if (f)
    fclose (f);
  if (clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &own) == 0)
    out->own_s = (double)own.tv_sec + 1e-9 * (double)own.tv_nsec;
  else
    out->known = false;
}

/* Whether a process before i has the same cores. */
static bool
counted (const struct busy *end, int i)
{
  for (int k = 0; k < i; k++)
    if (end[k].where == end[i].where)
      return true;
  return false;
}

struct busy_share
busy_others (int n, const struct busy *begin, const struct busy *end)
{
  double all = 0, used = 0, own = 0, stolen = 0;
  for (int i = 0; i < n; i++) {
    if (!begin[i].known || !end[i].known)
      return (struct busy_share){NAN, NAN};
    own += end[i].own_s - begin[i].own_s;
    if (counted (end, i))
      continue;
    all += end[i].all_s - begin[i].all_s;
    used += end[i].used_s - begin[i].used_s;
    stolen += end[i].stolen_s - begin[i].stolen_s;
  }
  if (!(all > 0))
    return (struct busy_share){NAN, NAN};
  return (struct busy_share){fmin (fmax ((used - own) / all, 0), 1),
                             fmin (fmax (stolen / all, 0), 1)};
}
