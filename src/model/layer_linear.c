/* model/layer_linear.c -- linear, [B, C] to [B, C'], with a bias: behind global
 * pooling.  The one over rows of tokens is layer_dense.c.
 */
#include "model/layer_impl.h"
#include <math.h>

struct linear_layer {
  struct layer layer;
  int64_t n;                  /* B */
  int weight, bias;           /* ids: [C', C], [C'] */
  size_t idle_bias_bytes;     /* as of a convolution that a BN follows */
  struct kern_linear *linear; /* owned */
};

static void
linear_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->params += (s->in.c + 1) * s->out.c;
  u->flops += 2.0 * (double)(s->in.c * s->in.h * s->in.w) * (double)s->out.c;
}

static struct kern_linear_shape
shape_of (const struct recipe_step *s, int64_t n)
{
  return (struct kern_linear_shape){
      .n = n, .in = s->in.c, .out = s->out.c, .bias = true, .learns = true};
}

static enum status
linear_prove (struct kern *k, const struct recipe_step *s, int64_t n,
              struct kern_tuning *t)
{
  const struct kern_linear_shape shape = shape_of (s, n);
  return layer_prove_product (k, &shape, t);
}

static enum status
linear_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct linear_layer *f = (struct linear_layer *)l;
  return kern_linear_run (f->linear, f->n, x,
                          params_factor (w->params, f->weight),
                          params_value (w->params, f->bias), y);
}

static enum status
linear_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  layer_saved (l, w)->x = x;
  return linear_eval (l, w, x, y);
}

static enum status
linear_weights (struct layer *l, struct work *w)
{
  struct linear_layer *f = (struct linear_layer *)l;
  char *mark = w->scratch;
  bool add;
  float *d_bias = f->idle_bias_bytes > 0
                      ? work_take (w, f->idle_bias_bytes)
                      : params_grad (w->params, f->bias, &add);
  float *d_weight = params_grad (w->params, f->weight, &add);
  enum status s =
      kern_linear_run_weights (f->linear, f->n, layer_saved (l, w)->x,
                               layer_kept (l, w)->d_y, add, d_weight, d_bias);
  w->scratch = mark;
  return s;
}

static enum status
linear_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct linear_layer *f = (struct linear_layer *)l;
  if (w->pair)
    layer_kept (l, w)->d_y = d_y;
  if (w->now)
    TRY (linear_weights (l, w));
  if (!d_x)
    return OK;
  return kern_linear_run_data (f->linear, f->n, d_y,
                               params_factor (w->params, f->weight), d_x);
}

static enum status
linear_make (struct layer_maker *m, const struct recipe_step *s,
             struct layer *l)
{
  struct linear_layer *f = (struct linear_layer *)l;
  /* PyTorch's first values of a linear layer, the same for both. */
  struct param weight = {.info = {.n_dims = 2, .dims = {s->out.c, s->in.c}},
                         .init = PARAMS_UNIFORM,
                         .spread = 1.0 / sqrt ((double)s->in.c)};
  struct param bias = weight;
  weight.factor = true;
  bias.info.n_dims = 1;
  bias.info.dims[1] = 0;
  CHECK (s->bias, "linear layers have a bias");
  TRY (maker_param (m->params, s, "weight", weight, 0, &f->weight));
  TRY (maker_param (m->params, s, "bias", bias, 0, &f->bias));
  if (s->normalised) {
    f->idle_bias_bytes = tensor_bytes (NETWORK_PARAM, s->out.c);
    l->scratch_bytes = arena_round (f->idle_bias_bytes);
  }
  f->n = m->n;
  l->x_bytes = maker_bytes (m, s->in, true);
  l->y_bytes = maker_bytes (m, s->out, true);
  const struct kern_linear_shape shape = shape_of (s, m->n);
  return kern_linear_create (m->k, &shape, m->tuning, &f->linear);
}

static void
linear_destroy (struct layer *l)
{
  kern_linear_destroy (&((struct linear_layer *)l)->linear);
}

const struct layer_kind layer_linear = {
    .name = "linear layer",
    .cost = linear_cost,
    .prove = linear_prove,
    .size = sizeof (struct linear_layer),
    .saved = sizeof (struct layer_saved),
    .keeps = true,
    .make = linear_make,
    .forward = linear_forward,
    .eval = linear_eval,
    .back = linear_back,
    .weights = linear_weights,
    .destroy = linear_destroy,
};
