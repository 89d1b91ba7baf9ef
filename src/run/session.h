/* run/session.h -- the inside of the engine: one session per rank.
 *
 * A session is everything a rank needs to walk its timetable: the design, its
 * stages, the buffers of their borders, and the record it keeps.  It is made
 * once (session_open) and walked (session_step); train and verify look at it,
 * and the commands of this room.
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
#include "design/design.h"
#include "data/data.h"
#include "store/checkpoint.h"
#include "store/run.h"
#include "wire/wire.h"

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
  char **packed;             /* n_slots + 1, the last one for evaluation: room
                                for the output as a message, behind a header;
                                owned list; NULL: it leaves as it is */
  int n_cot;                 /* streams at border k + 1, when stage + 1 is
                                remote; else see struct lane */
  struct border_buffer *cot; /* [stream * n_slots + slot] */
  int n_out;                 /* streams at border k, when stage - 1 is remote */
  struct border_buffer *out; /* [stream * n_slots + slot] */
  float **mix;               /* n_pairs + 1 border-sized places for sums of
                                cotangents; NULL where a pass never sums */
  float grow; /* how often a learning pass takes the stage's output, besides */
  const float **term;      /* most_terms: what is added up, and ... */
  float *coef;             /* ... how often; NULL likewise */
  struct session *session; /* whose stage it is */
  int n_sums, *sum; /* sums over replicas that a batch has begun, by request; as
                       many as it can begin */
  double squares[2]; /* of the gradients, by part, of this batch */
};

/* Where gradients lie that go from one stage of the rank to the next: in a
 * phase as its list lets them share memory, all phases in the same memory. */
struct inner_gradients {
  struct plan_buffers buffers;
  size_t *bytes; /* by buffer, its header included */
  float **data;  /* by buffer, behind the header */
};

/* A timetable and the buffers it is walked with. */
struct lane {
  const struct plan *plan;
  int windows; /* number of its first window among those of the wire */
  const struct inner_gradients *gradients; /* NULL: every stage has its own */
  struct local_stage *local;               /* one per stage of this rank */
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
  struct wire *wire;           /* borrowed */
  const struct design *design; /* owned; const from here on */
  struct store_run *run;       /* root only, borrowed; NULL: no record */
  int n_local;
  struct local_stage *local;
  struct lane lane;     /* that is walked now, or in the step that comes */
  struct arena borders; /* cotangents, outgoing gradients, mixes */
  struct inner_gradients *gradients; /* by phase */
  struct data_order *order;
  struct data_loader *loader; /* on ranks with stage 0, and with heads that make
                                 images again */
  struct data_loader *reader; /* the same, in an evaluation, where samples are
                                 decoded */
  struct {                    /* pictures.c */
    float *x;     /* M micro-batches; owned; NULL: no head here needs any */
    size_t each;  /* numbers of one */
    int64_t step; /* whose are there; -1: of none ... */
    int n;        /* ... and how many of its micro-batches */
    int64_t first, end; /* steps in which they are taken from the loader */
  } pictures;
  int32_t *labels; /* n_samples x M x length, of labels_step */
  int64_t labels_step;
  int64_t start_step, end_step; /* of session_begin */
  float *shared; /* room for the matrix that stages share, behind a header, in
                    `borders`; NULL: this rank needs none */
  int shared_request; /* of what was handed on last */

  /* what a step leaves: per head, of this replica */
  struct stage_loss *loss; /* K */
  /* ... and, where it is on, of the stages of this rank: sums of squares of the
   * outputs, and of the body's gradient of all replicas; 0 of other stages */
  struct {
    bool on;
    double *output, *gradient; /* K */
  } flow;
  bool heard; /* losses of a step are back: operations are told no more */

  int *window_norm;         /* K requests; not NONE inside a step only */
  double *squares, *factor; /* K + 1 of a window; K: what clipping leaves */

  struct clock_account account;
  struct trace *trace; /* NULL unless asked */

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

struct session_spec {
  struct design_spec design;
  bool decodes; /* stages keep the keys and values of one text */
};
/* Everything up to the first step: the design and the stages.  On failure
 * everything is closed.  Collective on world. */
enum status
session_open (struct wire *w, const struct config *c,
              const struct session_spec *spec, struct session *s);
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
/* Stages do from now on what the plan asks of them: learn, or (frozen) hand
 * gradients on, or neither.  Between two batches.  Local. */
void
session_set_modes (struct session *s, const struct plan *p);
/* One step of this rank's list. Local but for messages. */
enum status
session_step (struct session *s, int64_t step);
struct local_stage *
session_local (struct session *s, int k);
/* How a step is walked in training. */
struct lane
session_lane (const struct session *s, int64_t step);
/* Numbers in what stage k hands on of a whole batch. */
double
session_numbers (const struct design *d, int k);
/* One operation of the lane that is walked now. */
enum status
session_op (struct session *s, const struct plan_op *op, int64_t step);
/* Wait for a send, or for a receive with its id; booked (wait.c). */
enum status
session_await (struct session *s, int *request, const struct wire_id *id);

/* -- gradients within the rank (gradients.c) --------------------------------
 */

/* Which lie where, of all phases; *bytes: the memory that they need. */
enum status
gradients_plan (struct session *s, size_t *bytes);
/* Lays them out in such memory, of s->borders. */
void
gradients_make (struct session *s, size_t bytes);
void
gradients_clear (struct session *s);
/* That of a stream over a border between two stages of this rank, in the list
 * that is walked now. */
float *
gradients_at (const struct session *s, int border, int stream, int micro);

/* -- sums over replicas (sums.c) ---------------------------------------------
 */

/* Cut the gradients of this rank's stages into buckets, whose sums begin by
 * themselves when they are complete, and make room for the sums.  Nothing with
 * one replica. */
enum status
sums_make (struct session *s);
/* The micro-batch that is next for the stage's gradients. */
void
sums_micro (struct session *s, struct local_stage *l, int micro);
/* Begin the sum of the head's gradients; behind the micro-batch's last one. */
enum status
sums_head (struct session *s, struct local_stage *l, int micro);
/* Whether replicas share the optimizer's state. */
bool
session_shares (const struct session *s);
/* Begin what has not begun: gradients but for those of a shared matrix's owner,
 * and running statistics. */
enum status
sums_begin (struct session *s, struct local_stage *l);
/* ... and those of the owner. */
enum status
sums_owner (struct session *s, struct local_stage *l);
/* Wait for all that the batch has begun. */
enum status
sums_finish (struct session *s, struct local_stage *l);
/* After an update of the own shares: wait for those of the twins.  Nothing
 * where replicas do not share. */
enum status
sums_gather (struct session *s, struct local_stage *l);
/* Moments of the optimizer as files see them: where replicas share them, those
 * of slot 1 .. session_moments are brought together on all, between two
 * batches, until the next one is shown or a batch begins.  The job ends where
 * that fails, since the twins would wait.  Collective on twins. */
void
sums_show (struct session *s, int slot);

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

/* -- images on ranks whose heads make them again (pictures.c) ----------------
 */

/* Room for them, where a head here needs them. */
enum status
pictures_open (struct session *s);
/* In which of the steps they are taken. */
void
pictures_begin (struct session *s, int64_t start, int64_t end);
/* Those of a micro-batch; micro-batches in any order, steps one after the
 * other. Aside they stay in the loader. */
enum status
pictures_of (struct session *s, int64_t step, int micro, const float **x);
/* All of a step were taken, whoever looked at them. */
enum status
pictures_finish (struct session *s, int64_t step);
/* For the head of a stage, before it is computed; does nothing where it makes
 * no images. */
enum status
pictures_show (struct session *s, const struct local_stage *l, int slot,
               int64_t step, int micro);
/* For all heads here: those of a batch of an evaluation, which were read to
 * where the first micro-batch lies. */
void
pictures_show_all (struct session *s);

/* -- evaluation (evaluate.c) -------------------------------------------------
 */

struct evaluation {        /* K heads; NAN where a head is silent */
  double *loss, *accuracy; /* owned by the caller of session_evaluate */
  double *rebuilt;         /* likewise: of images made again, NAN where a head
                              makes none; NULL: not wanted */
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

/* -- self-checks (check.c), for the command and for tests --------------------
 */

/* "path digest" of every tensor that this rank holds, one a line; slots: those
 * of the optimizer too.  Local; with slots Collective on twins. */
enum status
check_digests (struct session *s, bool slots, struct text *out);
/* The same of all ranks on the root, sorted; NULL elsewhere; owned by the
 * caller.  Collective on world. */
enum status
check_all_digests (struct session *s, char **out);
enum status
check_state_digests (struct session *s, char **out); /* with slots */
#endif
