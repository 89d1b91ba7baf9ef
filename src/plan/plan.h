/* plan/plan.h -- all deciding: cut, route, windows, streams, timetable.
 *
 * Arithmetic on integers and a few costs; never sees a tensor, never talks.
 * A plan is made once from a plan_spec and does not change; every rank makes
 * the same one and walks its own list.  All functions are Local.
 */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "base/status.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- strategy: a table of numbers ------------------------------------------ */

enum plan_mix { PLAN_FURTHEST, PLAN_SUM, PLAN_MEAN };
/* route[k * K + h]: weight of loss h in the gradient of stage k (contract,
 * section "Strategies").  E_CONFIG when span is not in 1..K. */
enum status
plan_route (int K, int span, enum plan_mix mix, double *route);
/* Row k of such a table [K], where stages may differ; own: with furthest, the
 * weight of the own head's loss where that is not the furthest.  span 0: zeros,
 * the stage is frozen. */
struct plan_reach {
  int span;
  enum plan_mix mix;
  double own;
};
enum status
plan_route_row (int K, int k, const struct plan_reach *r, double *row);
/* Plain backpropagation: every stage follows the last loss alone, but for those
 * that are frozen in `like` (NULL: none). */
void
plan_route_plain (int K, const double *like, double *route);
/* A table: non-negative finite, zero for h < k.  A row of zeros is a frozen
 * stage, and one at least has to learn; E_CONFIG names row and column. */
enum status
plan_route_check (int K, const double *route);
/* Row k alone [K], as numbers by hand: one at least is not zero, since who
 * freezes a stage says so. */
enum status
plan_route_check_row (int K, int k, const double *row);
/* Whether row k is of zeros: no loss moves the stage's parameters. */
bool
plan_route_frozen (int K, int k, const double *route);
/* Whether a stage learns from a head before the last. */
bool
plan_route_inner (int K, const double *route);

/* -- cut and fold ---------------------------------------------------------- */

/* Exact min-max cut of n_units into K non-empty ranges; first[0..K].  Costs may
 * depend on the stage: cost[k * n_units + i] of unit i in stage k, plus
 * extra[k * n_units + i] when stage k ends behind unit i (its head; NULL:
 * none).  Of cuts whose largest range is within 2 % of the smallest possible,
 * the one whose borders are nearest to equal parts of the work (least sum of
 * squares); among equals, whose earlier stages are smallest.  E_CONFIG when
 * K > n_units. */
enum status
plan_cut (int n_units, const double *cost, const double *extra, int K,
          int *first);
/* Contiguous min-max folding of K stages onto n_pipe ranks; rank_of[0..K-1].
 * E_CONFIG when n_pipe > K. */
enum status
plan_fold (int K, const double *cost, int n_pipe, int *rank_of);

/* -- what is asked --------------------------------------------------------- */

enum plan_order { PLAN_EAGER, PLAN_1F1B, PLAN_FILLDRAIN };
const char *
plan_order_name (enum plan_order o);

struct plan_cost {               /* seconds (or units) per micro-batch */
  double forward, data, weights; /* of the stage's body */
  double saved; /* of data and weights, where they are joined */
  double input; /* of data, in passes that hand nothing on */
  double head;  /* head forward, loss, data gradient */
  double head_weights;
  double update;       /* once per batch; of a frozen stage's head: nothing */
  double squares;      /* of all its gradients, once per batch (clipping); the
                          same */
  double output_bytes; /* of a border tensor */
  double sum_bytes;    /* of the body's gradients, which replicas sum up; */
  double head_bytes;   /* of the head's, likewise; 0: free */
};

/* What stages do together when the gradients of a batch are there; zero:
 * nothing, every stage updates when its own are. */
struct plan_joint {
  bool norms;            /* of windows: updates wait for them */
  bool first, heads;     /* the last stage's matrix is used by the first stage,
                            by all heads: its gradients go up the pipe, its
                            values come down */
  double matrix_bytes;   /* of it */
  double fold_s, copy_s; /* a stage adds its part; takes the new values */
  const bool *has_head;  /* K: heads that are there, though they may be silent
                            under this route; borrowed during plan_create;
                            NULL: those that are not */
};

struct plan_spec {
  int K;
  const double *route; /* K x K, borrowed during plan_create */
  bool heads_all;      /* heads nobody learns from: witnesses */
  bool grows; /* inner stages learn from something of their own besides the
                 table, which nobody below them is to follow */
  int n_micro, n_pipe, n_replicas;
  const int *rank_of; /* K, non-decreasing; borrowed */
  enum plan_order order;
  const struct plan_cost *cost;  /* K; NULL: units (1, 1, 1, head 0) */
  double latency_s, bytes_per_s; /* of a message; bytes_per_s 0: free */
  struct plan_joint joint;
};

/* -- the plan -------------------------------------------------------------- */

#define PLAN_OWN (-1) /* as input of a pass: the gradient of the own head */

/* Gradients that cross border b (from stage b to stage b - 1) together: the
 * vector weight[h] over heads says of which losses.  window: the head whose
 * communicator carries it. */
struct plan_stream {
  int border, index; /* index among the streams of the border */
  int window;
  double *weight; /* K */
};

/* One trip of a cotangent through a stage, downwards. */
struct plan_pass {
  int stage, index; /* index among the passes of the stage: by nearest head,
                       one that only learns last */
  int n_in;
  int *in;      /* stream index at border stage + 1, or PLAN_OWN */
  double *coef; /* n_in; the cotangent is sum of coef x input */
  int out;      /* stream index at border stage, or -1: ends here */
  bool learn;   /* the stage's parameters follow this pass */
};

enum plan_head { PLAN_SILENT, PLAN_WITNESS, PLAN_ACTIVE };

enum plan_verb {
  PLAN_TAKE,     /* images of a micro-batch into the first stage */
  PLAN_POST_ACT, /* a receive is posted ahead */
  PLAN_RECV_ACT, /* ... and waited for */
  PLAN_FORWARD,
  PLAN_SEND_ACT,
  PLAN_HEAD, /* head forward, loss, gradient at the stage's output */
  PLAN_POST_GRAD,
  PLAN_RECV_GRAD,
  PLAN_PASS, /* stage_back_data */
  PLAN_SEND_GRAD,
  PLAN_WEIGHTS, /* stage_back_weights */
  PLAN_HEAD_WEIGHTS,
  PLAN_REDUCE, /* start the sum over replicas */
  PLAN_GATHER, /* of a shared matrix's gradients, on its way up; of a rank */
  PLAN_NORM,   /* of all windows that the rank is in; of a rank */
  PLAN_UPDATE, /* may wait for the REDUCE of this step of every stage that
                  lies in a common window: the lists allow for it.  Behind
                  everything else where stages do something together */
  PLAN_SPREAD, /* of a shared matrix's new values, on their way down */
  PLAN_VERBS
};
const char *
plan_verb_name (enum plan_verb v);

struct plan_op {
  enum plan_verb verb;
  int stage;
  int micro;   /* -1: once per batch */
  int slot;    /* of `stage` */
  int source;  /* FORWARD: slot of stage - 1 on this rank whose output is the
                  input; -1: own input buffer (received or taken) */
  int pair;    /* PASS with learn, WEIGHTS; else -1 */
  bool joined; /* PASS with learn: it does the arithmetic of its WEIGHTS as
                  well; WEIGHTS: its PASS has done it */
  int pass;    /* PASS: index; else -1 */
  int stream;  /* *_GRAD: index at the border that is crossed; PASS: as its out
                */
  int slot_to; /* PASS whose out ends in stage - 1 on this rank: slot there, and
                  the gradient is written into that stage's cotangent buffer;
                  else -1 */
  int peer;    /* messages: pipe rank of the other side; else -1 */
  int window;  /* *_GRAD: head whose communicator is used; *_ACT: -1 */
  int tag;     /* messages: unique to (verb kind, border, stream, micro) */
  bool ahead;  /* POST: the message belongs to the next step.  For each such op
                  the list of the first step is preceded by the same post. */
};
/* Buffers an engine keeps, by these keys: own input (stage, slot) where the
 * previous stage is on another rank or there is none; cotangent (stage, stream
 * at border stage + 1, slot) where stage + 1 is on another rank, else see
 * plan_buffers; outgoing gradient (stage, stream at border stage, slot) where
 * stage - 1 is on another rank.  A send from a buffer has to be complete before
 * the op that writes that buffer again. */

struct plan_rank {
  int first_stage, end_stage;
  int n_ops;
  struct plan_op *op;
};

struct plan {
  int K, n_micro, n_pipe, n_replicas;
  enum plan_order order;
  int *rank_of;                /* K */
  double *route;               /* K x K */
  enum plan_head *head;        /* K */
  int *window_first;           /* K: first stage that head h drives; -1: none */
  int *n_streams;              /* K + 1: per border 0..K (0 and K have none) */
  int *streams_below;          /* K + 1: streams at the borders before */
  struct plan_stream **stream; /* [border][index] */
  int *n_passes;               /* K */
  struct plan_pass **pass;     /* [stage][index] */
  int *n_slots, *n_pairs;      /* K */
  struct plan_rank *rank;      /* n_pipe */
  double cycle_s;              /* predicted seconds per batch, steady state */
  double *busy_s;              /* n_pipe: of a cycle */
  double *stage_idle_s;   /* K: waiting of the stage's rank just before ops of
                             that stage, of a cycle */
  struct plan_cost *cost; /* K: as asked; not part of the hash */
  double latency_s, bytes_per_s;
  bool grows;   /* see plan_spec */
  bool norms;   /* see plan_joint */
  bool *shares; /* K: stages that use a shared matrix; NULL: there is none */
  double matrix_bytes, fold_s, copy_s;
};

enum status
plan_create (const struct plan_spec *spec, struct plan **out);
/* Whether the parameters of stage k learn: no, it is frozen.  It then has no
 * pass that learns, no WEIGHTS and no pair, and the passes that it has only
 * hand on what others learn from. */
bool
plan_learns (const struct plan *p, int k);
/* Whether anything of stage k learns, itself or its head: only then it has a
 * REDUCE and an UPDATE. */
bool
plan_updates (const struct plan *p, int k);
void
plan_destroy (struct plan **p);
/* The same for a regular strategy on a long pipe, one stage per rank, at a cost
 * that grows as K x n_micro x span: cycle, work, waiting, slots and lists are
 * those of plan_create, but there is no table (route and weights of streams
 * are NULL), so that such a plan cannot be hashed, walked or told in words.
 * E_CONFIG: a span between PLAN_CHAIN_SPAN and K. */
#define PLAN_CHAIN_SPAN 32
/* The length, at most K, from which on a chain of equal stages is as fast under
 * this span as in any longer one, to 2 %: what happens at an end is not seen
 * inside, but for the skew for which a timetable is made, which may cost a unit
 * more or less.  Where gradients go all the way it is K. */
int
plan_chain_enough (int K, int span);
struct plan_chain {
  int K, span;
  enum plan_mix mix;
  bool heads_all, grows;
  int n_micro;
  enum plan_order order;
  const struct plan_cost *cost; /* K */
  double latency_s, bytes_per_s;
  struct plan_joint joint;
};
enum status
plan_chain_create (const struct plan_chain *spec, struct plan **out);
/* Whether the learning pass of stage k takes something of its own besides; of a
 * chain nothing is frozen. */
bool
plan_grows (const struct plan *p, int k);
/* The next rank up (step 1) or down (-1) the pipe with a stage that uses the
 * shared matrix; -1: none. */
int
plan_share_next (const struct plan *p, int rank, int step);
/* Equal on all ranks or the run does not start. */
uint64_t
plan_hash (const struct plan *p);
/* Number of tags that messages of the lists have: 0 .. n - 1. */
int64_t
plan_tags (const struct plan *p);
/* Messages per micro-batch over all borders: activations and gradients, counted
 * for one stage per rank (folding merges some into hand-overs). */
void
plan_messages (const struct plan *p, int *activations, int *gradients);
/* Batches one after the other: predicted time of n steps from an empty pipe. */
double
plan_time (const struct plan *p, int64_t n_steps);

/* Memory for the gradients that go from one stage of a rank to the stage below
 * it there: as many buffers as hold all that live at once.  Only those share
 * one whose borders are of one size, output_bytes of plan_cost; E_MEMORY. */
struct plan_buffers {
  int rank, n;
  int *border; /* n: a border whose gradients the buffer is for */
  int *of;     /* the buffer of each gradient; see plan_buffer */
};
enum status
plan_buffers_make (const struct plan *p, int rank, struct plan_buffers *out);
void
plan_buffers_clear (struct plan_buffers *b);
/* The buffer in which the stream at the border lies, of a micro-batch; -1: the
 * border is not between two stages of the rank.  It is written by the pass that
 * makes the stream, and read by those that take it and, where that is not
 * joined, by the WEIGHTS of the one that learns. */
int
plan_buffer (const struct plan *p, const struct plan_buffers *b, int border,
             int stream, int micro);

/* Walk the lists as n_pipe ranks with rendezvous messages and the posted
 * receives would, for n_steps steps, without costs: E_FAULT naming rank, op and
 * buffer on deadlock, on a buffer overwritten while somebody still needs it, on
 * a wrong micro-batch, or a stage updated before its last gradient.  A slow
 * obvious checker, independent of how the lists were made. */
enum status
plan_walk (const struct plan *p, int n_steps);
/* The same with these buffers of all ranks, not those of plan_buffers_make. */
enum status
plan_walk_buffers (const struct plan *p, const struct plan_buffers *buffers,
                   int n_steps);

/* -- showing --------------------------------------------------------------- */

/* Windows and streams in words; the timetable of n_steps steps as a text Gantt
 * of at most `columns` characters a line, one row per rank. */
void
plan_print_windows (const struct plan *p, struct text *out);
void
plan_print_gantt (const struct plan *p, int n_steps, int columns,
                  struct text *out);
void
plan_print_list (const struct plan *p, int rank, struct text *out);

#endif
