/* model/layer_norm.c -- LayerNorm and RMSNorm of rows, [B, T, D].
 *
 * The gradients of scale and shift are added in the data pass when it learns,
 * while its rows are in the cache.
 */
#include "model/layer_impl.h"

struct norm_layer {
  struct layer layer;
  int64_t width;    /* D */
  int scale, shift; /* ids: [D], [D]; shift: not of RMSNorm */
  size_t stats_at;  /* in the slot, of all rows: mean (not of RMSNorm), then 1 /
                       deviation */
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

/* -- RMSNorm -----------------------------------------------------------------
 */

static void
rms_cost (const struct recipe_step *s, struct network_unit *u)
{
  const double rows = (double)s->in.h, d = (double)s->out.c;
  u->params += s->out.c;
  u->flops += 4 * rows * d;
  u->act_bytes += rows * (double)tensor_bytes (NETWORK_BORDER, 1);
}

static struct kern_rms
rows_of (const struct layer *l, const struct work *w)
{
  const int64_t d = ((const struct norm_layer *)l)->width;
  return (struct kern_rms){w->rows, 1, d, d};
}

static enum status
rms_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct norm_layer *n = (struct norm_layer *)l;
  const struct kern_rms rows = rows_of (l, w);
  kern_rms_forward (w->k, &rows, x, params_value (w->params, n->scale), y,
                    NULL);
  return OK;
}

static enum status
rms_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct norm_layer *n = (struct norm_layer *)l;
  const struct kern_rms rows = rows_of (l, w);
  layer_saved (l, w)->x = x;
  kern_rms_forward (w->k, &rows, x, params_value (w->params, n->scale), y,
                    stats_of (l, w));
  return OK;
}

static enum status
rms_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct norm_layer *n = (struct norm_layer *)l;
  const struct kern_rms rows = rows_of (l, w);
  const float *x = layer_saved (l, w)->x, *rstd = stats_of (l, w);
  if (w->pair) {
    bool add;
    float *d_scale = params_grad (w->params, n->scale, &add);
    kern_rms_back_weights (w->k, &rows, x, d_y, rstd, add, d_scale);
  }
  if (d_x)
    kern_rms_back (w->k, &rows, x, d_y, params_value (w->params, n->scale),
                   rstd, d_x);
  return OK;
}

static enum status
rms_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct norm_layer *n = (struct norm_layer *)l;
  n->width = s->out.c;
  TRY (maker_param (m->params, s, "weight",
                    params_vector (n->width, PARAMS_ONE), 0, &n->scale));
  n->stats_at = maker_slot (m, maker_row_bytes (m, 1));
  l->x_bytes = l->y_bytes = maker_row_bytes (m, n->width);
  return OK;
}

const struct layer_kind layer_rms = {
    .name = "RMSNorm",
    .cost = rms_cost,
    .size = sizeof (struct norm_layer),
    .saved = sizeof (struct layer_saved),
    .make = rms_make,
    .forward = rms_forward,
    .eval = rms_eval,
    .back = rms_back,
};
