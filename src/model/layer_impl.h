/* model/layer_impl.h -- layers: a small table of functions over flat memory.
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
  /* of Transformers */
  int64_t rows;          /* tokens in this call */
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

struct layer;
struct layer_kind {
  const char *name;
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
  /* Add weight gradients from slot and pair; NULL: none here. */
  enum status (*weights) (struct layer *l, struct work *w);
  void (*destroy) (struct layer *l);
};

struct layer { /* first member of every layer's struct */
  const struct layer_kind *kind;
  size_t x_bytes, y_bytes;
  size_t scratch_bytes; /* most that any of its calls takes */
  size_t saved_at;      /* in the slot: its own struct */
  size_t kept_at;       /* in the pair: its own struct */
  bool keeps;
};

/* What layers are made from, and the offsets given out so far. */
struct layer_maker {
  struct kern *k;
  const struct kern_tuning *tuning;
  enum kern_layout inner;
  int64_t n; /* samples per micro-batch */
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

/* One constructor per kind; the step is not needed afterwards. */
enum status
layer_conv (struct layer_maker *m, const struct recipe_step *s,
            struct layer **out);
enum status
layer_bn (struct layer_maker *m, const struct recipe_step *s,
          struct layer **out);
enum status
layer_relu (struct layer_maker *m, const struct recipe_step *s,
            struct layer **out);
enum status
layer_pool (struct layer_maker *m, const struct recipe_step *s,
            struct layer **out);
enum status
layer_linear (struct layer_maker *m, const struct recipe_step *s,
              struct layer **out);
/* Of Transformers: embedding, LayerNorm, linear, attention, GELU, ReLU,
 * dropout; they work on w->rows rows, at most those of the micro-batch. */
enum status
layer_token (struct layer_maker *m, const struct recipe_step *s,
             struct layer **out);
enum status
layer_attention (struct layer_maker *m, const struct recipe_step *s,
                 struct layer **out);
/* Containers take the layers in child[] (also when they fail).  n >= 1. */
enum status
layer_sequence (struct layer_maker *m, struct layer **child, int n,
                struct layer **out);
/* skip NULL: the identity.  Neither path may end in a layer that keeps, or that
 * wants its own output again. */
enum status
layer_residual (struct layer_maker *m, struct layer *path, struct layer *skip,
                struct layer **out);
/* y = x + path (x), of rows; w->rows of them. */
enum status
layer_branch (struct layer_maker *m, struct layer *path, struct layer **out);
/* Everything a recipe says, but for a PROJECT at the end; *out NULL: there is
 * nothing else. */
enum status
layer_build (struct layer_maker *m, const struct recipe *r, struct layer **out);
/* NULL is accepted; leaves NULL. */
void
layer_destroy (struct layer **l);

#endif
