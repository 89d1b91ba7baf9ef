/* model/layer_impl.h -- layers: a struct of functions over flat memory.
 *
 * Each kind has one file, which says all of it: what a step of this kind costs,
 * which kernels it needs, how a layer is made of it and what the layer does.
 * The list of kinds is RECIPE_KINDS; nobody else asks which kind a layer is.
 *
 * A layer owns its primitives and knows offsets; it owns no activations.  What
 * forward leaves for backward lies in the slab of a slot, what a learning
 * backward leaves for the weight gradients in the slab of a pair, all else on a
 * stack of scratch memory that is empty between the calls of a stage.
 *
 * Cotangents: a layer with `keeps` wants the cotangent of its output to stay
 * where it is until `weights` when the pass learns.  Whoever hands it one picks
 * the place: containers use the pair slab for those, scratch for the others.
 * With `now` the layer computes its weight gradients before it returns from
 * back, so nothing has to stay: all cotangents go to scratch, which is small
 * and written over and over, and so mostly in the cache.
 */
#ifndef MODEL_LAYER_IMPL_H
#define MODEL_LAYER_IMPL_H

#include "base/clock.h"
#include "base/status.h"
#include "kern/kern.h"
#include "model/params_impl.h"
#include "model/recipe_impl.h"

/* What a call works on. */
struct work {
  struct kern *k;
  struct params *params;
  char *slot;    /* slab of the slot; NULL in eval */
  char *pair;    /* slab of the pair; NULL: this pass does not learn */
  char *scratch; /* next free byte of the scratch stack */
  bool now;      /* back with a pair: weight gradients on the way, at once (not
                    in Transformers) */
  bool still;    /* running statistics do not move */
  bool fixed;    /* forward and back of a stage that is frozen: running
                    statistics are used, nothing is dropped out */
  const float *more; /* back: what the block behind left to be added to d_y;
                        NULL: nothing */
  /* of Transformers */
  int64_t rows;          /* tokens in this call */
  int64_t all_rows;      /* that its tensors have room for */
  const struct when *at; /* what dropout depends on; NULL in eval */
  char *cache;           /* keys and values of one sequence; NULL: none */
  int64_t first;         /* with a cache: positions that are in it already */
};
/* Which samples are in a slot. */
struct when {
  uint64_t seed;
  int64_t step, first_sample;
};
/* A 64-byte aligned piece; give it back by restoring w->scratch. */
void *
work_take (struct work *w, size_t bytes);

/* Between two layers: messages move, and gradients that are complete begin
 * their sum over replicas. */
static inline enum status
work_pulse (const struct work *w)
{
  pulse ();
  return w->params->complete ? params_hand_out (w->params) : OK;
}

struct layer;
struct layer_maker;
struct layer_kind {
  const char *name;
  /* Of a step, before any memory.  cost adds learnable numbers, flops and bytes
   * kept beyond those of the output; NULL: nothing. */
  void (*cost) (const struct recipe_step *s, struct network_unit *u);
  /* Compare what the kind may use with plain arithmetic, at n samples; wrong
   * choices of t give way to others.  NULL: plain arithmetic is all it has. */
  enum status (*prove) (struct kern *k, const struct recipe_step *s, int64_t n,
                        struct kern_tuning *t);
  /* The linear layer that a step of rows is; the table of t may say how its
   * product is computed.  NULL: none, or none that is worth a choice. */
  void (*product) (const struct recipe_step *s, int64_t n,
                   struct kern_linear_shape *out);
  /* The inner layout changes its time: by t's choices for its recipe_shape, or
   * (chooses false) by itself; then time measures it once.  NULL, false: of no
   * interest for the layout. */
  bool chooses;
  enum status (*time) (struct kern *k, const struct recipe_step *s, int64_t n,
                       enum kern_layout l, double *best_s);
  /* Making: `size` bytes, zeroed, begin with the struct layer, where kind,
   * keeps, saved_at and kept_at are set; make sets the rest.  NULL: a step of
   * this kind is no layer by itself. */
  size_t size;
  size_t saved; /* bytes in the slot at saved_at */
  bool keeps;   /* wants a struct layer_kept in the pair */
  bool bare;    /* no parameters: in front of all others, it wants no cotangent
                   where none is wanted of it */
  bool row;     /* layers in a row: each of them has rounded what it gives */
  enum status (*make) (struct layer_maker *m, const struct recipe_step *s,
                       struct layer *l);
  /* y from x; keeps what backward wants in w->slot (x and y stay valid). */
  enum status (*forward) (struct layer *l, struct work *w, const float *x,
                          float *y);
  /* y from x on running statistics; keeps nothing. */
  enum status (*eval) (struct layer *l, struct work *w, const float *x,
                       float *y);
  /* d_x from d_y; d_x NULL: not wanted.  With w->now the weight gradients
   * too. */
  enum status (*back) (struct layer *l, struct work *w, const float *d_y,
                       float *d_x);
  /* The same of a layer that ends in a sum with `side` and a ReLU, in the same
   * pass: y = max (forward + side, 0).  back_join: the gradient g at the sum is
   * left in g (d_y and what w->more adds, where y was above 0).  NULL, or the
   * layer's `joins` is false: it cannot. */
  enum status (*forward_join) (struct layer *l, struct work *w, const float *x,
                               const float *side, float *y);
  enum status (*eval_join) (struct layer *l, struct work *w, const float *x,
                            const float *side, float *y);
  enum status (*back_join) (struct layer *l, struct work *w, const float *d_y,
                            float *g, float *d_x);
  /* Add weight gradients from slot and pair; NULL: none here. */
  enum status (*weights) (struct layer *l, struct work *w);
  void (*destroy) (struct layer *l); /* what it owns; NULL: nothing */
};
#define ROW(word, kind) extern const struct layer_kind kind;
RECIPE_KINDS (ROW)
#undef ROW
/* The kind of a step. */
const struct layer_kind *
layer_kind (const struct recipe_step *s);

struct layer { /* first member of every layer's struct */
  const struct layer_kind *kind;
  size_t x_bytes, y_bytes;
  size_t scratch_bytes; /* most that any of its calls takes */
  size_t saved_at;      /* in the slot: its own struct */
  size_t kept_at;       /* in the pair: its own struct */
  bool keeps;
  bool wide;  /* its output stays f32 in bf16, too: logits */
  bool joins; /* see forward_join; not in bf16, which rounds each layer */
};

/* What a layer does, for whoever holds it: in bf16 y and d_x are rounded, which
 * no layer does itself. */
enum status
layer_forward (struct layer *l, struct work *w, const float *x, float *y);
enum status
layer_eval (struct layer *l, struct work *w, const float *x, float *y);
enum status
layer_back (struct layer *l, struct work *w, const float *d_y, float *d_x);
/* What the last layer of l gives is not rounded. */
void
layer_widen (struct layer *l);

/* What most layers leave in the slot, and in the pair: where it lies. */
struct layer_saved {
  const float *x, *y;
};
struct layer_kept {
  const float *d_y;
};
static inline struct layer_saved *
layer_saved (const struct layer *l, const struct work *w)
{
  return (struct layer_saved *)(w->slot + l->saved_at);
}
static inline struct layer_kept *
layer_kept (const struct layer *l, const struct work *w)
{
  return (struct layer_kept *)(w->pair + l->kept_at);
}
/* Numbers in so many bytes of a border tensor, padding included. */
static inline size_t
layer_numbers (size_t bytes)
{
  return bytes / tensor_bytes (NETWORK_BORDER, 1);
}

/* What layers are made from, and the offsets given out so far. */
struct layer_maker {
  struct kern *k;
  const struct kern_tuning *tuning;
  enum kern_layout inner;
  enum kern_layout outer; /* of what a BILINEAR reads */
  int64_t n;              /* samples per micro-batch */
  bool training;
  struct params *params;
  struct params *shared; /* where the embedding's table is; NULL: in params */
  size_t slot_bytes, pair_bytes, cache_bytes;
  int64_t length; /* positions of a sample; 1 of images */
};
/* Tokens of a micro-batch. */
int64_t
maker_rows (const struct layer_maker *m);
size_t
maker_slot (struct layer_maker *m, size_t bytes);
size_t
maker_pair (struct layer_maker *m, size_t bytes);
size_t
maker_cache (struct layer_maker *m, size_t bytes);
/* Step dims at the maker's batch, and bytes of such a tensor in the inner
 * layout (flat: plain, as behind global pooling). */
struct kern_dims
maker_dims (const struct layer_maker *m, struct kern_dims d);
size_t
maker_bytes (const struct layer_maker *m, struct kern_dims d, bool flat);

/* Bytes of a row of `width` numbers for every token of a micro-batch. */
size_t
maker_row_bytes (const struct layer_maker *m, int64_t width);
/* A step's dropout but for the moment, and at the moment of a call: none with
 * w->fixed. */
struct kern_drop
layer_drop_of (const struct recipe_step *s);
struct kern_drop
layer_drop_now (struct kern_drop d, const struct work *w);
/* Register NAME.PART, where NAME is the step's; see params_add. */
enum status
maker_param (struct params *p, const struct recipe_step *s, const char *part,
             struct param want, size_t floats, int *id);

/* Register NAME.PART.WHAT of the step's part i; NAME.WHAT where it has none. */
enum status
maker_part (struct params *p, const struct recipe_step *s, int i,
            const char *what, struct param want, int *id);
/* Add a step's work (work.c); flops: of its way forward. */
void
work_add (const struct recipe_step *s, double flops, struct network_work *w);
/* The same of the addition behind a residual block's paths. */
void
work_add_sum (const struct kern_dims *d, struct network_work *w);

/* Compare the products of a linear layer with plain arithmetic. */
enum status
layer_prove_product (struct kern *k, const struct kern_linear_shape *shape,
                     const struct kern_tuning *t);

/* The products of stage_tune, of a network of rows.  Collective on the team. */
struct stage_team;
enum status
tune_products (struct kern *k, const struct network *net, int64_t n_samples,
               const char *const *heads, const struct stage_team *team,
               struct kern_tuning *t);

/* Rows of a projection whose logits are there at a time. */
double
project_chunk (double rows, int64_t words);

/* Containers take the layers in child[] (also when they fail).  n >= 1. */
enum status
layer_sequence (struct layer_maker *m, struct layer **child, int n,
                struct layer **out);
/* skip NULL: the identity.  Neither path may end in a layer that keeps, or that
 * wants its own output again. */
enum status
layer_residual (struct layer_maker *m, struct layer *path, struct layer *skip,
                struct layer **out);
/* y = path (x) + skip (x), w->rows rows or images of it; skip NULL: the
 * identity.  Both may end in a layer that keeps. */
enum status
layer_branch (struct layer_maker *m, struct layer *path, struct layer *skip,
              struct layer **out);
/* Everything a recipe says, but for a PROJECT at the end; *out NULL: there is
 * nothing else. */
enum status
layer_build (struct layer_maker *m, const struct recipe *r, struct layer **out);
/* NULL is accepted; leaves NULL. */
void
layer_destroy (struct layer **l);

#endif
