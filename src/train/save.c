/* train/save.c -- when and where a training leaves checkpoints.
 *
 * With checkpoint.async a save delays the steps only by a copy into staging
 * memory; the saver of store does the rest beside them.
 *
 * All ranks must begin a save at the same step.  So that is decided from what
 * all of them know: the number of steps, and ballots that were read.  A saver
 * may be done on one rank and still work on another: the next save begins when
 * a ballot that was cast after the last beginning says that no rank is busy.
 *
 * A file is made only after the ballots of all steps in it were read, so that
 * nothing is saved of a step whose loss was not finite.
 *
 * A save that fails costs a warning: the older files are still there, and the
 * next save is tried.  Training ends when SAVE_FAILURES in a row have failed,
 * when the directory belongs to another start, or when the last save fails.
 */
#include "base/place.h"
#include "train/train_impl.h"

#include "store/saver.h"
#include <stdio.h>
#include <string.h>

#define SAVE_FAILURES 3

static void
checkpoint_path (const struct session *s, int64_t step, char *path, size_t size)
{
  snprintf (path, size, "%s/checkpoints/step-%09lld.h5", s->design->config.dir,
            (long long)step);
}

bool
train_save_asked (const struct training *t)
{
  const struct session *s = t->s;
  double every = s->design->config.every_seconds;
  return s->run && every > 0 && clock_now_s () - t->saved_s >= every;
}

/* -- open and close -------------------------------------------------------- */

/* Between primitives: messages move, and so does the save under way, so that a
 * long step does not hold it up. */
static void
pulse_training (void *training)
{
  struct training *t = training;
  wire_poll (t->s->wire);
  double now = clock_now_s ();
  if (now - t->save.pushed_s < 1e-3)
    return;
  t->save.pushed_s = now;
  store_saver_push (t->save.saver);
}

enum status
train_save_open (struct training *t)
{
  struct session *s = t->s;
  const struct config *c = &s->design->config;
  t->save.begun = -1;
  if (c->every == 0 && c->every_seconds == 0 && !c->at_end)
    return OK; /* only a stop would save */
  TRY (wire_agree (s->wire, snapshot_open (s, &t->staging)));
  if (!c->async)
    return OK;
  TRY (store_saver_open (s->wire, t->staging.tensor, t->staging.n, s->run,
                         c->dir, c->keep, &t->save.saver));
  pulse_hook (pulse_training, t);
  return OK;
}

void
train_save_close (struct training *t)
{
  if (t->save.saver)
    pulse_hook (wire_poll, t->s->wire);
  store_saver_close (&t->save.saver);
  snapshot_close (&t->staging);
}

/* -- what the record says -------------------------------------------------- */

/* metrics and progress, for the attributes of a checkpoint after `steps` steps,
 * at the moment when all ballots up to there and no later one were read. */
static void
describe_record (struct training *t, struct text texts[2],
                 struct store_attributes *out)
{
  text_init (&texts[0]);
  text_init (&texts[1]);
  if (!t->s->run)
    return;
  if (store_run_rows (t->s->run, &texts[0]) != OK) {
    say (LOG_WARN, "the checkpoint is without metrics: %s", fail_message ());
    fail_clear ();
  }
  record_progress_text (t, &texts[1]);
  out->metrics = texts[0].data;
  out->progress = texts[1].data;
}

static void
record_saved (struct training *t, const struct store_saved *o, double blocked_s)
{
  struct session *s = t->s;
  char words[6][32];
  double rate = o->write_s > 0 ? (double)o->bytes / o->write_s : 0;
  snprintf (words[0], 32, "%lld", (long long)o->step);
  snprintf (words[1], 32, "%lld", (long long)o->bytes);
  snprintf (words[2], 32, "%.6f", blocked_s);
  snprintf (words[3], 32, "%.6f", o->write_s);
  snprintf (words[4], 32, "%.6f", o->total_s);
  snprintf (words[5], 32, "%.0f", rate);
  const char *fields[][2] = {{"file", o->path},
                             {"step", words[0]},
                             {"async", t->save.saver ? "true" : "false"},
                             {"bytes", words[1]},
                             {"blocked_s", words[2]},
                             {"write_s", words[3]},
                             {"total_s", words[4]},
                             {"bytes_per_s", words[5]},
                             {"weights", o->digests.weights},
                             {"optimizer", o->digests.optimizer},
                             {"state", o->digests.state}};
  say (LOG_INFO, "saved %s (%s; steps waited %s, written at %s/s)", o->path,
       text_seconds (o->total_s), text_seconds (blocked_s), text_bytes (rate));
  if (o->warning[0])
    say (LOG_WARN, "%s", o->warning);
  if (store_run_event (s->run, "checkpoint", sizeof fields / sizeof *fields,
                       (const char *const(*)[2])fields) != OK) {
    say (LOG_WARN, "%s", fail_message ());
    fail_clear ();
  }
}

static void
record_failed (struct training *t, const struct store_saved *o, bool said)
{
  char step[32];
  snprintf (step, sizeof step, "%lld", (long long)o->step);
  const char *fields[][2] = {{"step", step},
                             {"reason", said ? "see log" : o->message}};
  if (!said)
    say (LOG_WARN,
         "the checkpoint after step %s was not written (%d in a row, %d end "
         "the run; older ones are as they were): %s",
         step, t->save.failed, SAVE_FAILURES, o->message);
  if (t->s->run)
    (void)store_run_event (t->s->run, "unsaved", 2,
                           (const char *const(*)[2])fields);
  fail_clear ();
}

/* A save is over, well or not.  Local. */
static void
over (struct training *t, const struct store_saved *o, double blocked_s,
      bool said)
{
  struct session *s = t->s;
  if (o->total_s > t->worst_save_s)
    t->worst_save_s = o->total_s;
  if (o->status == OK) {
    t->save.failed = 0;
    if (s->run)
      record_saved (t, o, blocked_s);
    return;
  }
  if (o->status == E_NUMBERS) /* given up by us */
    return;
  t->save.failed++;
  t->save.status = o->status;
  snprintf (t->save.message, sizeof t->save.message, "%s", o->message);
  t->b.vote.give_up = t->save.failed >= SAVE_FAILURES || o->status == E_USAGE;
  record_failed (t, o, said || t->save.staying);
}

/* -- beside the steps ------------------------------------------------------ */

void
train_save_move (struct training *t)
{
  struct store_saved o;
  if (t->save.saver && store_saver_poll (t->save.saver, &o))
    over (t, &o, t->save.blocked_s, false);
  t->b.vote.busy = t->save.saver && store_saver_busy (t->save.saver);
  t->b.vote.save = train_save_asked (t);
}

void
train_save_describe (struct training *t, int64_t read)
{
  struct store_attributes a;
  struct snapshot_words words;
  struct text record[2];
  if (!t->save.saver || !store_saver_waits (t->save.saver) ||
      read < t->save.begun)
    return;
  snapshot_attributes (t->s, t->save.begun, &words, &a);
  describe_record (t, record, &a);
  if (store_saver_describe (t->save.saver, &a) != OK) {
    say (LOG_WARN, "the checkpoint is given up: %s", fail_message ());
    fail_clear ();
  }
  snapshot_words_clear (&words);
  text_clear (&record[0]);
  text_clear (&record[1]);
}

/* Copy and set the saver to work. */
static enum status
begin (struct training *t, int64_t done)
{
  struct session *s = t->s;
  char path[CONFIG_PATH + 64];
  double start = clock_now_s ();
  place_set ((long)done, -1, "copying for a checkpoint");
  TRY (snapshot_take (s, &t->staging));
  checkpoint_path (s, done, path, sizeof path);
  store_saver_begin (t->save.saver, path, done);
  t->save.begun = done;
  t->save.pending = t->b.save_wanted = false;
  t->b.save_votes_from = done;
  t->b.vote.busy = true;
  train_save_describe (t, t->b.step + 1);
  t->saved_s = clock_now_s ();
  t->save.blocked_s = t->saved_s - start;
  t->trained_s -= t->save.blocked_s;
  return OK;
}

/* All ranks know that none is busy. */
static bool
idle (const struct training *t)
{
  return t->save.begun < 0 || (t->b.step >= t->save.begun && !t->b.busy_seen);
}

/* Until the save under way is over on this rank. */
static void
drain (struct training *t)
{
  double start = clock_now_s ();
  place_set ((long)t->save.begun, -1, "waiting for the checkpoint under way");
  while (t->save.saver && store_saver_busy (t->save.saver)) {
    train_save_move (t);
    wire_poll (t->s->wire);
    wire_rest (start);
  }
}

bool
train_save_coming (const struct training *t, int64_t done, bool reads)
{
  int64_t every = t->s->design->config.every;
  bool due = every > 0 && done % every == 0;
  return t->save.saver && (due || t->b.save_wanted || t->save.pending) &&
         (reads || idle (t));
}

enum status
train_save_due (struct training *t, int64_t done, bool due)
{
  if (t->b.give_up_seen) {
    drain (t); /* another rank may know before this one */
    /* A lost directory is known to the root alone. */
    enum status e = t->save.status;
    if (e != OK)
      e = fail (e, "%s", t->save.message);
    e = wire_agree (t->s->wire, e);
    CHECK (e != OK, "given up, but nobody knows why");
    return e;
  }
  if (!t->save.saver || done == t->end)
    return OK;
  if (due && !idle (t) && !t->save.pending)
    say (LOG_INFO,
         "step %lld: the checkpoint waits until the one before is written",
         (long long)done);
  t->save.pending = t->save.pending || due;
  if (!t->save.pending || !idle (t) || !digest_covers (t->b.digests, done))
    return OK;
  enum status local = begin (t, done);
  if (local != OK)
    wire_abort (local);
  return OK;
}

void
train_save_settle (struct training *t)
{
  if (!t->save.saver)
    return;
  if (store_saver_waits (t->save.saver))
    (void)store_saver_describe (t->save.saver, NULL);
  drain (t);
}

/* -- while all wait -------------------------------------------------------- */

static enum status
save_waiting (struct training *t, int64_t done)
{
  struct session *s = t->s;
  const struct design *d = s->design;
  struct store_saved o = {.step = done};
  struct store_spec spec = {.collective = d->config.io == CONFIG_COLLECTIVE,
                            .run = s->run,
                            .saved = &o};
  char path[CONFIG_PATH + 64];
  struct text texts[2];
  struct store_attributes more = {0};
  double start = clock_now_s ();
  checkpoint_path (s, done, path, sizeof path);
  describe_record (t, texts, &more);
  enum status e = snapshot_write (s, &t->staging, path, done, &more, &spec);
  text_clear (&texts[0]);
  text_clear (&texts[1]);
  if (e == OK && s->run &&
      store_checkpoint_prune (d->config.dir, d->config.keep, path) != OK) {
    snprintf (o.warning, sizeof o.warning, "%s", fail_message ());
    fail_clear ();
  }
  o.status = e;
  o.total_s = clock_now_s () - start;
  over (t, &o, o.total_s, true);
  return e;
}

/* With a saver: begin and stay until it is over. */
static enum status
save_staying (struct training *t, int64_t done)
{
  drain (t);
  enum status e = begin (t, done);
  if (e != OK)
    wire_abort (e);
  int failed = t->save.failed;
  t->save.staying = true;
  drain (t);
  t->save.staying = false;
  if (t->save.failed == failed || t->save.failed == 0)
    return OK;
  return wire_agree (t->s->wire, fail (t->save.status, "%s", t->save.message));
}

enum status
train_save (struct training *t, int64_t done, bool last)
{
  t->trained_s += clock_now_s () - t->loop_s;
  place_set ((long)done, -1, "saving a checkpoint");
  TRY (digest_compare (t->b.digests, done));
  enum status e =
      t->save.saver ? save_staying (t, done) : save_waiting (t, done);
  t->loop_s = t->saved_s = clock_now_s ();
  t->b.save_wanted = false;
  t->b.save_votes_from = done;
  return last || t->b.vote.give_up ? e : OK;
}
