/* model/params_impl.h -- the parameters of one part of a stage: body or head.
 *
 * Learnable tensors are one block, 64-byte aligned each but for those that are
 * joined to the one before, with zeros in the gaps; gradients and moments
 * mirror it.  Running statistics are a block of their own.  Convolution weights
 * are kept in the layout of their primitive.  In bf16 what products read is a
 * rounded copy: the factors, which params_refresh makes.
 *
 * Life: params_init, params_add..., params_make (memory, first values), work,
 * params_clear.  Gradients are not cleared between batches: the first writer of
 * a tensor in a batch overwrites, later ones add (params_grad tells which).
 */
#ifndef MODEL_PARAMS_IMPL_H
#define MODEL_PARAMS_IMPL_H

#include "base/memory.h"
#include "base/status.h"
#include "base/tensor.h"
#include "kern/kern.h"
#include "model/optimizer.h"
#include "model/stage.h"

enum params_init_kind {
  PARAMS_ZERO,
  PARAMS_ONE,
  PARAMS_NORMAL, /* spread x standard normal */
  PARAMS_UNIFORM /* -spread .. spread */
};

struct param {
  struct tensor_info info;    /* name without the prefix */
  bool statistic;             /* lives in the block of statistics */
  bool joined;                /* begins where the one before ends, so that one
                                 product takes both */
  bool factor;                /* products read it */
  size_t at, n;               /* floats: offset in its block, length there */
  size_t factor_at;           /* likewise, in the block of factors */
  struct kern_conv *conv;     /* borrowed: layout of its weights; NULL: plain */
  struct kern_linear *linear; /* borrowed: has copies of this and of what is
                                 joined to it; NULL: none */
  enum params_init_kind init;
  double spread;
  bool written; /* gradient of this batch begun */
  bool final;   /* ... and that of its last micro-batch */
  int bucket;   /* where there are buckets; not of statistics */
};

/* Neighbours whose gradients are summed over replicas together. */
struct params_bucket {
  size_t at, n;  /* floats, gaps between the tensors included */
  size_t kept;   /* where the own share lies in moments that twins share */
  int n_tensors; /* at least 1 */
  int left;      /* of them, whose gradient of this batch is not complete */
  bool out;      /* handed out in this batch */
};

/* Standard deviation of Transformers' matrices (GPT-2). */
#define PARAMS_TOKEN_SPREAD 0.02

struct params_range { /* neighbours that decay alike */
  size_t at, n;       /* floats */
  bool decay;
};

struct params {
  struct kern *k;
  char prefix[32]; /* "" or "heads/1/": completes names for random keys */
  int n, room;
  struct param *list; /* n, owned */
  size_t n_values, n_stats, n_factors;
  struct arena memory;
  float *value, *grad, *moment1, *moment2; /* n_values each; grad and moments
                                              NULL when not training, moment2
                                              NULL for SGD; of moments that
                                              twins share only the own ones */
  float *stat;                             /* n_stats */
  float *factor;                           /* n_factors; NULL in f32: values */
  struct params_range *range;              /* n_ranges, owned */
  int n_ranges;
  bool touched; /* a gradient was written since the last update */
  /* see share.c; 0: moments are not shared */
  int n_twins, twin;
  enum stage_what shown; /* which moment lies where gradients do; STAGE_VALUE:
                            none */
  bool spreads;          /* values are on their way to and from twins */
  /* see buckets.c; NULL where nobody takes them */
  struct params_bucket *bucket; /* n_buckets, owned; the last tensors first */
  int n_buckets;
  struct stage_taker taker;
  bool last;     /* what is written now is of the last micro-batch */
  bool complete; /* a bucket waits to be handed out */
};

void
params_init (struct params *p, struct kern *k, const char *prefix);
void
params_clear (struct params *p);

/* Register a tensor; *id is its index from now on.  floats: its length in the
 * block (0: the product of the dims). */
enum status
params_add (struct params *p, const struct param *want, size_t floats, int *id);
/* Memory and first values, from (seed, prefix and name) alone.  Blocks that
 * keep leaves out are NULL. */
enum params_keep { PARAMS_VALUES, PARAMS_GRADIENTS, PARAMS_MOMENTS };
enum status
params_make (struct params *p, uint64_t seed, const struct optimizer *o,
             enum params_keep keep);
/* The same for a copy whose values are elsewhere, n_values of them, borrowed:
 * only gradients are its own, if it has any. */
enum status
params_borrow (struct params *p, float *value, bool gradients);

/* A matrix with a Transformer's first values, and a vector. */
struct param
params_matrix (int64_t rows, int64_t columns);
struct param
params_vector (int64_t n, enum params_init_kind init);

float *
params_value (const struct params *p, int id);
/* What products are to read of it. */
const float *
params_factor (const struct params *p, int id);
float *
params_stat (const struct params *p, int id);
/* Where the gradient goes; *add: add to it, else overwrite.  Counts as
 * written. */
float *
params_grad (struct params *p, int id, bool *add);
/* A new batch begins: what gradients held does not count. */
void
params_begin (struct params *p);
/* Zero what no pass has written in this batch. */
void
params_settle (struct params *p);
double
params_squares (struct params *p);

/* Cut the gradients into buckets (see stage_buckets); then hand them to t from
 * now on: behind params_make, and once.  Nothing where there are none. */
enum status
params_cut (struct params *p);
enum status
params_buckets (struct params *p, const struct stage_taker *t);
/* Whether what is written from now on is of the batch's last micro-batch. */
void
params_last (struct params *p, bool last);
/* The gradient of q is about to be written. */
void
params_note (struct params *p, struct param *q);
/* Hand out the buckets that are complete; then the others, with zeros where
 * nothing was written. */
enum status
params_hand_out (struct params *p);
enum status
params_hand_rest (struct params *p);
/* A new batch begins. */
void
params_take_back (struct params *p);

/* One optimizer step on everything, unless no pass has touched the part; a new
 * batch begins. */
enum status
params_update (struct params *p, const struct optimizer *o, double lr,
               double clip, int64_t step);
/* One step of the optimizer on n floats from `at` on, whose moments lie at
 * `kept`. */
struct params_rates {
  const struct optimizer *o;
  double lr, clip;
  int64_t step;
};
void
params_update_some (struct params *p, const struct params_rates *r, size_t at,
                    size_t n, size_t kept);

/* -- moments that twins share (share.c) ------------------------------------ */

/* Each of n twins keeps the moments of its share of every bucket; before
 * params_make. */
void
params_share (struct params *p, int n_twins, int twin);
static inline bool
params_shares (const struct params *p)
{
  return p->n_twins > 1;
}
/* Cut into buckets; floats that a moment then has. */
enum status
params_share_cut (struct params *p, size_t *floats);
/* params_update of the own shares; all values of a bucket are handed out
 * (spread of the taker) as soon as its own are new. */
enum status
params_share_update (struct params *p, const struct params_rates *r);
/* Those of the twins are here. */
enum status
params_share_end (struct params *p);
/* The own shares of a moment where gradients lie, handed out likewise; until
 * the next gradient params_out finds them there. */
enum status
params_share_show (struct params *p, enum stage_what what);
/* Keep the own part of a moment of tensor q, which lies where its gradient
 * does. */
void
params_share_keep (struct params *p, const struct param *q,
                   enum stage_what what);

/* Values have changed: make the factors, and tell the convolutions. */
enum status
params_refresh (struct params *p);

/* Copy tensor id to and from plain layout. */
enum status
params_out (struct params *p, int id, enum stage_what what, float *plain);
enum status
params_in (struct params *p, int id, enum stage_what what, const float *plain);
/* The values of tensor id in plain layout: where they lie, else a copy in room;
 * NULL where that is NULL. */
enum status
params_view (struct params *p, int id, float *room, const float **out);

#endif
