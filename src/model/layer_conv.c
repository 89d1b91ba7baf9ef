/* model/layer_conv.c -- convolution, [B, C, H, W] to [B, C', H', W'].
 *
 * Keeps a pointer to its input in the slot and a pointer to the cotangent in
 * the pair; the weight gradient is a call of its own and may come late.
 */
#include "model/layer_impl.h"
#include "base/clock.h"
#include <math.h>

struct conv_layer {
  struct layer layer;
  struct kern_conv *conv;
  int weight, bias; /* ids: [C', C, k, k], [C']; bias -1: none */
  /* A BN follows, which takes away what a bias adds: the bias's gradient is
   * zero, and what rounding leaves of it goes to scratch, not to the optimiser.
   * 0: no such bias. */
  size_t idle_bias_bytes;
};

static void
conv_cost (const struct recipe_step *s, struct network_unit *u)
{
  const struct kern_conv_shape shape = recipe_shape (s, 1, KERN_LAST);
  u->params += s->in.c * s->out.c * s->kernel * s->kernel;
  u->params += s->bias ? s->out.c : 0;
  u->flops += kern_conv_flops (&shape);
}

/* In place of an algorithm that was proven wrong another one was made: the
 * table of choices gets that one. */
static enum status
conv_prove (struct kern *k, const struct recipe_step *step, int64_t n,
            struct kern_tuning *t)
{
  const struct kern_conv_shape s =
      recipe_shape (step, n, kern_tuning_layout (t));
  struct kern_conv *c = NULL;
  TRY (kern_conv_create (k, &s, t, &c));
  enum status status = OK;
  for (int i = KERN_FORWARD; i <= KERN_BACK_WEIGHTS && status == OK; i++) {
    const enum kern_direction d = (enum kern_direction)i;
    const enum kern_algo a = kern_conv_algo (c, d);
    if (a != kern_tuning_choice (t, &s, d))
      status = kern_tuning_put (k, t, &s, d, (struct kern_choice){(int)a, 0});
  }
  kern_conv_destroy (&c);
  return status;
}

static enum status
conv_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct conv_layer *c = (struct conv_layer *)l;
  const float *bias = c->bias >= 0 ? params_value (w->params, c->bias) : NULL;
  return kern_conv_forward (c->conv, x, params_factor (w->params, c->weight),
                            bias, y);
}

static enum status
conv_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  layer_saved (l, w)->x = x;
  return conv_eval (l, w, x, y);
}

static enum status
conv_weights (struct layer *l, struct work *w)
{
  struct conv_layer *c = (struct conv_layer *)l;
  char *mark = w->scratch;
  bool add;
  float *d_bias = NULL;
  if (c->idle_bias_bytes > 0)
    d_bias = work_take (w, c->idle_bias_bytes);
  else if (c->bias >= 0)
    d_bias = params_grad (w->params, c->bias, &add);
  float *d_weight = params_grad (w->params, c->weight, &add);
  enum status s = kern_conv_back_weights (c->conv, layer_saved (l, w)->x,
                                          layer_kept (l, w)->d_y, 1.0f, add,
                                          d_weight, d_bias);
  w->scratch = mark;
  return s;
}

/* Weights first, the gradient of the input last: it is then still in the cache
 * when the next layer reads it. */
static enum status
conv_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct conv_layer *c = (struct conv_layer *)l;
  if (w->pair)
    layer_kept (l, w)->d_y = d_y;
  if (w->now) {
    TRY (conv_weights (l, w));
    pulse ();
  }
  if (!d_x)
    return OK;
  return kern_conv_back_data (c->conv, d_y,
                              params_factor (w->params, c->weight), d_x);
}

/* The network's own have no bias and Kaiming's fan-out; those of heads are as
 * PyTorch makes a convolution. */
static enum status
add_params (struct layer_maker *m, const struct recipe_step *s,
            struct conv_layer *c)
{
  const double fan_in = (double)(s->in.c * s->kernel * s->kernel);
  const double fan_out = (double)(s->out.c * s->kernel * s->kernel);
  const struct param weight = {
      .info = {.n_dims = 4, .dims = {s->out.c, s->in.c, s->kernel, s->kernel}},
      .conv = c->conv,
      .factor = true,
      .init = s->bias ? PARAMS_UNIFORM : PARAMS_NORMAL,
      .spread = s->bias ? 1.0 / sqrt (fan_in) : sqrt (2.0 / fan_out)};
  const struct param bias = {.info = {.n_dims = 1, .dims = {s->out.c}},
                             .init = weight.init,
                             .spread = weight.spread};
  /* Its own length: the primitive's layout may pad. */
  const size_t floats =
      kern_conv_weight_bytes (c->conv) / tensor_bytes (NETWORK_PARAM, 1);
  TRY (maker_param (m->params, s, "weight", weight, floats, &c->weight));
  c->bias = -1;
  return s->bias ? maker_param (m->params, s, "bias", bias, 0, &c->bias) : OK;
}

static enum status
conv_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct conv_layer *c = (struct conv_layer *)l;
  const struct kern_conv_shape shape = recipe_shape (s, m->n, m->inner);
  TRY (kern_conv_create (m->k, &shape, m->tuning, &c->conv));
  TRY (add_params (m, s, c));
  if (s->bias && s->normalised) {
    c->idle_bias_bytes = tensor_bytes (NETWORK_PARAM, s->out.c);
    l->scratch_bytes = arena_round (c->idle_bias_bytes);
  }
  l->x_bytes = kern_bytes (m->k, maker_dims (m, s->in), shape.src);
  l->y_bytes = maker_bytes (m, s->out, false);
  return OK;
}

static void
conv_destroy (struct layer *l)
{
  kern_conv_destroy (&((struct conv_layer *)l)->conv);
}

const struct layer_kind layer_conv = {
    .name = "convolution",
    .cost = conv_cost,
    .prove = conv_prove,
    .chooses = true,
    .size = sizeof (struct conv_layer),
    .saved = sizeof (struct layer_saved),
    .keeps = true,
    .make = conv_make,
    .forward = conv_forward,
    .eval = conv_eval,
    .back = conv_back,
    .weights = conv_weights,
    .destroy = conv_destroy,
};
