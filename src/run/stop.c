/* run/stop.c -- why a training stops early: signals, the stop file, the end of
 * the job's time.
 *
 * A signal only sets a flag; every rank votes, and all stop at the same step
 * (ballot.c).
 */
#include "run/train_impl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_signal;

static void
on_signal (int number)
{
  stop_signal = number;
}

void
stop_catch_signals (void)
{
  struct sigaction a;
  memset (&a, 0, sizeof a);
  a.sa_handler = on_signal;
  a.sa_flags = SA_RESTART;
  sigaction (SIGUSR1, &a, NULL);
  sigaction (SIGUSR2, &a, NULL);
  sigaction (SIGTERM, &a, NULL);
}

/* Whether the job's end is so near that the steps under way and a checkpoint
 * only just fit before it. */
static bool
time_is_up (const struct training *t)
{
  double need = t->s->config.time_margin + t->worst_save_s +
                (t->s->lag + 2) * t->worst_step_s;
  return t->job_end_s > 0 && clock_wall_s () + need > t->job_end_s;
}

/* When Slurm ends the job, in seconds since 1970; 0: not known. */
double
stop_job_end (void)
{
  const char *word = getenv ("SLURM_JOB_END_TIME");
  int64_t end;
  return word && text_to_long (word, &end) ? (double)end : 0;
}

bool
stop_asked (struct training *t)
{
  struct session *s = t->s;
  if (stop_signal)
    return true;
  if (!s->run)
    return false;
  if (time_is_up (t))
    return true;
  char path[RUN_PATH + 16];
  snprintf (path, sizeof path, "%s/stop", s->config.dir);
  return access (path, F_OK) == 0;
}

/* The file has done its work: the next start is to go on. */
void
stop_obeyed (const struct session *s)
{
  char path[RUN_PATH + 16];
  snprintf (path, sizeof path, "%s/stop", s->config.dir);
  if (s->run)
    unlink (path);
}
