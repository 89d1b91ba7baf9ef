/* model/layer_dense.c -- linear over rows, [B, T, D] to [B, T, D'], with a bias
 * or without.  The matrix may be several tensors, one below the other.  The
 * weight gradient is a call of its own and may come late.
 */
#include "model/layer_impl.h"

struct dense_layer {
  struct layer layer;
  int64_t in, out;          /* D, D' */
  int parts;                /* tensors of the matrix, joined */
  int weight[RECIPE_PARTS]; /* ids: [D', D] */
  int bias[RECIPE_PARTS];   /* [D'] */
  bool biased;
  struct kern_linear *linear; /* owned */
};

static void
dense_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->params += (s->in.c + s->bias) * s->out.c;
  u->flops += 2 * (double)s->in.h * (double)s->in.c * (double)s->out.c;
}

static void
dense_product (const struct recipe_step *s, int64_t n,
               struct kern_linear_shape *out)
{
  *out = (struct kern_linear_shape){.n = n * s->in.h,
                                    .in = s->in.c,
                                    .out = s->out.c,
                                    .bias = s->bias,
                                    .learns = true,
                                    .primitives = true};
}

static enum status
dense_prove (struct kern *k, const struct recipe_step *s, int64_t n,
             struct kern_tuning *t)
{
  struct kern_linear_shape shape;
  dense_product (s, n, &shape);
  return layer_prove_product (k, &shape, t);
}

static const float *
bias_of (const struct dense_layer *d, const struct work *w)
{
  return d->biased ? params_value (w->params, d->bias[0]) : NULL;
}

static enum status
dense_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct dense_layer *d = (struct dense_layer *)l;
  return kern_linear_run (d->linear, w->rows, x,
                          params_factor (w->params, d->weight[0]),
                          bias_of (d, w), y);
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
  return kern_linear_run_data (d->linear, w->rows, d_y,
                               params_factor (w->params, d->weight[0]), d_x);
}

/* Where the gradient of joined tensors begins. */
static float *
grad_of (struct work *w, const int *id, int n, bool *add)
{
  float *first = params_grad (w->params, id[0], add);
  for (int i = 1; i < n; i++)
    params_grad (w->params, id[i], add);
  return first;
}

static enum status
dense_weights (struct layer *l, struct work *w)
{
  struct dense_layer *d = (struct dense_layer *)l;
  bool add;
  float *d_bias = d->biased ? grad_of (w, d->bias, d->parts, &add) : NULL;
  float *d_weight = grad_of (w, d->weight, d->parts, &add);
  return kern_linear_run_weights (d->linear, w->rows, layer_saved (l, w)->x,
                                  layer_kept (l, w)->d_y, add, d_weight,
                                  d_bias);
}

/* All weights, then all biases: each kind one behind the other. */
static enum status
dense_params (struct layer_maker *m, const struct recipe_step *s,
              struct dense_layer *d)
{
  d->parts = s->n_parts > 0 ? s->n_parts : 1;
  for (int i = 0; i < d->parts; i++) {
    const int64_t out = s->n_parts > 0 ? s->part[i].out_c : d->out;
    struct param weight = params_matrix (out, d->in);
    weight.joined = i > 0;
    weight.factor = true;
    weight.linear = i == 0 ? d->linear : NULL;
    if (s->smaller > 0)
      weight.spread /= s->smaller;
    TRY (maker_part (m->params, s, i, "weight", weight, &d->weight[i]));
  }
  for (int i = 0; i < d->parts && d->biased; i++) {
    const int64_t out = s->n_parts > 0 ? s->part[i].out_c : d->out;
    struct param bias = params_vector (out, PARAMS_ZERO);
    bias.joined = i > 0;
    TRY (maker_part (m->params, s, i, "bias", bias, &d->bias[i]));
  }
  return OK;
}

static enum status
dense_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct dense_layer *d = (struct dense_layer *)l;
  struct kern_linear_shape shape;
  dense_product (s, m->n, &shape);
  shape.learns = m->training;
  d->in = s->in.c;
  d->out = s->out.c;
  d->biased = s->bias;
  TRY (kern_linear_create (m->k, &shape, m->tuning, &d->linear));
  l->x_bytes = maker_row_bytes (m, d->in);
  l->y_bytes = maker_row_bytes (m, d->out);
  return dense_params (m, s, d);
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
    .product = dense_product,
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
