/* train/train_impl.h -- the state of one training, and its record on the root.
 */
#ifndef TRAIN_TRAIN_IMPL_H
#define TRAIN_TRAIN_IMPL_H

#include "base/busy.h"
#include "run/session.h"
#include "train/train.h"

struct agreement;
struct digests;
struct flow;

/* -- gradients side by side (agreement.c) -------------------------------------
 *
 * Every train.agreement steps, before the step, replica 0 walks the step's own
 * first micro-batch aside: once as the strategy has it, and back again from the
 * last loss to the first stage.  The results ride in the ballot of that step.
 */

/* Timetables, buffers and copies, where the configuration asks for them.
 * Collective on world. */
enum status
agreement_open (struct session *s, struct agreement **out);
void
agreement_close (struct agreement **it);
/* Whether step `step` (from 0) is compared. */
bool
agreement_due (const struct agreement *a, int64_t step);
/* The comparison, if it is due; training does not notice.  Local but for
 * messages along the pipe. */
enum status
agreement_walk (struct agreement *a, int64_t step);
/* Wait until what was sent has left. */
enum status
agreement_settle (struct agreement *a);
/* Numbers it adds to a ballot; put this rank's into v, take those of all out.
 */
int
agreement_votes (const struct agreement *a);
void
agreement_cast (const struct agreement *a, int64_t step, double *v);
void
agreement_read (struct agreement *a, int64_t step, const double *v);
/* Of the newest comparison read: per stage the cosine, then per stage the norm
 * of the strategy's gradient over that of the end-to-end one; NAN where one of
 * them is zero.  [2 K], NULL when it is off. */
const double *
agreement_result (const struct agreement *a);

/* -- digests of weights (digest.c) -------------------------------------------
 *
 * Of every stage after a step: one number from all its tensors as a file has
 * them (values, order and plain layout), so that it is the same whatever the
 * folding and the blocks of an instruction set.  Replicas have to have the same
 * ones: what they sum over is the same, and what they do with it.
 */

/* Collective on world. */
enum status
digest_open (struct session *s, struct digests **out);
void
digest_close (struct digests **it);
/* Whether digests are taken after step `step` (from 0) by the configuration
 * alone, and go to metrics.csv. */
bool
digest_recorded (const struct digests *d, int64_t step);
/* ... and after the step whose ballot is cast next, in any case: a checkpoint
 * is to follow it.  The same on all ranks. */
void
digest_ask (struct digests *d);
/* Numbers it adds to a ballot; put this rank's into v; take those of all out:
 * E_FAULT, without a message, when replicas differ.  Local. */
int
digest_votes (const struct digests *d);
/* A planted fault in a stage's weights, where one is asked for. */
enum status
digest_spoil (struct session *s);
enum status
digest_cast (struct digests *d, int64_t step, double *v);
enum status
digest_read (struct digests *d, int64_t step, const double *v);
/* Whether the state after `done` steps is compared in a ballot that was cast,
 * or need not be.  The same on all ranks. */
bool
digest_covers (const struct digests *d, int64_t done);
/* All ballots were read: compare now what no ballot did.  E_FAULT, said to all.
 * Collective on world. */
enum status
digest_compare (struct digests *d, int64_t done);
/* A ballot that was read found a difference. */
bool
digest_differs (const struct digests *d);
/* The message about it: E_FAULT on all ranks, said once.  Collective on world.
 */
enum status
digest_tell (const struct digests *d);
/* Of replica 0, K: of the newest ballot read that has them; NULL when they are
 * not recorded. */
const uint64_t *
digest_result (const struct digests *d);

/* -- what the stages hand on (flow.c) ----------------------------------------
 *
 * Of the steps with which rows of metrics.csv end: the root mean square of
 * every stage's output, over all numbers of the batch, and the norm of the
 * gradient of its body's parameters, before clipping.
 */

/* Steps per row of the training split. */
int64_t
flow_interval (const struct design *d);
/* Local. */
enum status
flow_open (struct session *s, struct flow **out);
void
flow_close (struct flow **it);
/* Before step `step` (from 0): whether it is to be measured. */
void
flow_ask (struct flow *f, int64_t step);
/* Numbers in a ballot, this rank's part of them for `step` (v is zeroed), and
 * what the sums say. */
int
flow_votes (const struct flow *f);
void
flow_cast (const struct flow *f, int64_t step, double *v);
void
flow_read (struct flow *f, int64_t step, const double *v);
/* Of the newest that was read: K root mean squares, then K norms; NAN before.
 * NULL: none are measured. */
const double *
flow_result (const struct flow *f);

/* Whether, of K root mean squares, that of inner stage k is more than ten times
 * those of its neighbours. */
bool
flow_outgrows (const double *rms, int K, int k);
/* After flow_read of `step`: a warning and an event, once, for every stage that
 * does.  Local, on the root. */
enum status
flow_warn (struct flow *f, int64_t step);

/* -- verdicts that lag (ballot.c) -------------------------------------------
 */

struct ballots {
  struct session *s;           /* borrowed */
  struct flow *flow;           /* owned; NULL: not measured */
  struct agreement *agreement; /* owned; NULL unless asked */
  struct digests *digests;     /* owned; NULL: nothing compared or recorded */
  int lag, n;                  /* steps from cast to read; numbers of one */
  int *request;                /* lag */
  double *in, *out;            /* n */
  struct {
    bool save, busy, give_up; /* of this rank's saver, in the next ballot */
  } vote;
  /* what those that were read say */
  struct stage_loss *loss;      /* K: of the newest step, all replicas */
  int64_t step;                 /* the newest; -1: none */
  int64_t save_votes_from;      /* ballots of earlier steps ask for nothing */
  bool save_wanted;             /* one asks for a checkpoint */
  bool busy_seen, give_up_seen; /* in the newest; in any */
  enum run_stop stop;           /* why one asks for stopping */
};

/* b: zero but for flow, agreement and digests, which are opened before.  Local.
 */
enum status
ballot_open (struct session *s, struct ballots *b);
/* With flow, agreement and digests. */
void
ballot_close (struct ballots *b);
/* After step: vote. */
enum status
ballot_cast (struct ballots *b, int64_t step, enum run_stop stop);
/* Read the ballot of `step`; E_NUMBERS when a loss is not finite. */
enum status
ballot_read (struct ballots *b, int64_t step);

/* -- files (snapshot.c) -----------------------------------------------------
 */

/* What this rank gives to a checkpoint; tensor NULL when not open. */
struct staging {
  struct store_tensor *tensor; /* n; data in memory */
  int n;
  struct arena memory;
};

/* Memory for a copy of all that this rank gives to a checkpoint, and the copy
 * into it.  Local. */
enum status
snapshot_open (const struct session *s, struct staging *g);
void
snapshot_close (struct staging *g);
enum status
snapshot_take (struct session *s, const struct staging *g);
/* All attributes but metrics and progress, after `step` steps.  Local. */
struct snapshot_words { /* theirs, to be cleared after use */
  struct text config, tuning;
  char data[20];
};
void
snapshot_attributes (const struct session *s, int64_t step,
                     struct snapshot_words *words,
                     struct store_attributes *out);
void
snapshot_words_clear (struct snapshot_words *words);
/* All ranks wait for it.  more: metrics and progress, on root; NULL: none.
 * spec: as store_checkpoint_write.  Collective. */
enum status
snapshot_write (struct session *s, const struct staging *g, const char *path,
                int64_t step, const struct store_attributes *more,
                const struct store_spec *spec);

/* -- the training ------------------------------------------------------------
 */

/* What the root keeps between rows of metrics.csv. */
struct progress {
  int64_t interval;       /* steps per row of the training split */
  int64_t rows_from;      /* first step of the row under way */
  struct stage_loss *sum; /* K, since rows_from */
  double row_s;           /* training seconds at rows_from */
  double live_s, line_s;  /* clock of the last live and plain line */
  double waited_s;        /* of this rank, until then */
  double flops;           /* useful operations of a sample */
  int64_t live_step;
};

struct saving {
  struct store_saver *saver; /* NULL: all ranks wait for a save */
  bool pending;              /* due, but the one before was not written yet */
  bool staying;              /* all ranks wait for this one */
  int64_t begun;             /* steps done at the newest beginning; -1 */
  double blocked_s;          /* of it */
  double pushed_s;           /* clock of the newest push between primitives */
  int failed;                /* saves, one after the other */
  enum status status;        /* of the newest that failed */
  char message[800];
};

/* While everything is being opened, which may take minutes of measuring: a
 * signal, the stop file and the end of the time are heard there by halt_check.
 */
struct stop_early {
  struct wire *wire; /* borrowed, with config */
  const struct config *config;
  bool root;
  double look_s, job_end_s;
  enum run_stop why; /* of this rank */
};
struct training {
  struct session *s;
  struct ballots b;
  struct staging staging;
  struct progress p;
  struct saving save;
  struct evaluation eval; /* arrays of K */
  int64_t start, end;     /* steps: of this start, of the run */
  int64_t done;           /* steps taken by all ranks */
  int64_t read;           /* ballots of steps that were read */
  double loop_s;          /* clock when the present stretch began */
  double trained_s;       /* training seconds before it */
  double saved_s;         /* clock of the last save, or of the start */
  double worst_step_s, worst_save_s, worst_eval_s;
  double look_s;     /* clock of the next look at the stop file */
  double job_end_s;  /* wall-clock time of the job's end; 0: unknown */
  struct busy begun; /* who used the cores before the first step */
  bool stopped;
  bool other_heads; /* root: other ones than in the rows so far */
  char *resumed[2]; /* root: metrics and progress of the checkpoint from which
                       the run goes on; NULL: none; owned */
  struct stop_early early;
  struct store_mark mark; /* on the root */
};

/* Seconds spent in training steps so far, without evaluation and saving. */
double
training_seconds (const struct training *t);
/* One row of metrics.csv: step, epoch, loss and accuracy of K heads (NAN: left
 * empty; of tokens perplexity and bits per byte too; of images made again their
 * loss), learning rate, seconds, samples/s; with strategy.dial the phase; with
 * train.agreement also the columns of record_agreement, empty, with run.digests
 * those of record_digests. Local, on the root. */
enum status
record_row (struct training *t, enum data_split split, const char *name,
            int64_t steps_done, const struct evaluation *v);
/* The row `agreement`: step, epoch, seconds, and what agreement_result says.
 * Local, on the root. */
enum status
record_agreement (struct training *t, int64_t steps_done);
/* Where a phase of a dial has begun with this step: says it, and leaves an
 * event. Local, on the root. */
enum status
record_phase (struct training *t, int64_t step);
/* The row `digest`: step, epoch, seconds, and what digest_result says. Local,
 * on the root. */
enum status
record_digests (struct training *t, int64_t steps_done);
/* The row of the training split over the steps since the last one, with what
 * flow_result says of the last of them.  timed: the time between them means
 * something. */
enum status
record_training (struct training *t, int64_t steps_done, bool timed);
/* "0.8120 0.4550 -": K numbers, '-' where a head is silent. */
void
record_heads (const double *v, int K, struct text *out);
/* The sums of the row under way as a line of text, and back: a start that goes
 * on in the middle of a row completes it.  Text of other heads or another
 * interval is ignored. */
void
record_progress_text (const struct training *t, struct text *out);
void
record_progress_back (struct training *t, const char *text);
/* Seconds that this rank has waited for others, or for messages. */
double
record_waited (const struct session *s);
/* A live line on a terminal; a plain line now and then elsewhere. */
void
record_progress (struct training *t, int64_t step);

/* -- the steps (steps.c) ----------------------------------------------------
 */

/* Whether the root has the row of an evaluation, or there is nothing to
 * evaluate.  Collective. */
enum status
train_has_row (const struct session *s, enum data_split split, int64_t done,
               bool *there);
/* Evaluate after `done` steps, unless metrics.csv has the row: a start that was
 * stopped or killed may have left it, or not come to it.  Collective. */
enum status
train_evaluate_missing (struct training *t, enum data_split split,
                        int64_t done);
bool
train_is_due (int64_t every, int64_t done);
/* From t->done to t->end, or to where all ranks stop: t->stopped. */
enum status
train_walk (struct training *t);
/* After the last step: checkpoint, final evaluation, accounts.  Collective. */
enum status
train_finish (struct training *t);

/* -- saving (save.c) --------------------------------------------------------
 */

/* Staging memory, and the saver where the configuration wants one.  Collective.
 */
enum status
train_save_open (struct training *t);
void
train_save_close (struct training *t);
/* The root asks for a checkpoint by time. */
bool
train_save_asked (const struct training *t);
/* Before every ballot: move the saver on, and fill in this rank's votes. */
void
train_save_move (struct training *t);
/* Root: the ballots of the first `read` steps were read, and their rows are
 * written; a save under way that waited for it goes on. */
void
train_save_describe (struct training *t, int64_t read);
/* Before the ballot of the step that makes it `done` steps: whether
 * train_save_due may begin a save then.  reads: ballots are read in between.
 * The same on all ranks. */
bool
train_save_coming (const struct training *t, int64_t done, bool reads);
/* After `done` steps, on all ranks: begin a save that is due, or that was and
 * had to wait, as soon as all are idle.  Not OK when saving was given up. */
enum status
train_save_due (struct training *t, int64_t done, bool due);
/* A checkpoint of the weights after `done` steps while all wait, once the one
 * under way is complete.  When it fails training may go on (OK), unless it is
 * the last one, or when replicas differ.  Collective; all ranks return the
 * same.
 */
enum status
train_save (struct training *t, int64_t done, bool last);
/* Complete the save under way, or give up one whose steps are not known to be
 * sound.  All ranks. */
void
train_save_settle (struct training *t);

/* -- stopping (stop.c) ------------------------------------------------------
 */

/* One word, as in RUN/status. */
const char *
stop_name (enum run_stop why);
/* When Slurm ends the job, in seconds since 1970; 0: not known. */
double
stop_job_end (void);
/* What this rank votes for. */
enum run_stop
stop_asked (struct training *t);
void
stop_early_open (struct stop_early *e, struct wire *w, const struct config *c,
                 bool root);
/* Why one of the ranks stops before its first step.  Collective. */
enum status
stop_early_close (struct stop_early *e, enum run_stop *why);
/* How this run is stopped well under the launcher that is seen.  Local. */
void
stop_tell_how (const char *dir);
/* The stop file has done its work: the next start is to go on. */
void
stop_obeyed (const struct store_run *run, const char *dir);

/* -- resuming (origin.c, resume.c) ----------------------------------------- */

/* What the run directory says, on the root; all zero elsewhere (origin.c). */
struct origin {
  struct store_history *history;
  struct store_found *found; /* n_found checkpoints, newest first; next: which
                                has not been looked at */
  int n_found, next;
  const char *path; /* of the one to go on from; NULL: none; inside found */
  int64_t step;     /* of that one, or 0; of a finished run its last */
  int64_t end;      /* steps of the whole run; 0: not known yet */
  bool done;        /* nothing is left to do */
  bool ever;        /* there has been a checkpoint */
  bool fresh;       /* to begin anew: nothing has been moved aside yet */
  char *status;     /* what RUN/status said; NULL: nothing; owned */
  struct store_mark mark;
  int64_t attempts; /* earlier starts from this step */
  bool counted;     /* this one is among them, in the mark */
  int64_t reached;  /* step that an earlier start came to */
};
/* Half-written files go; E_CONFIG where there is nothing to go on from and it
 * is another experiment; E_CHECKPOINT when there was a checkpoint and none is
 * whole, E_STUCK when the last starts came to nothing.  Local; on the root. */
enum status
origin_open (struct origin *o, const struct config *c, struct store_run *run);
/* The same without a lock: nothing is verified, removed or counted. */
enum status
origin_peek (struct origin *o, const struct config *c);
void
origin_close (struct origin *o);
/* The whole checkpoint before this one: path NULL when there is none. */
void
origin_next (struct origin *o);
enum status
origin_none (const char *dir);
/* Count this start, and say that it runs.  Local; on the root. */
enum status
origin_begin (struct origin *o, struct store_run *run);

/* Move what is there aside, and then that.  Local; on the root. */
enum status
origin_anew (struct origin *o, const struct config *c, struct store_run *run);

struct outcome {     /* of a training */
  int64_t step;      /* steps done */
  enum run_stop why; /* where it stopped early */
  bool began;        /* the configuration was accepted */
};
/* The last event, and the word in RUN/status that scripts wait for: without it
 * a run has not ended well.  E_IO.  Local; on the root. */
enum status
origin_end (struct origin *o, struct store_run *run, enum status e,
            const struct outcome *out);

/* The root's status and message on all ranks, said once and without a rank.
 * Collective. */
enum status
train_verdict (struct wire *w, enum status e);
/* Continue from the newest whole checkpoint of this network, or begin, at
 * t->start; the receipt.  E_CONFIG when the settings are those of another run.
 * Collective.
 */
enum status
train_resume (struct training *t, struct origin *o);

/* -- what a report needs (facts.c) ------------------------------------------
 */

/* Operations of a step that plain backpropagation of the network needs. */
double
facts_useful_flops (const struct design *d);
/* Highest memory of this process in bytes; 0 where the system does not say. */
double
facts_peak_bytes (void);
/* RUN/facts.ini before the first step, and again after the last one with the
 * highest memory of the ranks, and the share of their cores that others have
 * used since `begun`.  Collective. */
enum status
facts_begin (struct session *s);
enum status
facts_end (struct session *s, const struct busy *begun);

/* The table "where the time went", to the log and summary.csv. Collective. */
enum status
account_report (struct session *s, int64_t steps_done);

/* -- which experiment it is (identity.c) -------------------------------------
 */

/* The digest of train.init, "" where there is none or it cannot be read. */
void
identity_init (const struct config *c, char out[33]);
/* The receipt's words of the experiment: digests of config.ini and train.init.
 * Root. */
struct identity {
  char config[33], init[33];
};
void
identity_of (const struct session *s, struct identity *out);
/* Add to out where train.init is not the file that the run began with. */
void
identity_compare_init (const struct config *c, const struct store_history *h,
                       const struct ini *was, struct text *out);
/* A directory whose run is to be left as it is, or from which nothing can go
 * on: E_CONFIG, with the keys and both values, when it is another experiment
 * than c.  how: "is finished", ...; newest: a checkpoint, NULL: none.  Local;
 * on the root. */
enum status
identity_check (const struct config *c, const struct store_history *h,
                const char *newest, const char *spec);

/* -- does a checkpoint fit? (fit.c) ----------------------------------------
 */

/* E_CHECKPOINT, with *why on the root, when it is not of this network; nothing
 * is changed.  f is cleared by the caller.  Collective. */
enum status
train_fit (struct session *s, const char *path, struct load_fit *f,
           struct text *why);
void
load_fit_clear (struct load_fit *f);

#endif
