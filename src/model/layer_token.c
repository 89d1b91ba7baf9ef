/* model/layer_token.c -- layers over rows of tokens: embedding, LayerNorm,
 * linear, GELU, ReLU, dropout.
 *
 * A call works on w->rows rows.  LayerNorm's parameter gradients are added in
 * the data pass when it learns, while its rows are in the cache; those of
 * matrices are a call of their own and may come late.
 */
#include "model/layer_impl.h"
#include "base/hash.h"
#include <stdio.h>
#include <string.h>

/* One struct for the small kinds: what is not used stays 0. */
struct token_layer {
  struct layer layer;
  int64_t in, out;           /* width of a row */
  int64_t length;            /* positions of a sample */
  int id[2];                 /* weight, bias; of EMBED: table, positions */
  struct params *table;      /* EMBED: where id[0] is; NULL: with the others */
  struct kern_drop drop;     /* but for the moment */
  struct kern_linear *dense; /* owned; NULL of other kinds */
};

struct token_saved {
  const float *x, *y;
};
struct token_kept {
  const float *d_y;
};

static struct token_saved *
saved_of (const struct layer *l, const struct work *w)
{
  return (struct token_saved *)(w->slot + l->saved_at);
}

static struct token_kept *
kept_of (const struct layer *l, const struct work *w)
{
  return (struct token_kept *)(w->pair + l->kept_at);
}

/* Rows in whole vectors of the layer's width. */
static size_t
floats (const struct token_layer *t, const struct work *w)
{
  return (size_t)(w->rows * t->out);
}

/* -- embedding ------------------------------------------------------------- */

static enum status
embed_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct token_layer *t = (struct token_layer *)l;
  const struct params *table = t->table ? t->table : w->params;
  kern_embed (w->k, w->rows, t->out, t->length, w->cache ? w->first : 0,
              (const int32_t *)(const void *)x, params_value (table, t->id[0]),
              params_value (w->params, t->id[1]), y);
  return OK;
}

static enum status
embed_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  saved_of (l, w)->x = x;
  return embed_eval (l, w, x, y);
}

static enum status
embed_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  CHECK (!d_x, "no gradient flows to tokens");
  if (w->pair)
    kept_of (l, w)->d_y = d_y;
  return OK;
}

/* Where a gradient is added to, zero at the first of the batch. */
static float *
grad_of (struct work *w, struct params *p, int id)
{
  bool add;
  float *g = params_grad (p, id, &add);
  if (!add)
    kern_zero (w->k, p->list[id].n, g);
  return g;
}

static enum status
embed_weights (struct layer *l, struct work *w)
{
  struct token_layer *t = (struct token_layer *)l;
  float *table = grad_of (w, t->table ? t->table : w->params, t->id[0]);
  float *place = grad_of (w, w->params, t->id[1]);
  kern_embed_back (w->k, w->rows, t->out, t->length,
                   (const int32_t *)(const void *)saved_of (l, w)->x,
                   kept_of (l, w)->d_y, table, place);
  return OK;
}

/* -- LayerNorm ------------------------------------------------------------- */

/* Behind the saved struct: mean, then rstd, of all rows. */
static float *
norm_stats (const struct layer *l, const struct work *w)
{
  return (float *)(w->slot + l->saved_at +
                   arena_round (sizeof (struct token_saved)));
}

static enum status
norm_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct token_layer *t = (struct token_layer *)l;
  kern_norm_forward (w->k, w->rows, t->out, x,
                     params_value (w->params, t->id[0]),
                     params_value (w->params, t->id[1]), y, NULL, NULL);
  return OK;
}

static enum status
norm_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct token_layer *t = (struct token_layer *)l;
  float *mean = norm_stats (l, w);
  saved_of (l, w)->x = x;
  kern_norm_forward (
      w->k, w->rows, t->out, x, params_value (w->params, t->id[0]),
      params_value (w->params, t->id[1]), y, mean, mean + w->rows);
  return OK;
}

static enum status
norm_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct token_layer *t = (struct token_layer *)l;
  const float *x = saved_of (l, w)->x, *mean = norm_stats (l, w);
  if (w->pair) {
    bool add;
    float *d_shift = params_grad (w->params, t->id[1], &add);
    float *d_scale = params_grad (w->params, t->id[0], &add);
    kern_norm_back_weights (w->k, w->rows, t->out, x, d_y, mean, mean + w->rows,
                            add, d_scale, d_shift);
  }
  if (d_x)
    kern_norm_back (w->k, w->rows, t->out, x, d_y,
                    params_value (w->params, t->id[0]), mean, mean + w->rows,
                    d_x);
  return OK;
}

/* -- linear ---------------------------------------------------------------- */

static enum status
dense_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct token_layer *t = (struct token_layer *)l;
  return kern_linear_run (t->dense, w->rows, x,
                          params_value (w->params, t->id[0]),
                          params_value (w->params, t->id[1]), y);
}

static enum status
dense_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  saved_of (l, w)->x = x;
  return dense_eval (l, w, x, y);
}

static enum status
dense_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct token_layer *t = (struct token_layer *)l;
  if (w->pair)
    kept_of (l, w)->d_y = d_y;
  if (!d_x)
    return OK;
  return kern_linear_back_data (w->k, w->rows, t->in, t->out, d_y,
                                params_value (w->params, t->id[0]), d_x);
}

static enum status
dense_weights (struct layer *l, struct work *w)
{
  struct token_layer *t = (struct token_layer *)l;
  bool add;
  float *d_bias = params_grad (w->params, t->id[1], &add);
  float *d_weight = params_grad (w->params, t->id[0], &add);
  return kern_linear_run_weights (t->dense, w->rows, saved_of (l, w)->x,
                                  kept_of (l, w)->d_y, add, d_weight, d_bias);
}

static void
dense_destroy (struct layer *l)
{
  kern_linear_destroy (&((struct token_layer *)l)->dense);
}

/* -- GELU, ReLU, dropout --------------------------------------------------- */

static enum status
gelu_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  kern_gelu (w->k, floats ((struct token_layer *)l, w), x, y);
  return OK;
}

static enum status
gelu_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  saved_of (l, w)->x = x;
  return gelu_eval (l, w, x, y);
}

static enum status
gelu_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (d_x)
    kern_gelu_back (w->k, floats ((struct token_layer *)l, w),
                    saved_of (l, w)->x, d_y, d_x);
  return OK;
}

static enum status
rectify_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  kern_relu (w->k, floats ((struct token_layer *)l, w), x, y);
  return OK;
}

static enum status
rectify_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  saved_of (l, w)->y = y;
  return rectify_eval (l, w, x, y);
}

static enum status
rectify_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (d_x)
    kern_relu_back (w->k, floats ((struct token_layer *)l, w), d_y,
                    saved_of (l, w)->y, d_x);
  return OK;
}

static enum status
drop_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  memcpy (y, x, floats ((struct token_layer *)l, w) * sizeof *y);
  return OK;
}

static void
drop (struct layer *l, struct work *w, const float *x, float *y)
{
  struct token_layer *t = (struct token_layer *)l;
  struct kern_drop d = t->drop;
  d.seed = w->at->seed;
  d.step = w->at->step;
  d.first_sample = w->at->first_sample;
  kern_dropout (w->k, &d, w->rows / t->length, t->length * t->out, x, y);
}

static enum status
drop_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  drop (l, w, x, y);
  return OK;
}

static enum status
drop_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (d_x)
    drop (l, w, d_y, d_x);
  return OK;
}

/* -- making ---------------------------------------------------------------- */

static const struct layer_kind kinds[] = {
    [RECIPE_EMBED] = {"embedding", embed_forward, embed_eval, embed_back,
                      embed_weights, NULL},
    [RECIPE_NORM] = {"LayerNorm", norm_forward, norm_eval, norm_back, NULL,
                     NULL},
    [RECIPE_DENSE] = {"linear", dense_forward, dense_eval, dense_back,
                      dense_weights, dense_destroy},
    [RECIPE_GELU] = {"GELU", gelu_forward, gelu_eval, gelu_back, NULL, NULL},
    [RECIPE_RECTIFY] = {"ReLU", rectify_forward, rectify_eval, rectify_back,
                        NULL, NULL},
    [RECIPE_DROPOUT] = {"dropout", drop_forward, drop_eval, drop_back, NULL,
                        NULL},
};

static enum status
add_param (struct params *p, const char *name, const char *part,
           enum params_init_kind init, int64_t rows, int64_t columns, int *id)
{
  struct param want = {
      .info = {.n_dims = columns ? 2 : 1, .dims = {rows, columns}},
      .init = init,
      .spread = PARAMS_TOKEN_SPREAD};
  snprintf (want.info.name, sizeof want.info.name, "%s.%s", name, part);
  return params_add (p, &want, 0, id);
}

static enum status
add_params (struct layer_maker *m, const struct recipe_step *s,
            struct token_layer *t)
{
  switch (s->kind) {
  case RECIPE_EMBED:
    t->table = m->shared;
    TRY (add_param (t->table ? t->table : m->params, s->name, "wte.weight",
                    PARAMS_NORMAL, s->words, t->out, &t->id[0]));
    return add_param (m->params, s->name, "wpe.weight", PARAMS_NORMAL,
                      t->length, t->out, &t->id[1]);
  case RECIPE_NORM:
    TRY (add_param (m->params, s->name, "weight", PARAMS_ONE, t->out, 0,
                    &t->id[0]));
    return add_param (m->params, s->name, "bias", PARAMS_ZERO, t->out, 0,
                      &t->id[1]);
  case RECIPE_DENSE:
    TRY (add_param (m->params, s->name, "weight", PARAMS_NORMAL, t->out, t->in,
                    &t->id[0]));
    return add_param (m->params, s->name, "bias", PARAMS_ZERO, t->out, 0,
                      &t->id[1]);
  default:
    return OK;
  }
}

enum status
layer_token (struct layer_maker *m, const struct recipe_step *s,
             struct layer **out)
{
  struct token_layer *t = NULL;
  const bool has_matrix = s->kind == RECIPE_EMBED || s->kind == RECIPE_DENSE;
  const size_t rows = (size_t)maker_rows (m);
  TRY (MEM_NEW (1, &t, "layer"));
  t->layer.kind = &kinds[s->kind];
  *out = &t->layer;
  t->in = s->in.c;
  t->out = s->out.c;
  t->length = s->in.h;
  t->drop =
      (struct kern_drop){.p = (float)s->drop, .site = hash_text (s->name, 0)};
  enum status status = add_params (m, s, t);
  if (status == OK && s->kind == RECIPE_DENSE)
    status = kern_linear_create (m->k,
                                 &(struct kern_linear_shape){(int64_t)rows,
                                                             t->in, t->out,
                                                             true, m->training},
                                 &t->dense);
  if (status != OK) {
    layer_destroy (out);
    return status;
  }
  size_t stats = s->kind == RECIPE_NORM ? 2 * rows * sizeof (float) : 0;
  t->layer.saved_at =
      maker_slot (m, arena_round (sizeof (struct token_saved)) + stats);
  t->layer.keeps = has_matrix;
  if (has_matrix)
    t->layer.kept_at = maker_pair (m, sizeof (struct token_kept));
  t->layer.x_bytes = rows * (size_t)t->in * sizeof (float);
  t->layer.y_bytes = rows * (size_t)t->out * sizeof (float);
  return OK;
}
