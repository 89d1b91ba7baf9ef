/* model/layer_dense.c -- linear over rows, [B, T, D] to [B, T, D'].  The weight
 * gradient is a call of its own and may come late.
 */
#include "model/layer_impl.h"

struct dense_layer {
  struct layer layer;
  int64_t in, out;            /* D, D' */
  int weight, bias;           /* ids: [D', D], [D']; bias -1: none */
  struct kern_linear *linear; /* owned */
};

static void
dense_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->params += (s->in.c + s->bias) * s->out.c;
  u->flops += 2 * (double)s->in.h * (double)s->in.c * (double)s->out.c;
}

static enum status
dense_prove (struct kern *k, const struct recipe_step *s, int64_t n,
             struct kern_tuning *t)
{
  const struct kern_linear_shape shape = {n * s->in.h, s->in.c, s->out.c,
                                          s->bias, true};
  struct kern_linear *linear = NULL;
  (void)t;
  enum status status = kern_linear_create (k, &shape, &linear);
  kern_linear_destroy (&linear);
  return status;
}

static enum status
dense_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct dense_layer *d = (struct dense_layer *)l;
  const float *bias = d->bias >= 0 ? params_value (w->params, d->bias) : NULL;
  return kern_linear_run (d->linear, w->rows, x,
                          params_value (w->params, d->weight), bias, y);
}

static enum status
dense_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  layer_saved (l, w)->x = x;
  return dense_eval (l, w, x, y);
}

static enum status
dense_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct dense_layer *d = (struct dense_layer *)l;
  if (w->pair)
    layer_kept (l, w)->d_y = d_y;
  if (!d_x)
    return OK;
  return kern_linear_back_data (w->k, w->rows, d->in, d->out, d_y,
                                params_value (w->params, d->weight), d_x);
}

static enum status
dense_weights (struct layer *l, struct work *w)
{
  struct dense_layer *d = (struct dense_layer *)l;
  bool add;
  float *d_bias = d->bias >= 0 ? params_grad (w->params, d->bias, &add) : NULL;
  float *d_weight = params_grad (w->params, d->weight, &add);
  return kern_linear_run_weights (d->linear, w->rows, layer_saved (l, w)->x,
                                  layer_kept (l, w)->d_y, add, d_weight,
                                  d_bias);
}

static enum status
dense_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct dense_layer *d = (struct dense_layer *)l;
  const struct kern_linear_shape shape = {maker_rows (m), s->in.c, s->out.c,
                                          s->bias, m->training};
  d->in = s->in.c;
  d->out = s->out.c;
  struct param weight = params_matrix (d->out, d->in);
  if (s->smaller > 0)
    weight.spread /= s->smaller;
  TRY (maker_param (m->params, s, "weight", weight, 0, &d->weight));
  d->bias = -1;
  if (s->bias)
    TRY (maker_param (m->params, s, "bias", params_vector (d->out, PARAMS_ZERO),
                      0, &d->bias));
  l->x_bytes = maker_row_bytes (m, d->in);
  l->y_bytes = maker_row_bytes (m, d->out);
  return kern_linear_create (m->k, &shape, &d->linear);
}

static void
dense_destroy (struct layer *l)
{
  kern_linear_destroy (&((struct dense_layer *)l)->linear);
}

const struct layer_kind layer_dense = {
    .name = "linear",
    .cost = dense_cost,
    .prove = dense_prove,
    .size = sizeof (struct dense_layer),
    .saved = sizeof (struct layer_saved),
    .keeps = true,
    .make = dense_make,
    .forward = dense_forward,
    .eval = dense_eval,
    .back = dense_back,
    .weights = dense_weights,
    .destroy = dense_destroy,
};
