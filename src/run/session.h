/* run/session.h -- the inside of the engine: one session per rank.
 *
 * A session is everything a rank needs to walk its timetable: the plan, its
 * stages, the buffers of their borders, and the record it keeps.  It is made
 * once (session_open), walked (session_step), and looked at from outside only
 * by the commands of this room and its tests.
 */
#ifndef RUN_SESSION_H
#define RUN_SESSION_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/status.h"
#include "base/tensor.h"
#include "base/text.h"
#include "model/network.h"
#include "model/optimizer.h"
#include "model/stage.h"
#include "plan/plan.h"
#include "run/run.h"
#include "data/data.h"
#include "store/checkpoint.h"
#include "store/run.h"
#include "wire/wire.h"

/* -- deriving things from the configuration (derive.c) ----------------------
 */

/* The strategy as a table [K x K], see plan/plan.h: all that the engine knows
 * of it. */
enum status
derive_route (const struct config *c, int K, double *route);
enum status
derive_order (const char *word, enum plan_order *out);
enum status
derive_split (const char *word, enum data_split *out);
enum status
derive_augment (const char *word, int *out);
enum status
derive_optimizer (const struct config *c, struct optimizer *out);
/* steps: of the whole run. */
enum status
derive_schedule (const struct config *c, int64_t steps, struct schedule *out);
/* data NULL: CIFAR-sized images, 10 classes. */
enum status
derive_spec (const struct config *c, const struct data_info *data,
             struct model_spec *out);
/* Threads of each rank: --threads, else OMP_NUM_THREADS, else the affinity mask
 * shared fairly by the ranks that have it; the same on all ranks.  Warns on
 * ranks that share cores and on idle cores.  Collective on world. */
enum status
derive_threads (struct wire *w, const struct config *c, int *out);

/* -- measured things (measure.c) --------------------------------------------
 */

struct unit_costs { /* arrays of n units; owned */
  int n;
  struct stage_cost *unit;
  struct stage_cost *head; /* the grammar behind unit i; zero where not asked */
};
void
unit_costs_clear (struct unit_costs *u);
/* From FLOPs alone: forward = data = weights.  Local. */
enum status
unit_costs_guess (const struct network *net, int64_t n_samples,
                  const char *head, struct unit_costs *out);
/* Measured by all ranks at once, each a share, so that what ranks take from
 * each other (memory bandwidth) is in it.  Collective on world. */
enum status
unit_costs_measure (struct wire *w, struct kern *k, const struct network *net,
                    const struct kern_tuning *t, int64_t n_samples,
                    const char *head, struct unit_costs *out);
/* All ranks as a team for stage_tune.  Local; borrows w. */
void
unit_costs_team (struct wire *w, struct stage_team *out);
/* As text lines for the run directory, and back (false: of another network,
 * machine or batch). key: what they depend on. */
void
unit_costs_print (const struct unit_costs *u, const char *key,
                  struct text *out);
bool
unit_costs_parse (const char *text, const char *key, int n,
                  struct unit_costs *out);

/* Seconds of an update, per parameter: read w, g, v, write w, v at 8 GB/s. */
#define RUN_UPDATE_S (20 / 8e9)
/* The same of a square of a gradient that is summed, of a shared matrix's
 * gradients that are added up, and of its values that are copied in and out. */
#define RUN_SQUARES_S (4 / 8e9)
#define RUN_FOLD_S (12 / 8e9)
#define RUN_COPY_S (16 / 8e9)
/* Costs for micro-batches of so many samples from measured ones: those of that
 * size, else on the line through the two nearest sizes, else in proportion.
 * E_CONFIG: of another network.  Local. */
enum status
run_costs_take (const struct run_costs *c, const struct network *net,
                int64_t n_samples, const char *head, struct unit_costs *out);

/* -- the session ------------------------------------------------------------
 */

struct border_buffer {
  struct tensor t;
  int request;
};

struct local_stage { /* one per stage of this rank */
  struct stage *stage;
  int k, n_slots, n_pairs;
  bool own_input;            /* previous stage elsewhere, or none */
  struct border_buffer *in;  /* n_slots; data NULL unless own_input */
  int *sent;                 /* n_slots: send of the output */
  int n_cot;                 /* streams at border k + 1 */
  struct border_buffer *cot; /* [stream * n_slots + slot] */
  int n_out;                 /* streams at border k, when stage - 1 is remote */
  struct border_buffer *out; /* [stream * n_slots + slot] */
  float **mix;               /* n_pairs + 1 border-sized places for sums of
                                cotangents; NULL where a pass never sums */
  const float **term;        /* most_terms: what is added up, and ... */
  float *coef;               /* ... how often; NULL likewise */
  int reduce[4];             /* requests: gradients and statistics, by part */
  double squares[2];         /* of the gradients, by part, of this batch */
};

/* A timetable and the buffers it is walked with. */
struct lane {
  const struct plan *plan;
  struct local_stage *local; /* one per stage of this rank */
  bool aside; /* beside training: messages go along the pipe whatever their
                 window, and the input is looked at, not taken */
  enum wire_way way; /* of the messages when aside */
};

struct trace;

/* Why a run stops before its last step, the most pressing first. */
enum run_stop {
  STOP_NONE,
  STOP_TERM,
  STOP_INT,
  STOP_USR1,
  STOP_USR2,
  STOP_TIME, /* the end of the job's time is near */
  STOP_FILE, /* RUN/stop is there */
  STOP_REASONS
};

struct session {
  struct wire *wire; /* borrowed */
  struct config config;
  const char *given_tuning, *was_tuning;
  bool forward_only, decodes, unit_costs, guess_costs, given_costs;
  bool every_head; /* costs of heads behind all units, whatever the route */
  const double *given_route; /* K x K, in place of the configuration's; NULL */
  int K, M, R;
  int64_t batch, n_samples; /* whole; of one micro-batch */
  int threads;
  struct kern *kern;
  struct data_set *data;
  struct data_info info;
  struct network *net;
  struct kern_tuning *tuning;
  bool tunes;  /* the table was measured at this start */
  bool proves; /* see session_how */
  struct unit_costs costs;
  int *first;    /* K + 1: cut */
  double *route; /* K x K */
  struct plan *plan;
  struct plan_cost *cost;        /* K */
  double latency_s, bytes_per_s; /* of messages, for predictions */
  struct optimizer optimizer;
  struct schedule schedule;
  int64_t steps, start_step;
  enum data_split train, valid, test;
  int64_t n_train; /* after limit */
  int n_local;
  struct local_stage *local;
  struct lane lane;     /* that is walked now */
  struct arena borders; /* cotangents, outgoing gradients, mixes */
  struct data_order *order;
  struct data_loader *loader; /* on ranks with stage 0 */
  int64_t length;             /* positions of a sample; 1 of images */
  int32_t *labels;            /* n_samples x M x length, of labels_step */
  int64_t labels_step;
  bool shares;        /* stages share a matrix (shared.c) */
  float *shared;      /* room for it, behind a header, in `borders`; NULL:
                         this rank needs none */
  int shared_request; /* of what was handed on last */

  /* what a step leaves: per head, of this replica */
  struct stage_loss *loss; /* K */
  bool heard; /* losses of a step are back: operations are told no more */

  int *window_norm;         /* K requests; not NONE inside a step only */
  double *squares, *factor; /* K + 1 of a window; K: what clipping leaves */

  struct clock_account account;
  struct trace *trace;   /* NULL unless asked */
  struct store_run *run; /* root only */
  double started_s;      /* clock */

  /* Called in UPDATE, before the optimizer; for --dump and tests. */
  void (*on_gradients) (struct session *s, struct local_stage *l, int64_t step,
                        void *context);
  void *on_gradients_context;
  /* called for each stage of this rank in each batch of an evaluation, when its
   * output is on its way; n: samples in all */
  enum status (*on_output) (struct session *s, struct local_stage *l,
                            int64_t batch, int64_t n, void *context);
  void *on_output_context;
};

struct session_how {
  struct store_run *run;  /* root only, borrowed; NULL: no record */
  const char *tuning;     /* kernel choices as text; NULL: as configured */
  const char *was_tuning; /* those of the checkpoint that the run goes on from,
                             in place of the run directory's; NULL: none */
  bool forward_only;      /* evaluation: no gradients, nothing measured */
  bool decodes;           /* stages keep the keys and values of one text */
  bool guess_costs;       /* of blocks, from FLOPs: for short runs */
  bool proves;            /* kernels, whatever an earlier start found */
  const double *route;    /* K x K in place of the configuration's strategy,
                             borrowed while the session is open; NULL: none */
};
/* Everything up to the first step: data, network, tuning, costs, cut, plan,
 * stages.  On failure everything is closed.  Collective on world. */
enum status
session_open (struct wire *w, const struct config *c,
              const struct session_how *how, struct session *s);
/* Whether a configuration divides into so many ranks.  Local. */
enum status
session_check_ranks (const struct config *c, int size);
/* A text of the run directory, or of a file (dir ""), on all ranks, owned by
 * the caller; "" when there is none, or dir is NULL.  Collective on world. */
enum status
session_read_text (struct session *s, const char *dir, const char *name,
                   char **out);
/* The head that stages are given; NULL where the route wants none. */
const char *
session_head (const struct session *s);
/* choices.c.  Root, Local: tune.txt. */
enum status
session_put_tuning (struct session *s);
/* Costs of blocks, from costs.txt or measured.  Collective on world. */
enum status
session_open_costs (struct session *s);
/* No kernel is used before it was compared with plain arithmetic: those that
 * the network may use, on all ranks, whatever the choices come from.  What is
 * new is kept with the choices.  Collective. */
enum status
session_prove (struct session *s);
/* Root: what was measured or chosen while the session had no run directory, as
 * tune.txt and costs.txt of the one that it has now.  Local. */
enum status
session_put_choices (struct session *s);
/* Only what a plan needs: network, costs, plan. */
/* Agree with all ranks on what is computed with, and open the kernels
 * (kernels.c).  Sets threads and kern.  Collective on world: a fence. */
enum status
session_kernels (struct session *s);

/* Fill s->tuning (tuning.c), and prove what it says.  Collective on world. */
enum status
session_open_tuning (struct session *s);

struct session_sketch {
  bool measure, unit_costs;
  bool heads; /* costs of heads behind all units, whatever the route */
  bool tuned; /* kernels are chosen, for this number of samples */
  const struct run_costs *costs; /* borrowed; NULL: guessed, or measured */
  double latency_s, bytes_per_s; /* of messages; -1, 0: assumed */
};
/* Local. */
enum status
session_sketch (struct wire *alone, const struct config *c, int n_pipe,
                const struct session_sketch *how, struct session *s);
/* The same in steps.  Data and network; then, as often as wanted, the costs of
 * blocks in micro-batches of so many samples; then the plan for K, M,
 * config.span and config.run_schedule as they stand in s.  The first two are
 * Collective on world. */
enum status
session_blocks (struct wire *w, const struct config *c,
                const struct session_sketch *how, struct session *s);
enum status
session_costs (struct session *s, int64_t n_samples,
               const struct session_sketch *how);
enum status
session_replan (struct session *s, int n_pipe);
/* What stages do together, of the network and the configuration. */
void
session_joint (const struct session *s, struct plan_joint *out);
/* The program itself, MPI and the other libraries, kernels that were compiled
 * and the roundings of large blocks: what a rank's resident memory is beyond
 * its stages, 59 to 67 MB in runs of language models. */
#define RUN_PROGRAM_BYTES 62e6
/* E_MEMORY when the ranks of a node need more, by the plan, than there is; the
 * plan may be another one then.  Collective on world. */
enum status
session_check_memory (struct session *s);
/* The same before anything is measured, with guessed costs; leaves no plan.
 * Collective on world. */
enum status
session_foresee_memory (struct session *s);
/* Memory of a rank; of stage k of `plan` if it were the units from .. end - 1.
 */
double
session_rank_bytes (const struct session *s, int r);
double
session_range_bytes (const struct session *s, const struct plan *plan, int k,
                     int from, int end);
void
session_close (struct session *s);
/* Read the data, open the loader and post the receives of the first step.
 * Collective on world; what fails after the reading is this rank's own. */
enum status
session_begin (struct session *s, int64_t start, int64_t end);
/* Withdraw posted receives and wait for what is under way. Collective (the
 * ballots). */
enum status
session_end (struct session *s);
/* One step of this rank's list. Local but for messages. */
enum status
session_step (struct session *s, int64_t step);
struct local_stage *
session_local (struct session *s, int k);
/* E_LIMIT when p has more tags than this MPI. */
enum status
session_check_tags (const struct session *s, const struct plan *p);
/* One operation of the lane that is walked now. */
enum status
session_op (struct session *s, const struct plan_op *op, int64_t step);
/* Wait for a send, or for a receive with its id; booked. */
enum status
session_await (struct session *s, int *request, const struct wire_id *id);

/* -- the matrix that stages share (shared.c) ---------------------------------
 */

/* Bytes of room the rank needs beside its borders; then take it. */
size_t
shared_bytes (const struct session *s);
void
shared_make (struct session *s);
/* Whether the stage's head owns the matrix of others. */
bool
shared_is_mine (const struct session *s, const struct local_stage *l);
/* After a step's last gradient: the sum over all stages that use it arrives at
 * the owner, and the sum over replicas of its part begins.  Local but for
 * messages along the pipe. */
enum status
shared_sum (struct session *s, int64_t step);
/* After an update or a load: the owner's values go to all copies.  The same. */
enum status
shared_spread (struct session *s, int64_t step);
/* What was handed on has been taken. */
enum status
shared_settle (struct session *s);

/* -- evaluation (evaluate.c) -------------------------------------------------
 */

struct evaluation {        /* K heads; NAN where a head is silent */
  double *loss, *accuracy; /* owned by the caller of session_evaluate */
  int64_t samples;
};
/* What ranks vote for between batches. */
struct evaluation_stop {
  enum run_stop (*ask) (void *context); /* this rank */
  void *context;
  enum run_stop why; /* the first that all have read */
};
/* Of votes for each reason, the most pressing one. */
enum run_stop
run_stop_first (const double *votes);
/* Mean loss and accuracy of every head on a split.  stop: NULL where nobody may
 * stop it; else E_STOPPED on all ranks when one has asked for it.  Collective
 * on world. */
enum status
session_evaluate (struct session *s, enum data_split split, int64_t limit,
                  struct evaluation_stop *stop, struct evaluation *out);
/* Bits per byte of the text of a split, from nats per token; NAN where that is
 * not known.  Local. */
double
session_bits (const struct session *s, enum data_split split, double loss);

/* -- files (tensors.c, load.c) ----------------------------------------------
 */

/* Moments of the optimizer: slots 1 .. session_moments; slot 0 is the value. */
int
session_moments (const struct session *s);
enum stage_what
session_what (int slot);
/* "momentum", "exp_avg", "exp_avg_sq". */
const char *
session_slot (const struct session *s, int slot);
/* Whether tensor i of a stage has such a slot. */
bool
session_has (const struct local_stage *l, int i, enum stage_what what);
/* Path and shape of tensor i in a file in which the stage's head is head
 * `number`; true when it belongs to that head. */
bool
session_tensor (const struct session *s, const struct local_stage *l, int i,
                enum stage_what what, int number, struct store_tensor *t);

/* Values only (eval): optimizer false.  heads: whether missing
 * heads are an error.  *step from the file (0 for a bare parameter file). */
enum status
session_load (struct session *s, const char *path, bool optimizer, bool heads,
              int64_t *step);

struct load_fit { /* how a checkpoint lies on the stages of a session */
  int *head_from; /* K: number in the file of the head of a stage here; -1: it
                     starts fresh; owned */
  bool slot[2];   /* whether the file has the optimizer's slots */
  int n_model;    /* tensors of the model here */
  struct text fresh, moved, dropped; /* in words; on the root */
};
/* The parts of a checkpoint that fit.  record: on the root its metrics and
 * progress, owned by the caller. */
enum status
session_load_fit (struct session *s, const char *path, const struct load_fit *f,
                  char *record[2], int64_t *step);

/* The kernel choices that a checkpoint keeps, so that its numbers come out
 * again; "": none.  *tuning is owned by the caller.  Local. */
enum status
session_tuning_of (const char *path, char **tuning);

/* -- accounts and traces -----------------------------------------------------
 */

enum status
trace_open (struct session *s);
void
trace_op (struct session *s, int64_t step, const struct plan_op *op,
          double begin_s, double end_s);
/* Gather and write trace.json. Collective. */
enum status
trace_write (struct session *s);
void
trace_close (struct session *s);

/* `--dump step,stage,what`: what = output, logits, or a parameter's name (its
 * gradient); a .npy file in the run directory. */
enum status
dump_open (struct session *s);
/* from, to: steps that were taken; says so where the wanted one is not there.
 */
void
dump_close (struct session *s, int64_t from, int64_t to);

/* -- the two walks that compare gradients (aside.c)
 * ----------------------------
 */

enum { ASIDE_STRATEGY, ASIDE_WHOLE, ASIDE_WALKS };
/* Timetables of one micro-batch: as the strategy has it, and back from the last
 * loss to the first stage.  Those that were made are the caller's to destroy,
 * whatever is returned.  Local. */
enum status
aside_plans (const struct session *s, struct plan *plan[ASIDE_WALKS]);
/* Predicted seconds of one comparison, from the plan's costs.  Local. */
double
aside_seconds (const struct session *s);

/* Stages, windows and predictions of the plan as text. Local. */
void
session_plan_show (const struct session *s, struct text *out);

/* -- self-checks (check.c), for the command and for tests --------------------
 */

/* "path digest" of every tensor that this rank holds, one a line; slots: those
 * of the optimizer too. Local. */
enum status
check_digests (struct session *s, bool slots, struct text *out);
/* The same of all ranks on the root, sorted; NULL elsewhere; owned by the
 * caller.  Collective on world. */
enum status
check_all_digests (struct session *s, char **out);
enum status
check_state_digests (struct session *s, char **out); /* with slots */
#endif
