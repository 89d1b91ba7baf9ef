/* train/steps.c -- the loop of a training: walk the steps, evaluate, keep the
 * record, and what comes after the last step.
 *
 * There is no barrier in the loop.  A rank reads the ballot of step t before
 * step t + lag; stopping and failing are decided there, at the same step on all
 * ranks.  A failure of a step itself ends the job at once (wire_abort).
 */
#include "base/place.h"
#include "train/train_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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
  if (design_rebuilds_any (d)) {
    text_add (&line, "] reconstruction=[");
    record_heads (t->eval.rebuilt, d->K, &line);
  }
  if (network_family (d->net)->language) {
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

enum status
train_has_row (const struct session *s, enum data_split split, int64_t done,
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
  return record_row (t, split, data_split_name (split), steps_done, &t->eval);
}

enum status
train_evaluate_missing (struct training *t, enum data_split split, int64_t done)
{
  bool there;
  TRY (train_has_row (t->s, split, done, &there));
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
    t->p.sum[k].rebuilt += t->b.loss[k].rebuilt;
  }
  if (wire_rank (s->wire) != 0)
    return OK;
  if (!mark_step (t, step + 1))
    return OK;
  enum status e = record_phase (t, step);
  record_progress (t, step);
  if (e == OK && agreement_due (t->b.agreement, step))
    e = record_agreement (t, step + 1);
  if (e == OK && digest_recorded (t->b.digests, step))
    e = record_digests (t, step + 1);
  if (e == OK && (step + 1) % t->p.interval == 0)
    e = record_training (t, step + 1, timed);
  if (e == OK)
    e = flow_warn (t->b.flow, step);
  if (e != OK)
    wire_abort (e); /* the others do not know and are on their way */
  train_save_describe (t, step + 1);
  return OK;
}

bool
train_is_due (int64_t every, int64_t done)
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
  bool eval = train_is_due (d->config.eval_every, done);
  bool keep = train_is_due (d->config.every, done) || t->b.save_wanted;
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
  flow_ask (t->b.flow, t->done);
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
                         train_is_due (t->s->design->config.eval_every, done)))
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
enum status
train_walk (struct training *t)
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
    TRY (train_evaluate_missing (t, d->valid, done));
  if (!t->stopped)
    TRY (train_evaluate_missing (t, d->test, done));
  return t->stopped && !saved ? train_save (t, done, true) : OK;
}

/* After the last step: checkpoint, final evaluation, accounts. */
enum status
train_finish (struct training *t)
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
  TRY (facts_end (s, &t->begun));
  return account_report (s, done - t->start);
}
