/* train/origin.c -- what a run directory says before anything is opened:
 * whether it is this experiment, whether it is finished, where it may go on,
 * and whether its starts keep dying at the same step.
 *
 * On the root alone, and cheap: of a chain of jobs whose run is finished, those
 * that are left end within seconds.
 */
#include "train/train_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Steps of the whole run; 0 when the data set has to say and cannot. */
static int64_t
steps_of (const struct config *c)
{
  struct data_set *d = NULL;
  struct data_info info;
  int64_t n = 0;
  if (c->steps > 0)
    return c->steps;
  if (data_open (c->file, &d) == OK) {
    data_info (d, &info);
    n = data_info_samples (&info, derive_split (c->train), c->context,
                           c->stride, c->order == CONFIG_SHUFFLE);
    n = c->limit > 0 && c->limit < n ? c->limit : n;
  }
  data_close (&d);
  fail_clear (); /* opening the session will say it */
  return n > 0 ? design_steps (c, n) : 0;
}

/* The step at which the run ended, as its status says; -1: it did not. */
static int64_t
finished_step (const char *status)
{
  long long step;
  return status && sscanf (status, "finished 0 step=%lld", &step) == 1 ? step
                                                                       : -1;
}

void
origin_close (struct origin *o)
{
  store_history_destroy (&o->history);
  mem_free (&o->found);
  mem_free (&o->status);
}

void
origin_next (struct origin *o)
{
  o->path = NULL;
  o->step = 0;
  while (o->next < o->n_found) {
    const struct store_found *f = &o->found[o->next++];
    enum status e = store_checkpoint_verify (f->path, NULL);
    if (e == OK) {
      o->path = f->path;
      o->step = f->step;
      return;
    }
    if (e == E_MEMORY) /* nothing is wrong with the file */
      status_end (e);
    say (LOG_WARN, "passed over: %s", fail_message ());
    fail_clear ();
  }
}

enum status
origin_none (const char *dir)
{
  return fail (E_CHECKPOINT,
               "%s: there has been a checkpoint, but none can be used any "
               "more; to begin again from nothing, remove %s/checkpoints and "
               "%s/events.jsonl, or take another run.dir",
               dir, dir, dir);
}

static bool
had_checkpoint (const struct store_history *h)
{
  for (int i = 0; i < store_history_count (h); i++)
    if (strcmp (store_history_word (h, i, "event"), "checkpoint") == 0)
      return true;
  return false;
}

/* Starts from one and the same step, again and again. */
static enum status
going_round (const struct origin *o, const struct config *c)
{
  if (c->attempts <= 0 || o->attempts < c->attempts)
    return OK;
  return fail (E_STUCK,
               "%s: %lld starts from step %lld, and none has left a newer "
               "checkpoint: look at the end of %s/log and at the jobs' output "
               "(killed for memory? checkpoint.every too large for the job's "
               "time?); to try again: run.attempts=0, or rm %s/progress",
               c->dir, (long long)o->attempts, (long long)o->step, c->dir,
               c->dir);
}

/* Where nothing is left to do, or nothing to go on from, the directory has to
 * be of this experiment; one that goes on is asked by train_resume. */
static enum status
is_this (const struct origin *o, const struct config *c)
{
  bool begun = o->ever || o->mark.step > 0 || finished_step (o->status) >= 0;
  if (!o->done && (o->path || !begun))
    return OK;
  return identity_check (c, o->history,
                         o->n_found > 0 ? o->found[0].path : NULL,
                         o->done ? "is finished" : "has begun");
}

/* Who asks to begin anew: a word, or the job that has been started again, which
 * may have done so already.  "": nobody who could have. */
static const char *
who_asks (const struct config *c)
{
  const char *job = getenv ("SLURM_JOB_ID");
  const char *restart = getenv ("SLURM_RESTART_COUNT");
  if (c->fresh_by[0])
    return c->fresh_by;
  return job && restart && strtol (restart, NULL, 10) > 0 ? job : "";
}

static bool
begins_anew (const struct origin *o, const struct config *c)
{
  const char *who = who_asks (c);
  if (!c->fresh)
    return false;
  for (int i = store_history_count (o->history) - 1; who[0] && i >= 0; i--)
    if (strcmp (store_history_word (o->history, i, "event"), "fresh") == 0 &&
        strcmp (store_history_word (o->history, i, "by"), who) == 0) {
      say (LOG_INFO, "%s was begun anew by %s before: going on", c->dir, who);
      return false;
    }
  return true;
}

enum status
origin_anew (struct origin *o, const struct config *c, struct store_run *run)
{
  const char *job = getenv ("SLURM_JOB_ID");
  struct text where;
  text_init (&where);
  enum status e = store_run_aside (run,
                                   c->fresh_by[0] ? c->fresh_by
                                   : job          ? job
                                                  : "",
                                   &where);
  if (e == OK && where.size)
    say (LOG_INFO, "--fresh: what was in %s has been moved to %s", c->dir,
         where.data);
  text_clear (&where);
  TRY (e);
  o->fresh = false;
  mem_free (&o->status);
  store_history_destroy (&o->history);
  TRY (store_history_read (c->dir, &o->history));
  return origin_begin (o, run);
}

enum status
origin_peek (struct origin *o, const struct config *c)
{
  int n_files = 0;
  *o = (struct origin){0};
  TRY (store_history_read (c->dir, &o->history));
  if (store_run_get (c->dir, "status", &o->status) != OK)
    fail_clear ();
  o->end = steps_of (c);
  store_mark_read (c->dir, &o->mark);
  o->step = finished_step (o->status);
  o->done = o->end > 0 && o->step >= o->end;
  TRY (store_checkpoint_candidates (c->dir, &o->found, &o->n_found, &n_files));
  if (!o->done && o->n_found > 0) {
    o->path = o->found[0].path;
    o->done = o->end > 0 && o->found[0].step >= o->end;
  }
  o->ever = n_files > 0 || had_checkpoint (o->history);
  return is_this (o, c);
}

enum status
origin_open (struct origin *o, const struct config *c, struct store_run *run)
{
  int n_files = 0;
  *o = (struct origin){0};
  store_run_sweep (run);
  TRY (store_history_read (c->dir, &o->history));
  if (store_run_get (c->dir, "status", &o->status) != OK)
    fail_clear ();
  o->end = steps_of (c);
  o->fresh = begins_anew (o, c);
  if (o->fresh)
    return OK;
  store_mark_read (c->dir, &o->mark);
  o->step = finished_step (o->status);
  o->done = o->end > 0 && o->step >= o->end;
  TRY (store_checkpoint_candidates (c->dir, &o->found, &o->n_found, &n_files));
  if (!o->done)
    origin_next (o);
  o->ever = n_files > 0 || had_checkpoint (o->history);
  TRY (is_this (o, c));
  if (o->done)
    return OK;
  o->attempts = o->mark.start == o->step ? o->mark.attempts : 0;
  if (!o->path && o->ever)
    return origin_none (c->dir);
  return going_round (o, c);
}

enum status
origin_begin (struct origin *o, struct store_run *run)
{
  struct store_mark m = {
      .step = o->step, .start = o->step, .attempts = o->attempts + 1};
  char line[128];
  /* What was reached stays until this start has begun. */
  o->reached = o->mark.step;
  if (o->reached > m.step)
    m.step = o->reached;
  o->mark = m;
  o->counted = true;
  snprintf (line, sizeof line, "running 0 step=%lld\n", (long long)o->step);
  TRY (store_run_mark (run, &m));
  return store_run_put (run, "status", line);
}

/* Attempts count starts that died, not one that was refused before it trained,
 * nor one that was asked to stop. */
static bool
counts (enum status e, const struct outcome *out)
{
  return e != OK && e != E_STOPPED && out->began;
}

static void
uncount (struct origin *o, struct store_run *run, const struct outcome *out)
{
  if (!o->counted)
    return;
  if (out->began)
    o->mark.step = out->step;
  o->mark.attempts--;
  (void)store_run_mark (run, &o->mark);
  fail_clear ();
}

/* A wrong configuration leaves no trace where something was told before.  What
 * said that it runs did so of a start that is dead. */
static bool
leaves_status (const struct origin *o, enum status e, const struct outcome *out)
{
  return status_exit (e) == 64 && !out->began && o->status &&
         strncmp (o->status, "running", 7) != 0;
}

/* Nobody comes after us to write it.  What may pass is tried again, and where
 * the disk is full the few bytes of the file that is there still take it. */
static enum status
put_status (struct store_run *run, const char *line)
{
  enum status e = store_run_put (run, "status", line);
  if (e == E_IO) {
    fail_clear ();
    usleep (100000);
    e = store_run_put (run, "status", line);
  }
  if (e == E_IO && store_run_overwrite (run, "status", line) == OK) {
    fail_clear ();
    e = OK;
  }
  return e;
}

enum status
origin_end (struct origin *o, struct store_run *run, enum status e,
            const struct outcome *out)
{
  char line[256], step[32], code[16];
  const char *event = e == OK          ? "finished"
                      : e == E_STOPPED ? "stopped"
                                       : "failed";
  if (!counts (e, out))
    uncount (o, run, out);
  if (leaves_status (o, e, out))
    return put_status (run, o->status);
  const char *why = e == E_STOPPED ? stop_name (out->why) : status_text (e);
  snprintf (step, sizeof step, "%lld", (long long)out->step);
  snprintf (code, sizeof code, "%d", status_exit (e));
  const char *fields[][2] = {{"step", step},
                             {"code", code},
                             {"reason", why},
                             {"status", status_text (e)}};
  if (!o->done)
    (void)store_run_event (run, event, e == OK ? 2 : 4,
                           (const char *const(*)[2])fields);
  fail_clear ();
  if (e == OK)
    snprintf (line, sizeof line, "finished 0 step=%s\n", step);
  else
    snprintf (line, sizeof line, "%s %s step=%s reason=%s\n", event, code, step,
              why);
  return put_status (run, line);
}
