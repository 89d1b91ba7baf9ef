/* train/train.c -- the command `train`: what a run directory says, the session,
 * where to go on from; then the steps (steps.c), and how it ended.
 */
#include "train/train_impl.h"

#include "base/halt.h"
#include "base/place.h"
#include "store/h5.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- start -------------------------------------------------------------------
 */

static void
portrait (const struct session *s)
{
  const struct design *d = s->design;
  struct text t;
  const struct config *c = &d->config;
  design_cache_say (d);
  stop_tell_how (c->dir);
  say (LOG_INFO, "interlock %s; %s; %s; %s", PACKAGE_VERSION,
       kernels_describe (d->kernels), wire_describe (s->wire),
       store_describe ());
  if (network_family (d->net)->language)
    say (LOG_INFO,
         "data %s: %s, %s training tokens, %lld windows of %lld, vocabulary %d",
         c->file, d->info.name, text_count (d->info.tokens[d->train]),
         (long long)d->n_train, (long long)d->length, d->info.classes);
  else
    say (LOG_INFO,
         "data %s: %s, %lld training samples, %d x %d x %d, %d classes",
         c->file, d->info.name, (long long)d->n_train, d->info.channels,
         d->info.height, d->info.width, d->info.classes);
  if (d->info.decoder[0])
    say (LOG_INFO, "JPEG images, decoded by %s", d->info.decoder);
  say (LOG_INFO,
       "%d rank%s = %d replica%s x %d pipe rank%s, %d thread%s each; plan "
       "%016llx",
       wire_size (s->wire), wire_size (s->wire) == 1 ? "" : "s", d->R,
       d->R == 1 ? "" : "s", wire_pipe_size (s->wire),
       wire_pipe_size (s->wire) == 1 ? "" : "s", d->threads,
       d->threads == 1 ? "" : "s", (unsigned long long)design_hash (d));
  kernels_say_dropped (d->kernels);
  for (int i = 0; i < s->n_local; i++) {
    size_t b[5];
    stage_memory (s->local[i].stage, b);
    say (LOG_DEBUG,
         "stage %d holds %s: weights %s, slots %s, pairs %s, other %s; works "
         "in %s",
         s->local[i].k, text_bytes ((double)(b[0] + b[1] + b[2] + b[3])),
         text_bytes ((double)b[0]), text_bytes ((double)b[1]),
         text_bytes ((double)b[2]), text_bytes ((double)b[3]),
         text_bytes ((double)b[4]));
  }
  text_init (&t);
  design_plan_show (s->design, &t);
  say (LOG_INFO, "%s", t.data);
  text_clear (&t);
  design_warn_feed (d);
  say (LOG_INFO, "%lld steps of %lld samples; ready after %s",
       (long long)d->steps, (long long)d->batch,
       text_seconds (clock_now_s () - d->started_s));
}

static enum status
write_config (struct session *s)
{
  struct text out;
  enum status e = OK;
  text_init (&out);
  if (s->run) {
    config_write (&s->design->config, &out);
    e = store_run_put (s->run, "config.ini", out.data);
  }
  text_clear (&out);
  return wire_agree (s->wire, e);
}

/* The session, what rides beside its steps, and the parameters to begin with.
 */
static enum status
open_session (struct training *t, struct wire *w, const struct config *c,
              const struct session_spec *spec, bool resumes)
{
  struct session *s = t->s;
  TRY (session_open (w, c, spec, s));
  enum status e = agreement_open (s, &t->b.agreement);
  if (e == OK)
    e = digest_open (s, &t->b.digests);
  if (e == OK)
    e = wire_agree (w, flow_open (s, &t->b.flow));
  if (e == OK)
    e = wire_agree (w, ballot_open (s, &t->b));
  if (e == OK && !resumes)
    e = train_init (s);
  if (e != OK) {
    ballot_close (&t->b);
    session_close (s);
  }
  return e;
}

static enum status
training_open (struct training *t)
{
  struct session *s = t->s;
  const struct design *d = s->design;
  size_t K = (size_t)d->K;
  TRY (MEM_NEW (K, &t->p.sum, "sums of losses"));
  TRY (MEM_NEW (K, &t->eval.loss, "evaluation"));
  TRY (MEM_NEW (K, &t->eval.accuracy, "evaluation"));
  TRY (MEM_NEW (K, &t->eval.rebuilt, "evaluation"));
  t->end = d->steps;
  t->job_end_s = stop_job_end ();
  t->loop_s = t->saved_s = clock_now_s ();
  t->p.interval = flow_interval (d);
  t->p.rows_from = t->p.live_step = t->start;
  t->p.waited_s = record_waited (t->s);
  t->p.flops = facts_useful_flops (d) / (double)d->batch;
  t->p.live_s = clock_now_s ();
  t->p.line_s = t->p.live_s - 15; /* the first plain line comes early */
  if (s->run && t->resumed[0]) {
    TRY (store_run_rows_back (s->run, t->start, t->resumed[0]));
    if (t->other_heads)
      TRY (store_run_rows_aside (s->run, "is about other heads"));
    record_progress_back (t, t->resumed[1]);
  } else if (s->run) {
    TRY (store_run_rows_aside (s->run, "is of an earlier start from nothing"));
  }
  return d->config.trace ? trace_open (s) : OK;
}

static void
training_close (struct training *t)
{
  train_save_close (t);
  halt_hook (NULL, NULL);
  ballot_close (&t->b);
  mem_free (&t->resumed[0]);
  mem_free (&t->resumed[1]);
  mem_free (&t->p.sum);
  mem_free (&t->eval.loss);
  mem_free (&t->eval.accuracy);
  mem_free (&t->eval.rebuilt);
}

/* Steps from start to end.  What was due where an earlier start stopped comes
 * first. */
static enum status
train_on (struct training *t)
{
  struct session *s = t->s;
  const struct design *d = s->design;
  if (t->start > 0 && t->start < t->end &&
      train_is_due (d->config.eval_every, t->start))
    TRY (train_evaluate_missing (t, d->valid, t->start));
  if (t->stopped || t->start >= t->end)
    return OK;
  TRY (wire_agree (s->wire, session_begin (s, t->start, t->end)));
  enum status e = train_walk (t);
  if (e != OK)
    train_save_settle (t);
  /* Both were read by all ranks in one ballot, and said by none yet. */
  if (digest_differs (t->b.digests))
    e = digest_tell (t->b.digests);
  else if (e == E_NUMBERS)
    e = wire_agree (s->wire, e);
  enum status sent = agreement_settle (t->b.agreement);
  if (sent != OK)
    wire_abort (sent);
  enum status ended = session_end (s);
  TRY (e);
  return ended;
}

static enum status
stopped_before (void)
{
  say (LOG_INFO, "stopped before the first step; nothing to save");
  return E_STOPPED;
}

static enum status
train_steps (struct training *t)
{
  struct session *s = t->s;
  TRY (wire_agree (s->wire, training_open (t)));
  TRY (stop_early_close (&t->early, &t->b.stop));
  t->stopped = t->b.stop != STOP_NONE;
  if (t->stopped) {
    stop_obeyed (s->run, s->design->config.dir);
    return stopped_before ();
  }
  TRY (train_save_open (t));
  TRY (train_on (t));
  TRY (train_finish (t));
  return t->stopped ? E_STOPPED : OK;
}

/* The kernel choices of the checkpoint to go on from, on all ranks; "" where
 * there is none; *resumes: there is one. */
static enum status
was_tuning (struct wire *w, const struct origin *o, char **tuning,
            bool *resumes)
{
  enum status e = OK;
  *resumes = o->path != NULL;
  TRY (wire_broadcast (w, resumes, sizeof *resumes, 0));
  if (wire_rank (w) == 0)
    e = o->path ? session_tuning_of (o->path, tuning) : mem_text ("", tuning);
  TRY (wire_agree (w, e));
  return wire_broadcast_text (w, tuning, 0);
}

/* A root that ends the job in the middle of a step leaves no status that says
 * running. */
static void
record_abort (enum status e, void *context)
{
  const struct training *t = context;
  char line[256];
  if (!t->s->run)
    return;
  snprintf (line, sizeof line, "failed %d step=%lld reason=%s\n",
            status_exit (e), (long long)t->mark.step, status_text (e));
  (void)store_run_put (t->s->run, "status", line);
}

/* What was in the directory goes aside only now that the new run is accepted.
 */
static enum status
begin_anew (struct session *s, struct origin *o, struct store_run *run)
{
  enum status e = run ? origin_anew (o, &s->design->config, run) : OK;
  s->run = run;
  if (e == OK && run) {
    log_file_set (store_run_log (run));
    e = design_put_choices (s->design, run);
  }
  return train_verdict (s->wire, e);
}

/* All steps are taken and evaluated.  Collective. */
static enum status
nothing_left (const struct training *t, bool *out)
{
  const struct session *s = t->s;
  const struct design *d = s->design;
  bool valid = true, test = true;
  *out = t->start >= d->steps;
  if (t->start == d->steps) {
    TRY (train_has_row (s, d->valid, t->start, &valid));
    TRY (train_has_row (s, d->test, t->start, &test));
  }
  *out = *out && valid && test;
  return OK;
}

/* The run had no session yet.  Collective. */
static enum status
not_opened (struct training *t, struct store_run *run, enum status e,
            struct outcome *out)
{
  if (e != E_STOPPED) {
    halt_hook (NULL, NULL);
    return e;
  }
  TRY (stop_early_close (&t->early, &out->why));
  stop_obeyed (run, t->early.config->dir);
  return stopped_before ();
}

static void
say_done (const struct origin *o)
{
  if (o->end > 0 && o->end < o->step)
    say (LOG_INFO,
         "already finished: %lld steps, more than the %lld asked for; its "
         "last weights are those after %lld",
         (long long)o->step, (long long)o->end, (long long)o->step);
  else
    say (LOG_INFO, "already finished: %lld steps", (long long)o->step);
}

/* With a session: where to go on from, and then the steps. */
static enum status
go_on (struct training *t, struct origin *o, struct store_run *run,
       struct outcome *out)
{
  struct session *s = t->s;
  bool whole;
  if (o->fresh)
    TRY (begin_anew (s, o, run));
  TRY (train_resume (t, o));
  out->began = true;
  t->done = t->start;
  t->mark = o->mark;
  if (t->start < s->design->steps)
    TRY (write_config (s));
  TRY (nothing_left (t, &whole));
  if (whole) {
    say_done (o);
    o->done = t->start > s->design->steps;
    return OK;
  }
  portrait (s);
  enum status e = facts_begin (s);
  busy_now (&t->begun);
  if (e == OK)
    e = dump_open (s);
  if (e == OK)
    e = train_steps (t);
  dump_close (s, t->start, t->done);
  return e;
}

static enum status
train (struct wire *w, const struct config *c, struct store_run *run,
       struct origin *o, struct outcome *out)
{
  struct session s = {.run = NULL};
  struct training t = {.s = &s, .mark = o->mark};
  struct session_spec spec = {.design = {.run = o->fresh ? NULL : run}};
  char *tuning = NULL;
  bool resumes = false;
  enum status e = was_tuning (w, o, &tuning, &resumes);
  spec.design.was_tuning = tuning;
  stop_early_open (&t.early, w, c, run != NULL);
  wire_abort_record (record_abort, &t);
  if (e == OK)
    e = open_session (&t, w, c, &spec, resumes);
  if (e != OK) {
    wire_abort_record (NULL, NULL);
    mem_free (&tuning);
    return not_opened (&t, run, e, out);
  }
  e = go_on (&t, o, run, out);
  out->step = t.done;
  out->why = t.b.stop;
  wire_abort_record (NULL, NULL);
  training_close (&t);
  session_close (&s);
  mem_free (&tuning);
  return e;
}

/* Choices that a run keeps, into c.  Collective. */
static enum status
keep_begun (struct wire *w, struct config *c)
{
  char *text = NULL;
  struct ini was;
  enum status e = OK;
  if (wire_rank (w) == 0) {
    if (store_run_get (c->dir, "config.ini", &text) != OK) {
      fail_clear ();
      e = mem_text ("", &text);
    }
  }
  TRY (wire_agree (w, e));
  e = wire_broadcast_text (w, &text, 0);
  if (e == OK) {
    ini_open (text, NULL, &was);
    changes_keep (&was, c);
    ini_close (&was);
  }
  mem_free (&text);
  return e;
}

/* With the run directory's lock: is there anything to do, and then that. */
static enum status
train_here (struct wire *w, const struct config *asked, struct store_run *run)
{
  struct config mine = *asked, *c = &mine;
  struct origin o = {0};
  struct outcome out = {0};
  bool done = false;
  enum status e = run ? origin_open (&o, c, run) : OK;
  out.step = o.step;
  if (run && c->fresh && !o.fresh)
    log_file_set (store_run_log (run));
  if (e == OK && run && !o.done && !o.fresh)
    e = origin_begin (&o, run);
  e = train_verdict (w, e);
  done = o.done;
  if (e == OK)
    e = wire_broadcast (w, &done, sizeof done, 0);
  if (e == OK)
    e = wire_broadcast (w, &o.fresh, sizeof o.fresh, 0);
  if (e == OK && !done && !o.fresh)
    e = keep_begun (w, c);
  if (e == OK && done)
    say_done (&o);
  else if (e == OK)
    e = train (w, c, run, &o, &out);
  /* A run that was not moved aside is none of this start's. */
  enum status ended = OK;
  if (run && !(o.fresh && o.status))
    ended = origin_end (&o, run, e, &out);
  origin_close (&o);
  if (e == OK || e == E_STOPPED) {
    ended = train_verdict (w, ended);
    e = ended != OK ? ended : e;
  }
  if (run)
    fail_clear ();
  return e;
}

enum status
train_run (struct wire *w, const struct config *c)
{
  struct store_run *run = NULL;
  enum status e = train_catch_signals ();
  place_set (-1, -1, "opening the run directory");
  if (e == OK && wire_rank (w) == 0)
    e = store_run_open (c->dir, &run);
  e = train_verdict (w, e);
  if (e == OK) {
    if (run && !c->fresh)
      log_file_set (store_run_log (run));
    e = train_here (w, c, run);
    log_file_set (NULL);
  }
  store_run_close (&run);
  return e;
}
