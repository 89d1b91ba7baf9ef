/* ranks: 0 */
/* tests/wire/abort.c -- real jobs that end badly: this program starts itself
 * under the launcher, and looks at exit codes and words.  With the name of a
 * job as its word it is a rank of that job. */
#include "base/log.h"
#include "base/place.h"
#include "tests/wire/tool.h"
#include <mpi.h>
#include <stdlib.h>
#include <sys/wait.h>

/* -- ranks of the jobs ----------------------------------------------------- */

/* Rank 1 gives up; the others would wait for ever. */
static void
job_abort (struct wire *w)
{
  if (wire_rank (w) == 1) {
    place_set (3, 2, "HEAD");
    wire_abort (fail (E_NUMBERS, "loss is gone"));
  }
  wire_barrier (w);
}

static void
job_check (struct wire *w)
{
  if (wire_rank (w) == 2)
    CHECK (wire_size (w) == 17, "size %d", wire_size (w));
  wire_barrier (w);
}

/* MPI itself finds an error: a message longer than the room for it. */
static void
job_truncate (struct wire *w)
{
  char *block;
  struct tensor t = tool_tensor (6400, &block);
  struct wire_id id = {0, 0, 0, 0};
  int request = WIRE_NONE;
  if (wire_grid (w, 1) != OK)
    return;
  if (wire_rank (w) == 0 && wire_send (w, -1, &t, 1, 1, id, &request) == OK)
    (void)wire_wait (w, &request, NULL, NULL);
  t.bytes = 640;
  if (wire_rank (w) == 1 && wire_post (w, -1, &t, 0, 1, &request) == OK)
    (void)wire_wait (w, &request, &id, NULL);
  wire_barrier (w);
}

/* Runs that fail in the middle and agree on it: what nobody will answer is
 * still under way when the wire closes. */
static void
job_leave_messages (struct wire *w)
{
  char *in_block, *out_block;
  struct tensor in = tool_tensor (640, &in_block);
  struct tensor out = tool_tensor (1 << 20, &out_block);
  struct wire_id id = {0, 0, 0, 0};
  int request;
  double one = 1;
  if (wire_grid (w, 1) != OK)
    return;
  if (wire_rank (w) == 1)
    (void)wire_post (w, -1, &in, 0, 1, &request);
  if (wire_rank (w) == 2)
    (void)wire_send (w, -1, &out, 0, 2, id, &request);
  if (wire_rank (w) == 0)
    (void)wire_ballot_start (w, -1, &one, 1, &request);
}

static void
job_leave_sums (struct wire *w)
{
  static float x[1000];
  int request;
  if (wire_grid (w, wire_size (w)) == OK &&
      wire_reduce_reserve (w, 1000, 1) == OK && wire_rank (w) == 0)
    (void)wire_reduce_start (w, x, 1000, &request);
}

static const struct job {
  const char *name;
  void (*run) (struct wire *w);
  int n_ranks, code;
  const char *words[3]; /* all of them are said */
} jobs[] = {
    {"abort",
     job_abort,
     3,
     76,
     {"interlock: rank 1, step 3, stage 2, HEAD: loss is gone"}},
    {"check", job_check, 3, 70, {"interlock: rank 2: ", "size 3", "== 17"}},
    {"truncate", job_truncate, 2, 70, {"interlock: rank 1: MPI failed: "}},
    {"leave-messages", job_leave_messages, 3, 65, {"rank 1: gone wrong"}},
    {"leave-sums", job_leave_sums, 3, 65, {"rank 1: gone wrong"}},
};
#define N_JOBS (sizeof jobs / sizeof jobs[0])

static int
rank_main (int argc, char **argv)
{
  struct wire *w;
  enum status s = wire_open (&argc, &argv, &w);
  if (s != OK) {
    say (LOG_ERROR, "%s", fail_message ());
    wire_close (&w);
    return status_exit (s);
  }
  for (size_t i = 0; i < N_JOBS; i++)
    if (strcmp (argv[1], jobs[i].name) == 0)
      jobs[i].run (w);
  s = wire_agree (w, wire_rank (w) == 1 ? fail (E_DATA, "gone wrong") : OK);
  wire_close (&w);
  return status_exit (s);
}

/* -- the one who looks ----------------------------------------------------- */

/* Exit code and words of a command line; 124: past its time. */
static int
command (const char *line, char *said, size_t room)
{
  char limited[4096];
  snprintf (limited, sizeof limited, "timeout -k 5 30 %s 2>&1 </dev/null",
            line);
  FILE *pipe = popen (limited, "r");
  size_t n = 0;
  if (pipe != NULL)
    n = fread (said, 1, room - 1, pipe);
  said[n] = '\0';
  int status = pipe != NULL ? pclose (pipe) : -1;
  return WIFEXITED (status) ? WEXITSTATUS (status) : -1;
}

/* The launcher with NP replaced. */
static void
launcher (int n_ranks, char *out, size_t room)
{
  const char *given = getenv ("TESTMPIRUN");
  if (given == NULL || given[0] == '\0')
    given = "mpirun --oversubscribe --bind-to none -n NP";
  const char *np = strstr (given, "NP");
  int head = np != NULL ? (int)(np - given) : (int)strlen (given);
  snprintf (out, room, "%.*s%d%s", head, given, n_ranks,
            np != NULL ? np + 2 : "");
}

static void
test_job (const struct job *job, const char *self)
{
  char start[1024], line[2048], said[16384];
  launcher (job->n_ranks, start, sizeof start);
  snprintf (line, sizeof line, "%s %s %s", start, self, job->name);
  int code = command (line, said, sizeof said);
  bool good = tap_ok (code == job->code, "%s: exit code %d of %d ranks: %d",
                      job->name, job->code, job->n_ranks, code);
  bool all = true;
  for (int i = 0; i < 3 && job->words[i] != NULL; i++)
    all = all && strstr (said, job->words[i]) != NULL;
  good = tap_ok (all, "%s: says '%s'", job->name, job->words[0]) && good;
  for (char *p = said; !good && p != NULL; p = strtok (NULL, "\n"))
    if (p != said || (p = strtok (said, "\n")) != NULL)
      tap_note ("%s", p);
}

/* Tasks of Slurm that nothing has connected: one of them explains. */
static void
test_slurm (const char *self)
{
  char line[2048], said[8192];
  static const char *const clean = "env -u OMPI_COMM_WORLD_SIZE SLURM_NTASKS=4";
  snprintf (line, sizeof line, "%s SLURM_PROCID=0 %s none", clean, self);
  int code = command (line, said, sizeof said);
  tap_ok (code == 64 && strstr (said, "SLURM_NTASKS is 4") != NULL &&
              strstr (said, "srun --mpi=pm") != NULL,
          "four tasks in four worlds are explained");
  snprintf (line, sizeof line, "%s SLURM_PROCID=2 %s none", clean, self);
  code = command (line, said, sizeof said);
  tap_ok (code == 64 && strstr (said, "interlock") == NULL,
          "by the first of them alone");
}

/* A job's script says how many ranks it has started. */
static void
test_expected (const char *self)
{
  char start[512], line[2048], said[8192];
  launcher (2, start, sizeof start);
  snprintf (line, sizeof line, "env INTERLOCK_RANKS=3 %s %s none", start, self);
  int code = command (line, said, sizeof said);
  tap_ok (code == 64 &&
              strstr (said, "INTERLOCK_RANKS is 3, but 2 ranks") != NULL,
          "two ranks where three are expected: %d", code);
  snprintf (line, sizeof line, "env INTERLOCK_RANKS=2 %s %s none", start, self);
  code = command (line, said, sizeof said);
  tap_ok (code == 65 && strstr (said, "INTERLOCK_RANKS") == NULL,
          "two where two are expected: %d", code);
  snprintf (line, sizeof line, "env INTERLOCK_RANKS=2 %s none", self);
  code = command (line, said, sizeof said);
  tap_ok (code == 64 && strstr (said, "a world of one rank") != NULL,
          "one where two are expected: %d", code);
}

/* The launcher of one MPI and a program of another: each copy would be a world
 * of its own; the first of them explains. */
static void
test_launcher (const char *self)
{
  static const char *const others[][2] = {
      {"OMPI_COMM_WORLD_SIZE=4", "OMPI_COMM_WORLD_RANK"},
      {"HYDI_CONTROL_FD=7 PMI_SIZE=4", "PMI_RANK"}};
  /* Our own launcher's variables would be believed by MPI itself. */
#ifdef OMPI_MAJOR_VERSION
  const int other = 1;
#else
  const int other = 0;
#endif
  char line[2048], said[8192];
  for (int rank = 0; rank < 4; rank += 3) {
    snprintf (line, sizeof line, "env %s %s=%d %s none", others[other][0],
              others[other][1], rank, self);
    int code = command (line, said, sizeof said);
    bool good = tap_ok (
        code == 64 && (strstr (said, "another MPI") != NULL) == (rank == 0),
        "another MPI's launcher: %d, explained by rank 0", code);
    if (!good)
      tap_note ("%s", said);
  }
}

int
main (int argc, char **argv)
{
  if (argc > 1)
    return rank_main (argc, argv);
  for (size_t i = 0; i < N_JOBS; i++)
    test_job (&jobs[i], argv[0]);
  test_slurm (argv[0]);
  test_expected (argv[0]);
  test_launcher (argv[0]);
  return tap_done ();
}
