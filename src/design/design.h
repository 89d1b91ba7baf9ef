/* design/design.h -- all that is decided before the first tensor is made: the
 * sizes, the network, the kernels, what blocks cost, the cut and the timetable.
 *
 * A design is made once and const after opening: a line that reads one may rely
 * on it from step 0 on.
 */
#ifndef DESIGN_DESIGN_H
#define DESIGN_DESIGN_H

#include "data/data.h"
#include "design/ask.h"
#include "model/family.h"
#include "model/kernels.h"
#include "model/network.h"
#include "model/optimizer.h"
#include "model/stage.h"
#include "plan/plan.h"
#include "store/run.h"

struct unit_costs { /* arrays of n units; owned */
  int n;
  struct stage_cost *unit;
  struct stage_cost *head; /* the grammar behind unit i; zero where not asked */
};

struct design_spec {
  struct store_run *run;  /* root only, borrowed; NULL: no record */
  const char *tuning;     /* kernel choices as text; NULL: as configured */
  const char *was_tuning; /* those of the checkpoint that the run goes on from,
                             in place of the run directory's; NULL: none */
  bool forward_only;      /* evaluation: no gradients, nothing measured */
  bool guess_costs;       /* of blocks, from counted work: for short runs */
  bool proves;            /* kernels, whatever an earlier start found */
  bool anew;              /* nothing is taken from the cache */
  const double *route;    /* K x K in place of the configuration's strategy,
                             borrowed; NULL: none */
  /* of a plan alone */
  bool measure;    /* blocks, here */
  bool unit_costs; /* forward = data = weights = 1 */
  bool heads;      /* costs of heads behind all units, whatever the route */
  const struct design_costs *costs; /* borrowed; NULL: guessed, or measured */
  int n_kept;              /* texts of costs.txt that runs have left ... */
  const char *const *kept; /* ... borrowed, in place of costs; 0: none */
  bool link_given;         /* by the next line; else assumed */
  double latency_s, bytes_per_s; /* of messages */
};

/* A part of the run under one strategy; the whole of it, where that does not
 * change. */
struct design_phase {
  char *words;   /* as strategy.dial has it; NULL: that is not given; owned */
  int64_t first; /* step that it begins with; -1: not known, nor ... */
  double share;  /* ... what part of the run it is; NAN */
  double *route; /* K x K; owned */
  struct plan *plan;
};

/* What a stage does in a micro-batch, as the mean over the run. */
struct design_does {
  double passes;
  double learns, heads; /* in what part of the run it does, and has one */
};

struct design {
  struct wire *wire; /* borrowed */
  struct design_spec spec;
  struct config config;     /* its cut and kernel choices settled */
  int K, M, R;              /* stages, micro-batches, replicas */
  int64_t batch, n_samples; /* whole; of one micro-batch */
  int threads;              /* of a rank */
  int cores;                /* of this rank, where samples are decoded */
  double decode_s;          /* one core's, for a sample; root only; 0: nothing
                               is decoded, or that was not measured */
  struct data_set *data;    /* owned; NULL: a plan without data */
  struct data_info info;
  enum data_split train, valid, test;
  int64_t n_train; /* samples, after limit */
  int64_t length;  /* positions of a sample; 1 of images */
  int64_t steps;   /* of the whole run */
  struct optimizer optimizer;
  struct schedule schedule;
  struct network *net;     /* owned */
  struct kernels *kernels; /* owned; NULL in a plan that measures nothing */
  bool tunes;              /* the choices were made at this start */
  char *cache;     /* what entries of the cache have in common: machine and
                      program; owned; NULL: it is not used */
  unsigned cached; /* bits by enum design_cached: taken from it */
  struct unit_costs costs;
  int n_phases;
  struct design_phase *phase; /* n_phases, in their order; owned */
  double *route;              /* K x K: of the first phase */
  struct design_does *does;   /* K */
  bool *has_head;             /* K: in any phase */
  int *first;                 /* K + 1: cut */
  char *shared;               /* the one of the sweep, where it follows from
                                 times; owned; NULL */
  char (*head)[CONFIG_TEXT];  /* K: grammar behind each stage but the last */
  const char **behind;        /* by unit: the one whose cost and kernels are
                                 asked for; NULL: none */
  struct plan_cost *cost;     /* K: with the heads that there are */
  const struct plan *plan; /* of the first phase; of all the same: where stages
                              are, and which share a matrix */
  double latency_s, bytes_per_s; /* of messages, for predictions */
  double started_s;              /* clock */
};

/* Data, network, kernels, costs, cut, plan.  On failure everything is closed.
 * Collective on world. */
enum status
design_open (struct wire *w, const struct config *c,
             const struct design_spec *spec, struct design *d);
/* For n_pipe ranks, with what `spec` says of a plan alone.  Local. */
enum status
design_sketch (struct wire *alone, const struct config *c, int n_pipe,
               const struct design_spec *spec, struct design *d);
void
design_close (struct design *d);
/* Root: what was measured or chosen while there was no run directory, as
 * tune.txt and costs.txt of the one that there is now.  Local. */
enum status
design_put_choices (const struct design *d, struct store_run *run);
/* One line on what was taken from the cache of earlier starts, if anything was:
 * for those who say what they begin.  Local. */
void
design_cache_say (const struct design *d);
/* The phase of a step.  Local. */
const struct design_phase *
design_phase_at (const struct design *d, int64_t step);
/* Updates of the body of stage k, or of its head, up to and with this one: of
 * the phases in which it learns.  Local. */
int64_t
design_updates (const struct design *d, int k, bool head, int64_t step);
/* Adds "phase 1 (30%:2), steps 301 to 700"; where there is a dial. */
void
design_phase_name (const struct design *d, int i, struct text *out);
/* Equal on all ranks, or the run does not start: of all its plans. */
uint64_t
design_hash (const struct design *d);
/* What the phases ask of stage k, at most. */
struct design_needs {
  int k, K;
  bool own_input; /* the stage before is on another rank, or there is none */
  bool crosses;   /* the next stage is on another rank */
  bool through;   /* gradients, its own or others' */
  bool head;      /* behind an inner stage */
  bool taught;    /* stages learn from its head, in some phase */
  int n_slots, n_pairs;
  int n_in, n_out; /* streams of gradients at its upper and lower border */
  bool mixes;      /* a pass adds gradients up */
};
void
design_stage_needs (const struct design *d, int k, struct design_needs *out);
/* E_LIMIT when p has more tags than this MPI. */
enum status
design_check_tags (const struct design *d, const struct plan *p);
/* The head's grammar of stage k, not the last, whatever the route. */
const char *
design_head (const struct design *d, int k);
/* The weight of the loss of images that head k makes again; 0: it makes none,
 * or is in no phase.  Local. */
double
design_rebuilds (const struct design *d, int k);
/* Whether any does.  Local. */
bool
design_rebuilds_any (const struct design *d);
/* Memory of rank r of the pipe by the plan. */
double
design_rank_bytes (const struct design *d, int r);
/* Stages, windows and predictions of the plan as text. Local. */
void
design_plan_show (const struct design *d, struct text *out);

/* -- what feeds the first stage (feed.c) ------------------------------------
 */

/* What a rank with stage 0 opens to train from one step to another.  Local. */
void
design_loader (const struct design *d, int replica, int64_t start, int64_t end,
               struct data_loader_spec *out);
/* What it opens to evaluate the batches of its replica, so many, where samples
 * are decoded.  Local. */
void
design_reader (const struct design *d, int replica, enum data_split split,
               int64_t batches, struct data_loader_spec *out);
/* Warns where decoding is slower than the plan is to be.  Root; local. */
void
design_warn_feed (const struct design *d);

/* -- words of the configuration (derive.c) ------------------------------------
 */

/* The strategy as a table [K x K], see plan/plan.h: all that the engine knows
 * of it; of one that does not change in the course of the run. */
enum status
derive_route (const struct config *c, int K, double *route);
/* The phases of a run of so many steps (0: not known), without plans, for
 * design_phases_clear (dial.c). */
enum status
derive_phases (const struct config *c, int K, int64_t steps, int *n,
               struct design_phase **out);
void
design_phases_clear (int *n, struct design_phase **phases);
/* The family that a configuration names. */
const struct family *
derive_family (const struct config *c);
/* data NULL: images of the usual size for the stem, 10 classes. */
enum status
derive_spec (const struct config *c, const struct data_info *data,
             struct model_spec *out);
enum model_border
derive_border (const struct config *c);
/* Whether numbers are bf16 where they can be. */
bool
derive_narrow (const struct config *c);
/* Replicas that share the optimizer's state; 0: each has all of it. */
int
derive_twins (const struct config *c);
/* What a stage does that learns, or through which gradients go; those of the
 * last loss, with which others are compared, may go through any. */
enum stage_mode
derive_mode (const struct config *c, bool learns, bool through);
enum data_split
derive_split (enum config_split split);
/* The same of a word that is none of the configuration.  E_CONFIG. */
enum status
derive_split_named (const char *word, enum data_split *out);
/* Bits DATA_AUGMENT_... */
int
derive_augment (const struct config *c);

/* -- the two walks that compare gradients (aside.c) -------------------------
 */

enum { ASIDE_STRATEGY, ASIDE_WHOLE, ASIDE_WALKS };
/* Timetables of one micro-batch: as the strategy of a phase has it, and back
 * from the last loss to the first stage.  Those that were made are the caller's
 * to destroy, whatever is returned.  Local. */
enum status
aside_plans (const struct design *d, const struct design_phase *phase,
             struct plan *plan[ASIDE_WALKS]);
/* Predicted seconds of one comparison, from the plan's costs.  Local. */
double
aside_seconds (const struct design *d, const struct design_phase *phase);

#endif
