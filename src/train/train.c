/* train/train.c -- the command `train`: walk the steps, evaluate, keep a
 * record.
 *
 * There is no barrier in the loop.  A rank reads the ballot of step t before
 * step t + lag; stopping and failing are decided there, at the same step on all
 * ranks.  A failure of a step itself ends the job at once (wire_abort).
 */
#include "train/train_impl.h"

#include "base/halt.h"
#include "base/place.h"
#include "store/h5.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* -- the loop ----------------------------------------------------------------
 */

static void
say_evaluation (const struct training *t, enum data_split split,
                int64_t steps_done)
{
  const struct session *s = t->s;
  const struct design *d = s->design;
  struct text line;
  double v[64];
  text_init (&line);
  text_add (&line, "step=%lld split=%s loss=[", (long long)steps_done,
            data_split_name (split));
  record_heads (t->eval.loss, d->K, &line);
  text_add (&line, "] accuracy=[");
  record_heads (t->eval.accuracy, d->K, &line);
  if (d->length > 1) {
    for (int k = 0; k < d->K; k++)
      v[k] = exp (t->eval.loss[k]);
    text_add (&line, "] perplexity=[");
    record_heads (v, d->K, &line);
    for (int k = 0; k < d->K; k++)
      v[k] = session_bits (s, split, t->eval.loss[k]);
    text_add (&line, "] bits_per_byte=[");
    record_heads (v, d->K, &line);
  }
  log_live_done ();
  say (LOG_INFO, "%s]", line.data);
  text_clear (&line);
}

/* Whether the root has the row of an evaluation, or there is nothing to
 * evaluate.  Collective. */
static enum status
has_row (const struct session *s, enum data_split split, int64_t done,
         bool *there)
{
  *there =
      s->design->info.samples[split] == 0 ||
      (s->run && store_run_has_row (s->run, data_split_name (split), done));
  return wire_broadcast (s->wire, there, sizeof *there, 0);
}

static enum run_stop
ask_stop (void *training)
{
  return stop_asked (training);
}

static enum status
evaluate (struct training *t, enum data_split split, int64_t steps_done)
{
  struct session *s = t->s;
  if (s->design->info.samples[split] == 0)
    return OK;
  double begin = clock_now_s ();
  struct evaluation_stop stop = {.ask = ask_stop, .context = t};
  t->trained_s += begin - t->loop_s;
  enum status e = session_evaluate (s, split, 0, &stop, &t->eval);
  t->loop_s = clock_now_s ();
  if (e == E_STOPPED) { /* the next start evaluates */
    fail_clear ();
    t->stopped = true;
    t->b.stop = stop.why;
    return OK;
  }
  TRY (e);
  if (t->loop_s - begin > t->worst_eval_s)
    t->worst_eval_s = t->loop_s - begin;
  if (wire_rank (s->wire) != 0)
    return OK;
  say_evaluation (t, split, steps_done);
  return record_row (t, split, data_split_name (split), steps_done,
                     t->eval.loss, t->eval.accuracy, NAN);
}

/* The same unless metrics.csv has its row: a start that was stopped or killed
 * may have left it, or not come to it. */
static enum status
evaluate_missing (struct training *t, enum data_split split, int64_t done)
{
  bool there;
  TRY (has_row (t->s, split, done, &there));
  return there ? OK : wire_agree (t->s->wire, evaluate (t, split, done));
}

/* How far all ranks are known to be, where a kill does not wipe it out.  False
 * when the directory is no longer ours: then this rank votes to give up, and
 * records nothing.  All leave together then and in order: under Slurm an abort
 * would end the step of our number, which by now is our successor's. */
static bool
mark_step (struct training *t, int64_t done)
{
  struct store_run *run = t->s->run;
  if (!run)
    return true;
  if (store_run_lost (run) && !t->b.vote.give_up) {
    t->save.status = store_run_mine (run);
    snprintf (t->save.message, sizeof t->save.message, "%s", fail_message ());
    fail_clear ();
    t->b.vote.give_up = t->save.status != OK;
  }
  if (t->b.vote.give_up && store_run_lost (run))
    return false;
  t->mark.step = done;
  /* Without the mark only the number of lost steps is wrong.  A message that
   * another ballot has left is not ours to clear. */
  if (store_run_mark (run, &t->mark) != OK)
    fail_clear ();
  return true;
}

/* Read the next ballot and keep the root's record of it.  timed: not one of the
 * last, which come all at once. */
static enum status
read_ballot (struct training *t, bool timed)
{
  struct session *s = t->s;
  const int64_t step = t->read++;
  TRY (ballot_read (&t->b, step));
  for (int k = 0; k < s->design->K; k++) {
    t->p.sum[k].loss += t->b.loss[k].loss;
    t->p.sum[k].correct += t->b.loss[k].correct;
    t->p.sum[k].counted += t->b.loss[k].counted;
  }
  if (wire_rank (s->wire) != 0)
    return OK;
  if (!mark_step (t, step + 1))
    return OK;
  record_progress (t, step);
  enum status e = OK;
  if (agreement_due (t->b.agreement, step))
    e = record_agreement (t, step + 1);
  if (e == OK && digest_recorded (t->b.digests, step))
    e = record_digests (t, step + 1);
  if (e == OK && (step + 1) % t->p.interval == 0)
    e = record_training (t, step + 1, timed);
  if (e != OK)
    wire_abort (e); /* the others do not know and are on their way */
  train_save_describe (t, step + 1);
  return OK;
}

static bool
is_due (int64_t every, int64_t done)
{
  return every > 0 && done % every == 0;
}

/* What all ranks do together between steps: a failure here is agreed on.  Where
 * they wait for each other the ballots under way are read first, so that what
 * is saved is known to be sound; all ranks learn from the same ones whether to
 * stop. */
static enum status
between_steps (struct training *t)
{
  const struct design *d = t->s->design;
  const int64_t done = t->done;
  bool eval = is_due (d->config.eval_every, done);
  bool keep = is_due (d->config.every, done) || t->b.save_wanted;
  bool wait = keep && !t->save.saver;
  if ((!eval && !wait) || done == t->end)
    return train_save_due (t, done, keep);
  while (t->read < done)
    TRY (read_ballot (t, t->read == done - 1));
  t->stopped = t->b.stop != STOP_NONE;
  if (eval && !t->stopped)
    TRY (wire_agree (t->s->wire, evaluate (t, d->valid, done)));
  if (t->stopped)
    return OK;
  return wait ? train_save (t, done, false) : train_save_due (t, done, keep);
}

/* Why this rank wants to stop after so many steps. */
static enum run_stop
asked_after (struct training *t, int64_t done)
{
  const int64_t planned = t->s->design->config.stop_after;
  return planned > 0 && done >= planned ? STOP_FILE : stop_asked (t);
}

static enum status
take_step (struct training *t)
{
  const double begin = clock_now_s ();
  TRY (agreement_walk (t->b.agreement, t->done));
  TRY (session_step (t->s, t->done));
  const double took = clock_now_s () - begin;
  if (t->done > t->start && took > t->worst_step_s)
    t->worst_step_s = took;
  return OK;
}

/* Of the step that was just taken. */
static enum status
cast_ballot (struct training *t)
{
  const int64_t done = t->done + 1;
  train_save_move (t);
  place_set ((long)t->done, -1, "between steps");
  if (train_save_coming (t, done,
                         is_due (t->s->design->config.eval_every, done)))
    digest_ask (t->b.digests);
  return ballot_cast (&t->b, t->done, asked_after (t, done));
}

/* The life of step t->done; lag is the number of ranks in a pipe.
 *
 *   read     the ballot of the step `lag` before: its losses go to the record,
 *            and all ranks learn there, at the same step, whether to stop
 *   compare  gradients side by side, where that is due (agreement.c)
 *   walk     the list of the step: forwards, backwards, sums, updates (step.c)
 *   move     the saver on, which writes beside the steps (save.c)
 *   cast     the ballot of this step: losses, digests, votes to save and stop;
 *            it travels while the next steps are walked
 *   between  what all ranks do together: evaluate, begin a save
 *
 * A rank that fails in between cannot wait for a fence and ends the job. */
static enum status
walk (struct training *t)
{
  enum status e = OK;
  t->read = t->start;
  t->loop_s = t->saved_s = clock_now_s ();
  while (e == OK && t->done < t->end) {
    if (t->done - t->b.lag >= t->read)
      e = read_ballot (t, true);
    t->stopped = t->b.stop != STOP_NONE;
    if (e != OK || t->stopped)
      break;
    enum status local = take_step (t);
    if (local == OK)
      local = cast_ballot (t);
    if (local != OK)
      wire_abort (local);
    t->done++;
    e = between_steps (t);
  }
  /* The ballots still under way: all ranks read the same ones. */
  while (t->read < t->done) {
    enum status late = read_ballot (t, false);
    if (e == OK)
      e = late;
  }
  t->trained_s += clock_now_s () - t->loop_s;
  t->loop_s = clock_now_s ();
  log_live_done ();
  return e;
}

/* Weights first: a start that ends in an evaluation leaves nothing but that to
 * do. */
static enum status
save_and_evaluate (struct training *t)
{
  const int64_t done = t->done;
  struct session *s = t->s;
  const struct design *d = s->design;
  bool saved = done == t->start; /* it went on from there */
  if (!saved && (d->config.at_end || t->stopped)) {
    TRY (train_save (t, done, true));
    saved = true;
  }
  if (!t->stopped)
    TRY (evaluate_missing (t, d->valid, done));
  if (!t->stopped)
    TRY (evaluate_missing (t, d->test, done));
  return t->stopped && !saved ? train_save (t, done, true) : OK;
}

/* After the last step: checkpoint, final evaluation, accounts. */
static enum status
finish (struct training *t)
{
  const int64_t done = t->done;
  struct session *s = t->s;
  struct wire *w = s->wire;
  enum status e = OK;
  /* A run that will go on completes the row then. */
  if (wire_rank (w) == 0 && done > t->p.rows_from && !t->stopped)
    e = record_training (t, done, false);
  TRY (wire_agree (w, e));
  TRY (save_and_evaluate (t));
  train_save_settle (t);
  if (t->stopped) {
    stop_obeyed (s->run, s->design->config.dir);
    say (LOG_INFO,
         "stopped after %lld of %lld steps%s; run the same again to go on",
         (long long)done, (long long)t->end,
         done == t->end ? ", before the last evaluation was done" : "");
  }
  TRY (trace_write (s));
  TRY (facts_end (s));
  return account_report (s, done - t->start);
}

/* -- start -------------------------------------------------------------------
 */

static void
portrait (const struct session *s)
{
  struct text t;
  const struct config *c = &s->design->config;
  stop_tell_how (c->dir);
  say (LOG_INFO, "interlock %s; %s; %s; %s", PACKAGE_VERSION,
       kernels_describe (s->design->kernels), wire_describe (s->wire),
       store_describe ());
  if (s->design->length > 1)
    say (LOG_INFO,
         "data %s: %s, %s training tokens, %lld windows of %lld, vocabulary %d",
         c->file, s->design->info.name,
         text_count (s->design->info.tokens[s->design->train]),
         (long long)s->design->n_train, (long long)s->design->length,
         s->design->info.classes);
  else
    say (LOG_INFO,
         "data %s: %s, %lld training samples, %d x %d x %d, %d classes",
         c->file, s->design->info.name, (long long)s->design->n_train,
         s->design->info.channels, s->design->info.height,
         s->design->info.width, s->design->info.classes);
  if (s->design->info.decoder[0])
    say (LOG_INFO, "JPEG images, decoded by %s", s->design->info.decoder);
  say (LOG_INFO,
       "%d rank%s = %d replica%s x %d pipe rank%s, %d thread%s each; plan "
       "%016llx",
       wire_size (s->wire), wire_size (s->wire) == 1 ? "" : "s", s->design->R,
       s->design->R == 1 ? "" : "s", wire_pipe_size (s->wire),
       wire_pipe_size (s->wire) == 1 ? "" : "s", s->design->threads,
       s->design->threads == 1 ? "" : "s",
       (unsigned long long)plan_hash (s->design->plan));
  kernels_say_dropped (s->design->kernels);
  for (int i = 0; i < s->n_local; i++) {
    size_t b[4];
    stage_memory (s->local[i].stage, b);
    say (LOG_DEBUG,
         "stage %d holds %s: weights %s, slots %s, pairs %s, other %s",
         s->local[i].k, text_bytes ((double)(b[0] + b[1] + b[2] + b[3])),
         text_bytes ((double)b[0]), text_bytes ((double)b[1]),
         text_bytes ((double)b[2]), text_bytes ((double)b[3]));
  }
  text_init (&t);
  design_plan_show (s->design, &t);
  say (LOG_INFO, "%s", t.data);
  text_clear (&t);
  say (LOG_INFO, "%lld steps of %lld samples; ready after %s",
       (long long)s->design->steps, (long long)s->design->batch,
       text_seconds (clock_now_s () - s->design->started_s));
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

/* What rides beside the steps, and the parameters to begin with. */
static enum status
open_beside (struct training *t, bool resumes)
{
  struct session *s = t->s;
  TRY (agreement_open (s, &t->b.agreement));
  TRY (digest_open (s, &t->b.digests));
  TRY (wire_agree (s->wire, ballot_open (s, &t->b)));
  return resumes ? OK : train_init (s);
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
  t->end = d->steps;
  t->job_end_s = stop_job_end ();
  t->loop_s = t->saved_s = clock_now_s ();
  t->p.interval = d->steps > 200 ? d->steps / 100 : 1;
  t->p.rows_from = t->p.live_step = t->start;
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
}

/* Steps from start to end.  What was due where an earlier start stopped comes
 * first. */
static enum status
train_on (struct training *t)
{
  struct session *s = t->s;
  const struct design *d = s->design;
  if (t->start > 0 && t->start < t->end &&
      is_due (d->config.eval_every, t->start))
    TRY (evaluate_missing (t, d->valid, t->start));
  if (t->stopped || t->start >= t->end)
    return OK;
  TRY (wire_agree (s->wire, session_begin (s, t->start, t->end)));
  enum status e = walk (t);
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
  TRY (finish (t));
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
    TRY (has_row (s, d->valid, t->start, &valid));
    TRY (has_row (s, d->test, t->start, &test));
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

static enum status
train (struct wire *w, const struct config *c, struct store_run *run,
       struct origin *o, struct outcome *out)
{
  struct session s = {.run = NULL};
  struct training t = {.s = &s, .mark = o->mark};
  bool fresh = o->fresh;
  struct session_how how = {.design = {.run = fresh ? NULL : run}};
  char *tuning = NULL;
  bool resumes = false, whole = false;
  enum status e = was_tuning (w, o, &tuning, &resumes);
  how.design.was_tuning = tuning;
  stop_early_open (&t.early, w, c, run != NULL);
  wire_abort_record (record_abort, &t);
  if (e == OK)
    e = session_open (w, c, &how, &s);
  if (e == OK) {
    e = open_beside (&t, resumes);
    if (e != OK) {
      ballot_close (&t.b);
      session_close (&s);
    }
  }
  if (e != OK) {
    wire_abort_record (NULL, NULL);
    mem_free (&tuning);
    return not_opened (&t, run, e, out);
  }
  if (fresh)
    e = begin_anew (&s, o, run);
  if (e == OK)
    e = train_resume (&t, o);
  out->began = e == OK;
  if (e == OK && t.start < s.design->steps)
    e = write_config (&s);
  t.done = t.start;
  t.mark = o->mark;
  if (e == OK)
    e = nothing_left (&t, &whole);
  if (e == OK && whole) {
    say_done (o);
    o->done = t.start > s.design->steps;
  } else if (e == OK) {
    portrait (&s);
    e = facts_begin (&s);
    if (e == OK)
      e = dump_open (&s);
    if (e == OK)
      e = train_steps (&t);
    dump_close (&s, t.start, t.done);
  }
  out->step = t.done;
  out->why = t.b.stop;
  wire_abort_record (NULL, NULL);
  training_close (&t);
  session_close (&s);
  mem_free (&tuning);
  return e;
}

/* With the run directory's lock: is there anything to do, and then that. */
static enum status
train_here (struct wire *w, const struct config *c, struct store_run *run)
{
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
  train_catch_signals ();
  enum status e = OK;
  place_set (-1, -1, "opening the run directory");
  if (wire_rank (w) == 0)
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
