/* run/stop.c -- why a training stops early: signals, the stop file, the end of
 * the job's time.
 *
 * A signal only sets a flag; every rank votes with its reason, and all stop at
 * the same step (ballot.c).  Which ranks a signal reaches depends on launcher
 * and scheduler, so the reason comes from whichever rank has one.
 */
#include "run/train_impl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* The first signal counts; later ones change nothing, but that a second
 * interrupt from the keyboard ends the process as anywhere else. */
static void
on_signal (int number)
{
  if (!stop_signal)
    stop_signal = number;
  else if (number == SIGINT && stop_signal == SIGINT) {
    signal (SIGINT, SIG_DFL);
    raise (SIGINT);
  }
}

void
run_catch_signals (void)
{
  struct sigaction a;
  memset (&a, 0, sizeof a);
  a.sa_handler = on_signal;
  a.sa_flags = SA_RESTART;
  for (int i = 0; i < N_SIGNALS; i++) {
    struct sigaction before;
    sigaction (signals[i].number, NULL, &before);
    /* A script's background jobs are to ignore the keyboard. */
    if (signals[i].number != SIGINT || before.sa_handler != SIG_IGN)
      sigaction (signals[i].number, &a, NULL);
  }
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

/* Whether the job's end is so near that the steps under way, an evaluation and
 * a checkpoint only just fit before it. */
static bool
time_is_up (const struct training *t)
{
  double need = t->s->config.time_margin + t->worst_save_s +
                (t->s->lag + 2) * t->worst_step_s;
  if (t->s->config.eval_every > 0)
    need += t->worst_eval_s;
  return t->job_end_s > 0 && clock_wall_s () + need > t->job_end_s;
}

/* -- the stop file ---------------------------------------------------------
 */

static void
stop_path (const struct session *s, char *path, size_t size)
{
  snprintf (path, size, "%s/stop", s->config.dir);
}

/* Asked ten times a second at most: on a network file system the answer takes
 * its time. */
static bool
stop_file (struct training *t)
{
  char path[RUN_PATH + 16];
  double now = clock_now_s ();
  if (now < t->look_s)
    return false;
  t->look_s = now + 0.1;
  stop_path (t->s, path, sizeof path);
  return access (path, F_OK) == 0;
}

void
stop_obeyed (const struct session *s)
{
  char path[RUN_PATH + 16];
  stop_path (s, path, sizeof path);
  if (s->run)
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

enum status
stop_before_steps (struct training *t, bool *stop)
{
  struct session *s = t->s;
  int size = wire_size (s->wire);
  double mine = stop_by_signal (), *all = NULL;
  TRY (wire_agree (s->wire, MEM_NEW ((size_t)size, &all, "votes")));
  enum status e = wire_all_gather (s->wire, &mine, 1, all);
  for (int i = 0; e == OK && i < size; i++)
    if (s->stop == STOP_NONE)
      s->stop = (enum run_stop)all[i];
  mem_free (&all);
  *stop = s->stop != STOP_NONE;
  return e;
}
