/* train/stop.c -- why a training stops early: signals, the stop file, the end
 * of the job's time.
 *
 * A signal only sets a flag; every rank votes with its reason, and all stop at
 * the same step (ballot.c).  Which ranks a signal reaches depends on launcher
 * and scheduler, so the reason comes from whichever rank has one.
 */
#include "train/train_impl.h"

#include "base/halt.h"
#include "base/place.h"
#include "base/signals.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* -- signals ---------------------------------------------------------------
 */

static const struct {
  int number;
  enum run_stop why;
} signals[] = {{SIGUSR1, STOP_USR1},
               {SIGUSR2, STOP_USR2},
               {SIGTERM, STOP_TERM},
               {SIGINT, STOP_INT}};
#define N_SIGNALS ((int)(sizeof signals / sizeof *signals))

static volatile sig_atomic_t stop_signal;

/* Whether a second TERM finds a process that is stuck: it came a while after
 * the first (a launcher and a scheduler may both send one at once), and the
 * process has not moved in between, so it will never look at the flag. */
static bool
is_deaf (int number)
{
  static volatile sig_atomic_t told;
  static struct timespec first;
  static unsigned long moves;
  struct timespec now;
  if (number != SIGTERM)
    return false;
  clock_gettime (CLOCK_MONOTONIC, &now);
  bool moved = !told || moves != place_moves ();
  if (!moved)
    return (double)(now.tv_sec - first.tv_sec) +
               (double)(now.tv_nsec - first.tv_nsec) * 1e-9 >=
           1;
  told = 1;
  first = now;
  moves = place_moves ();
  return false;
}

/* The first signal sets the flag, and later ones change nothing.  Except that a
 * second Ctrl-C ends the process, as users expect, and a second TERM ends one
 * that is stuck. */
static void
on_signal (int number)
{
  if (is_deaf (number)) {
    signal (SIGTERM, SIG_DFL);
    raise (SIGTERM);
  }
  if (!stop_signal)
    stop_signal = number;
  else if (number == SIGINT && stop_signal == SIGINT) {
    signal (SIGINT, SIG_DFL);
    raise (SIGINT);
  }
}

/* Who has started the ranks, before MPI sets variables of its own. */
static enum { BY_NOBODY, BY_SRUN, BY_MPIRUN, BY_HYDRA } started;

static void
look_at_launcher (void)
{
  if (getenv ("OMPI_COMM_WORLD_SIZE"))
    started = BY_MPIRUN;
  else if (getenv ("HYDI_CONTROL_FD") || getenv ("PMI_FD"))
    started = BY_HYDRA;
  else if (getenv ("SLURM_STEP_ID"))
    started = BY_SRUN;
}

void
stop_tell_how (const char *dir)
{
  static const char *const words[] = {
      [BY_NOBODY] = "USR1, TERM or Ctrl-C to this process",
      [BY_SRUN] = "scancel --signal=USR1 of the job; after TERM it saves if it "
                  "can within Slurm's KillWait",
      [BY_MPIRUN] =
          "USR1 to mpirun; TERM and Ctrl-C make mpirun kill its ranks "
          "soon, and steps since the last checkpoint may be lost",
      [BY_HYDRA] =
          "USR1 to one of the ranks; Ctrl-C makes mpiexec kill its "
          "ranks at once, and steps since the last checkpoint are lost",
  };
  say (LOG_INFO, "to stop it, nothing lost: touch %s/stop, or %s", dir,
       words[started]);
}

enum status
train_catch_signals (void)
{
  static bool looked;
  if (!looked)
    look_at_launcher ();
  looked = true;
  struct sigaction a;
  memset (&a, 0, sizeof a);
  a.sa_handler = on_signal;
  a.sa_flags = SA_RESTART;
  for (int i = 0; i < N_SIGNALS; i++) {
    struct sigaction before;
    sigaction (signals[i].number, NULL, &before);
    /* A shell starts background jobs with Ctrl-C ignored: so it stays. */
    if (signals[i].number != SIGINT || before.sa_handler != SIG_IGN)
      sigaction (signals[i].number, &a, NULL);
  }
  return signals_apart ();
}

static enum run_stop
stop_by_signal (void)
{
  for (int i = 0; i < N_SIGNALS; i++)
    if (signals[i].number == stop_signal)
      return signals[i].why;
  return STOP_NONE;
}

const char *
stop_name (enum run_stop why)
{
  static const char *const names[STOP_REASONS] = {
      "none", "TERM", "INT", "USR1", "USR2", "time-limit", "stop-file"};
  return names[why];
}

/* -- time ------------------------------------------------------------------
 */

double
stop_job_end (void)
{
  const char *word = getenv ("SLURM_JOB_END_TIME");
  int64_t end;
  return word && text_to_long (word, &end) ? (double)end : 0;
}

/* Nothing is saved before the first step. */
static bool
too_late (const struct config *c, double job_end_s)
{
  return job_end_s > 0 && clock_wall_s () + c->time_margin > job_end_s;
}

/* Whether the job's end is so near that the steps under way, an evaluation and
 * a checkpoint only just fit before it. */
static bool
time_is_up (const struct training *t)
{
  double need = t->s->design->config.time_margin + t->worst_save_s +
                (t->b.lag + 2) * t->worst_step_s;
  if (t->s->design->config.eval_every > 0)
    need += t->worst_eval_s;
  return t->job_end_s > 0 && clock_wall_s () + need > t->job_end_s;
}

/* -- the stop file ---------------------------------------------------------
 */

static void
stop_path (const char *dir, char *path, size_t size)
{
  snprintf (path, size, "%s/stop", dir);
}

static bool
is_there (const char *dir)
{
  char path[CONFIG_PATH + 16];
  stop_path (dir, path, sizeof path);
  return access (path, F_OK) == 0;
}

/* Asked ten times a second at most: on a network file system the answer takes
 * its time. */
static bool
stop_file (struct training *t)
{
  double now = clock_now_s ();
  if (now < t->look_s)
    return false;
  t->look_s = now + 0.1;
  return is_there (t->s->design->config.dir);
}

void
stop_obeyed (const struct store_run *run, const char *dir)
{
  char path[CONFIG_PATH + 16];
  stop_path (dir, path, sizeof path);
  if (run)
    unlink (path);
}

/* -- asking ----------------------------------------------------------------
 */

enum run_stop
stop_asked (struct training *t)
{
  if (stop_signal)
    return stop_by_signal ();
  if (!t->s->run)
    return STOP_NONE;
  if (time_is_up (t))
    return STOP_TIME;
  return stop_file (t) ? STOP_FILE : STOP_NONE;
}

/* -- before the first step -------------------------------------------------
 */

/* What the root looks at as well; ranks that measure look a few times a second
 * whether another has told. */
static bool
asked_early (void *starting)
{
  struct stop_early *e = starting;
  double now = clock_now_s ();
  if (e->why == STOP_NONE)
    e->why = stop_by_signal ();
  if (e->why == STOP_NONE && now < e->look_s)
    return false;
  e->look_s = now + 0.1;
  if (e->why == STOP_NONE && e->root)
    e->why = too_late (e->config, e->job_end_s) ? STOP_TIME
             : is_there (e->config->dir)        ? STOP_FILE
                                                : STOP_NONE;
  if (e->why != STOP_NONE)
    wire_alarm (e->wire);
  return e->why != STOP_NONE || wire_alarmed (e->wire);
}

void
stop_early_open (struct stop_early *e, struct wire *w, const struct config *c,
                 bool root)
{
  *e = (struct stop_early){
      .wire = w, .config = c, .root = root, .job_end_s = stop_job_end ()};
  halt_hook (asked_early, e);
}

enum status
stop_early_close (struct stop_early *e, enum run_stop *why)
{
  int size = wire_size (e->wire);
  double mine, *all = NULL;
  halt_hook (NULL, NULL);
  if (e->why == STOP_NONE)
    e->why = stop_by_signal ();
  mine = e->why;
  TRY (wire_alarm_end (e->wire));
  TRY (wire_agree (e->wire, MEM_NEW ((size_t)size, &all, "votes")));
  enum status s = wire_all_gather (e->wire, &mine, 1, all);
  *why = STOP_NONE;
  for (int i = 0; s == OK && i < size; i++)
    if (*why == STOP_NONE)
      *why = (enum run_stop)all[i];
  mem_free (&all);
  return s;
}
