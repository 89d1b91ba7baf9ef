/* wire/start.c -- who started this process, and whether MPI has noticed.
 *
 * Processes that do not find each other come up as so many worlds of one rank,
 * each of which would train the whole network for itself: tasks of srun without
 * the right plug-in, or ranks of one MPI's launcher whose program is linked
 * with another MPI (two are easily installed side by side).
 */
#include "base/place.h"
#include "wire/wire_impl.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OMPI_MAJOR_VERSION
#define SLURM_PLUGIN "pmix"
#define LAUNCHER "Open MPI's mpirun (Debian: mpirun.openmpi)"
#else
#define SLURM_PLUGIN "pmi2"
#define LAUNCHER "the mpiexec that came with it (Debian: mpiexec.mpich)"
#endif

/* -- what MPI is ----------------------------------------------------------- */

/* Replaces word, the blanks around it and a colon behind it by one space. */
static void
drop_word (char *text, const char *word)
{
  char *at = strstr (text, word);
  if (at == NULL)
    return;
  char *end = at + strlen (word);
  while (isspace ((unsigned char)*end) || *end == ':')
    end++;
  while (at > text && isspace ((unsigned char)at[-1]))
    at--;
  if (at > text)
    *at++ = ' ';
  memmove (at, end, strlen (end) + 1);
}

/* Libraries say "Open MPI v4.1.4, package: ..." or "MPICH Version:      4.0.2";
 * this makes "Open MPI 4.1.4" and "MPICH 4.0.2" of them. */
void
wire_describe_mpi (char *out, size_t room)
{
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0, version = 0, part = 0;
  MPI_Get_library_version (library, &length);
  MPI_Get_version (&version, &part);
  library[strcspn (library, ",\n")] = '\0';
  drop_word (library, "MPI VERSION"); /* a Cray's begins with it */
  drop_word (library, "Version");
  drop_word (library, "version");
  char *v = strstr (library, " v");
  if (v != NULL && v[2] >= '0' && v[2] <= '9')
    memmove (v + 1, v + 2, strlen (v + 2) + 1);
  snprintf (out, room, "%.200s, MPI %d.%d", library, version, part);
}

/* -- how many ranks there are ---------------------------------------------- */

static int
number (const char *name, int otherwise)
{
  const char *word = getenv (name);
  return word != NULL && isdigit ((unsigned char)word[0]) ? atoi (word)
                                                          : otherwise;
}

void
wire_start_look (struct wire_start *out)
{
  /* The first variable that is set counts.  SLURM_NTASKS comes last: an mpirun
   * inside a job may start fewer ranks than the job has tasks, and MPICH's uses
   * srun for its helpers only. */
  static const struct {
    const char *size, *rank;
  } row[] = {{"INTERLOCK_RANKS", NULL},
             {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
             {"PMI_SIZE", "PMI_RANK"},
             {"SLURM_NTASKS", "SLURM_PROCID"}};
  bool launched = getenv ("OMPI_COMM_WORLD_SIZE") != NULL ||
                  getenv ("HYDI_CONTROL_FD") != NULL;
  *out = (struct wire_start){.task = -1};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    int n = number (row[i].size, 0);
    if (out->expected == 0 && n > 0) {
      out->name = row[i].size;
      out->expected = n;
    }
    if (row[i].rank != NULL && out->task < 0)
      out->task = number (row[i].rank, -1);
  }
  out->launched = launched;
}

enum status
wire_start_whole (const struct wire_start *start, int size)
{
  char mpi[256];
  int n = start->expected;
  if (n <= 0 || size == n)
    return OK;
  if (size > 1)
    return fail (E_USAGE,
                 "%s is %d, but %d ranks have come up: start as many as it "
                 "says, or set it to what is meant",
                 start->name, n, size);
  /* Every task gets here, each as rank 0 of its own world: give it its number
   * among the tasks, so that only the first prints. */
  if (start->task >= 0)
    place_rank_set (start->task, n);
  if (!start->launched)
    return fail (E_USAGE,
                 "%s is %d, but this process is a world of one rank: "
                 "nothing has connected the tasks.  Start with 'srun "
                 "--mpi=" SLURM_PLUGIN " interlock ...' ('srun --mpi=list' "
                 "tells what is offered here) or with " LAUNCHER
                 "; for one rank on purpose set %s=1",
                 start->name, n,
                 getenv ("INTERLOCK_RANKS") ? "INTERLOCK_RANKS"
                                            : "SLURM_NTASKS");
  wire_describe_mpi (mpi, sizeof mpi);
  return fail (
      E_USAGE,
      "%d ranks were started (%s), but this process is a world of one: "
      "the launcher belongs to another MPI than this program, which is "
      "linked with %s.  Start it with " LAUNCHER
      "; for one rank on purpose set INTERLOCK_RANKS=1",
      n, start->name, mpi);
}
