/* model/layer_norm.c -- LayerNorm of rows, [B, T, D].
 *
 * The gradients of scale and shift are added in the data pass when it learns,
 * while its rows are in the cache.
 */
#include "model/layer_impl.h"

struct norm_layer {
  struct layer layer;
  int64_t width;    /* D */
  int scale, shift; /* ids: [D], [D] */
  size_t stats_at;  /* in the slot: mean, then 1 / deviation, of all rows */
};

static void
norm_cost (const struct recipe_step *s, struct network_unit *u)
{
  const double rows = (double)s->in.h, d = (double)s->out.c;
  u->params += 2 * s->out.c;
  u->flops += 8 * rows * d;
  u->act_bytes += 2 * rows * (double)tensor_bytes (NETWORK_BORDER, 1);
}

static float *
stats_of (const struct layer *l, const struct work *w)
{
  return (float *)(w->slot + ((const struct norm_layer *)l)->stats_at);
}

static enum status
norm_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct norm_layer *n = (struct norm_layer *)l;
  kern_norm_forward (w->k, w->rows, n->width, x,
                     params_value (w->params, n->scale),
                     params_value (w->params, n->shift), y, NULL, NULL);
  return OK;
}

static enum status
norm_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct norm_layer *n = (struct norm_layer *)l;
  float *mean = stats_of (l, w);
  layer_saved (l, w)->x = x;
  kern_norm_forward (
      w->k, w->rows, n->width, x, params_value (w->params, n->scale),
      params_value (w->params, n->shift), y, mean, mean + w->rows);
  return OK;
}

static enum status
norm_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct norm_layer *n = (struct norm_layer *)l;
  const float *x = layer_saved (l, w)->x, *mean = stats_of (l, w);
  if (w->pair) {
    bool add;
    float *d_shift = params_grad (w->params, n->shift, &add);
    float *d_scale = params_grad (w->params, n->scale, &add);
    kern_norm_back_weights (w->k, w->rows, n->width, x, d_y, mean,
                            mean + w->rows, add, d_scale, d_shift);
  }
  if (d_x)
    kern_norm_back (w->k, w->rows, n->width, x, d_y,
                    params_value (w->params, n->scale), mean, mean + w->rows,
                    d_x);
  return OK;
}

static enum status
norm_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct norm_layer *n = (struct norm_layer *)l;
  n->width = s->out.c;
  TRY (maker_param (m->params, s, "weight",
                    params_vector (n->width, PARAMS_ONE), 0, &n->scale));
  TRY (maker_param (m->params, s, "bias", params_vector (n->width, PARAMS_ZERO),
                    0, &n->shift));
  n->stats_at = maker_slot (m, maker_row_bytes (m, 2));
  l->x_bytes = l->y_bytes = maker_row_bytes (m, n->width);
  return OK;
}

const struct layer_kind layer_norm = {
    .name = "LayerNorm",
    .cost = norm_cost,
    .size = sizeof (struct norm_layer),
    .saved = sizeof (struct layer_saved),
    .make = norm_make,
    .forward = norm_forward,
    .eval = norm_eval,
    .back = norm_back,
};
