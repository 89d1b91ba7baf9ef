/* plan/walk_impl.h -- the state of the walker, shared by its three files:
 * walk.c (ranks, buffers), walk_mail.c (messages), walk_work.c (the rest).
 */
#ifndef PLAN_WALK_IMPL_H
#define PLAN_WALK_IMPL_H

#include "plan/plan.h"

enum state { EMPTY, POSTED, LANDED, FULL };
enum kind { INPUT, OUTPUT, HEAD, COTANGENT, OUTGOING, PAIR };

struct cell {
  enum state state;
  int step, micro;
  int sends;          /* under way from here */
  int source;         /* of OUTPUT: slot of the stage before; -1: own input */
  int slot;           /* of PAIR: whose cotangents and activations it needs */
  int border, stream; /* of COTANGENT: which it is */
  double *sum;        /* K, over heads; gradients only */
};

struct letter {
  int from, to, window, tag;
  int stage;  /* it is for, as sent */
  int stream; /* -1: activation */
  bool sent, posted;
  int step, micro; /* as sent */
  struct cell *src, *dst;
};

struct stage_state {
  int version; /* updates done */
  int reduced; /* reductions started */
  struct cell *cell;
  int first[PAIR + 2]; /* first cell of a kind */
  int *count;          /* done in this step: see enum counted, then passes */
  double *sums;
};
enum counted { TAKES, FORWARDS, HEADS, WEIGHTS, HEAD_WEIGHTS, PASSES };

struct walk {
  const struct plan *p;
  int n_steps;
  const struct plan_buffers *buffers; /* n_pipe */
  struct cell **shared;               /* n_pipe: cells of these buffers ... */
  double **sums;                      /* ... and their sums */
  struct stage_state *stage;
  int *step, *at;                /* per rank */
  int *summed, *normed, *spread; /* per rank: steps done */
  struct letter *letter;
  int n_letters, room;
  /* of the operation in hand */
  int rank, now;
  const struct plan_op *op;
  bool blocked;
};

/* Keep a message that says where the walk is. */
enum status
plan_walk_bad (const struct walk *w, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));
#define NEED(w, cond, ...)                     \
  do {                                         \
    if (!(cond))                               \
      return plan_walk_bad ((w), __VA_ARGS__); \
  } while (0)

/* The buffers of stage k, empty; the walk owns them. */
enum status
plan_walk_open (const struct walk *w, int k);
/* Those that stages of rank r share. */
enum status
plan_walk_share (const struct walk *w, int r);
/* The buffer; NULL when slot or stream does not exist.  A cotangent that stages
 * of a rank share: that of the micro-batch of the operation in hand. */
struct cell *
plan_walk_cell (const struct walk *w, enum kind kind, int k, int stream,
                int slot);
/* Of row k of the table anything; and with its head: a stage that is frozen,
 * and one in which nothing at all learns. */
bool
plan_walk_learns (const struct walk *w, int k);
bool
plan_walk_moves (const struct walk *w, int k);
/* The buffer (may be NULL) holds this step's data of the micro-batch. */
bool
plan_walk_holds (const struct walk *w, const struct cell *c, int micro);
/* Now it does, of the micro-batch of the operation in hand. */
void
plan_walk_put (const struct walk *w, struct cell *c);
/* Kinds of work of a stage go through the micro-batches in order. */
enum status
plan_walk_next (const struct walk *w, int which);
/* Two sums over heads are the same. */
bool
plan_walk_same (const struct plan *p, const double *a, const double *b);

/* The operation in hand, done or (w->blocked) to be tried again later. */
enum status
plan_walk_post (struct walk *w);
enum status
plan_walk_send (struct walk *w);
enum status
plan_walk_receive (struct walk *w);
enum status
plan_walk_take (struct walk *w);
enum status
plan_walk_forward (struct walk *w);
enum status
plan_walk_head (struct walk *w);
enum status
plan_walk_pass (struct walk *w);
enum status
plan_walk_weights (struct walk *w);
enum status
plan_walk_head_weights (struct walk *w);
/* All that stage k has to do in a step but the update is done. */
enum status
plan_walk_all (const struct walk *w, int k);
enum status
plan_walk_reduce (struct walk *w);
enum status
plan_walk_update (struct walk *w);
enum status
plan_walk_sum (struct walk *w);
enum status
plan_walk_norm (struct walk *w);
enum status
plan_walk_spread (struct walk *w);

#endif
