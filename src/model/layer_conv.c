/* model/layer_conv.c -- layers with weights: convolution and linear.
 *
 * Both keep a pointer to their input in the slot and a pointer to the cotangent
 * in the pair; the weight gradient is a call of its own and may come late.
 */
#include "model/layer_impl.h"
#include "base/clock.h"
#include <math.h>
#include <stdio.h>

struct saved_input {
  const float *x;
};
struct kept_cotangent {
  const float *d_y;
};

static struct saved_input *
saved_of (const struct layer *l, const struct work *w)
{
  return (struct saved_input *)(w->slot + l->saved_at);
}

static struct kept_cotangent *
kept_of (const struct layer *l, const struct work *w)
{
  return (struct kept_cotangent *)(w->pair + l->kept_at);
}

/* Register NAME.weight and, with bias, NAME.bias. */
static enum status
add_weights (struct layer_maker *m, const struct recipe_step *s,
             const struct param *weight, size_t floats, int id[2])
{
  struct param w = *weight;
  snprintf (w.info.name, sizeof w.info.name, "%s.weight", s->name);
  TRY (params_add (m->params, &w, floats, &id[0]));
  id[1] = -1;
  if (!s->bias)
    return OK;
  struct param b = {.info = {.n_dims = 1, .dims = {s->out.c}},
                    .init = weight->init,
                    .spread = weight->spread};
  snprintf (b.info.name, sizeof b.info.name, "%s.bias", s->name);
  return params_add (m->params, &b, 0, &id[1]);
}

/* -- convolution ----------------------------------------------------------- */

struct conv_layer {
  struct layer layer;
  struct kern_conv *conv;
  int id[2]; /* weight; bias or -1 */
  /* A BN follows, which takes away what a bias adds: the bias's gradient is
   * zero, and what rounding leaves of it goes to scratch, not to the optimiser.
   * 0: no such bias. */
  size_t idle_bias_bytes;
};

static enum status
conv_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct conv_layer *c = (struct conv_layer *)l;
  const float *bias = c->id[1] >= 0 ? params_value (w->params, c->id[1]) : NULL;
  return kern_conv_forward (c->conv, x, params_value (w->params, c->id[0]),
                            bias, y);
}

static enum status
conv_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  saved_of (l, w)->x = x;
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
  else if (c->id[1] >= 0)
    d_bias = params_grad (w->params, c->id[1], &add);
  float *d_weight = params_grad (w->params, c->id[0], &add);
  enum status s =
      kern_conv_back_weights (c->conv, saved_of (l, w)->x, kept_of (l, w)->d_y,
                              1.0f, add, d_weight, d_bias);
  w->scratch = mark;
  return s;
}

/* Weights first: what is written last is what the next layer reads. */
static enum status
conv_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct conv_layer *c = (struct conv_layer *)l;
  if (w->pair)
    kept_of (l, w)->d_y = d_y;
  if (w->now) {
    TRY (conv_weights (l, w));
    pulse ();
  }
  if (!d_x)
    return OK;
  return kern_conv_back_data (c->conv, d_y, params_value (w->params, c->id[0]),
                              d_x);
}

static void
conv_destroy (struct layer *l)
{
  kern_conv_destroy (&((struct conv_layer *)l)->conv);
}

static const struct layer_kind conv_kind = {"convolution", conv_forward,
                                            conv_eval,     conv_back,
                                            conv_weights,  conv_destroy};

enum status
layer_conv (struct layer_maker *m, const struct recipe_step *step,
            struct layer **out)
{
  struct conv_layer *c = NULL;
  enum status s;
  struct kern_conv_shape shape = recipe_shape (step, m->n, m->inner);
  TRY (MEM_NEW (1, &c, "convolution"));
  c->layer.kind = &conv_kind;
  TRY_GOTO (kern_conv_create (m->k, &shape, m->tuning, &c->conv), bad);
  /* The network's own have no bias and Kaiming's fan-out; those of heads are as
   * PyTorch makes a convolution. */
  const double fan_in = (double)(step->in.c * step->kernel * step->kernel);
  const double fan_out = (double)(step->out.c * step->kernel * step->kernel);
  struct param weight = {
      .info = {.n_dims = 4,
               .dims = {step->out.c, step->in.c, step->kernel, step->kernel}},
      .conv = c->conv,
      .init = step->bias ? PARAMS_UNIFORM : PARAMS_NORMAL,
      .spread = step->bias ? 1.0 / sqrt (fan_in) : sqrt (2.0 / fan_out)};
  TRY_GOTO (add_weights (m, step, &weight,
                         kern_conv_weight_bytes (c->conv) / sizeof (float),
                         c->id),
            bad);
  if (step->bias && step->normalised) {
    c->idle_bias_bytes = (size_t)step->out.c * sizeof (float);
    c->layer.scratch_bytes = arena_round (c->idle_bias_bytes);
  }
  c->layer.keeps = true;
  c->layer.saved_at = maker_slot (m, sizeof (struct saved_input));
  c->layer.kept_at = maker_pair (m, sizeof (struct kept_cotangent));
  c->layer.x_bytes = kern_bytes (m->k, maker_dims (m, step->in), shape.src);
  c->layer.y_bytes = maker_bytes (m, step->out, false);
  *out = &c->layer;
  return OK;
bad:
  *out = &c->layer;
  layer_destroy (out);
  return s;
}

/* -- linear ---------------------------------------------------------------- */

struct linear_layer {
  struct layer layer;
  int64_t n, in, out;
  int id[2]; /* weight, bias */
};

static enum status
linear_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct linear_layer *f = (struct linear_layer *)l;
  return kern_linear_forward (w->k, f->n, f->in, f->out, x,
                              params_value (w->params, f->id[0]),
                              params_value (w->params, f->id[1]), y);
}

static enum status
linear_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  saved_of (l, w)->x = x;
  return linear_eval (l, w, x, y);
}

static enum status
linear_weights (struct layer *l, struct work *w)
{
  struct linear_layer *f = (struct linear_layer *)l;
  bool add;
  float *d_bias = params_grad (w->params, f->id[1], &add);
  float *d_weight = params_grad (w->params, f->id[0], &add);
  return kern_linear_back_weights (w->k, f->n, f->in, f->out,
                                   saved_of (l, w)->x, kept_of (l, w)->d_y,
                                   1.0f, add, d_weight, d_bias);
}

static enum status
linear_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct linear_layer *f = (struct linear_layer *)l;
  if (w->pair)
    kept_of (l, w)->d_y = d_y;
  if (w->now)
    TRY (linear_weights (l, w));
  if (!d_x)
    return OK;
  return kern_linear_back_data (w->k, f->n, f->in, f->out, d_y,
                                params_value (w->params, f->id[0]), d_x);
}

static const struct layer_kind linear_kind = {
    "linear", linear_forward, linear_eval, linear_back, linear_weights, NULL};

enum status
layer_linear (struct layer_maker *m, const struct recipe_step *s,
              struct layer **out)
{
  struct linear_layer *f = NULL;
  struct param weight = {.info = {.n_dims = 2, .dims = {s->out.c, s->in.c}},
                         .init = PARAMS_UNIFORM,
                         .spread = 1.0 / sqrt ((double)s->in.c)};
  CHECK (s->bias, "linear layers have a bias");
  TRY (MEM_NEW (1, &f, "linear layer"));
  f->layer.kind = &linear_kind;
  *out = &f->layer;
  enum status status = kern_linear_prove (
      m->k, &(struct kern_linear_shape){m->n, s->in.c, s->out.c, true, true});
  if (status == OK)
    status = add_weights (m, s, &weight, 0, f->id);
  if (status != OK) {
    layer_destroy (out);
    return status;
  }
  f->n = m->n;
  f->in = s->in.c;
  f->out = s->out.c;
  f->layer.keeps = true;
  f->layer.saved_at = maker_slot (m, sizeof (struct saved_input));
  f->layer.kept_at = maker_pair (m, sizeof (struct kept_cotangent));
  f->layer.x_bytes = maker_bytes (m, s->in, true);
  f->layer.y_bytes = maker_bytes (m, s->out, true);
  return OK;
}
