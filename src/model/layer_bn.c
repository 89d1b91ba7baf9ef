/* model/layer_bn.c -- batch normalisation, with ReLU where the recipe says so.
 *
 * Its parameter gradients fall out of the data pass; they are kept when the
 * pass learns and thrown away when it only carries.
 */
#include "model/layer_impl.h"
#include <stdio.h>

struct bn_layer {
  struct layer layer;
  struct kern_bn *bn;
  size_t c;                        /* channels */
  int scale, shift, mean, var;     /* ids: weight, bias, running statistics */
  size_t mean_at, var_at, mask_at; /* in the slot */
};

struct bn_saved {
  const float *x;
};

static struct bn_saved *
saved_of (const struct layer *l, const struct work *w)
{
  return (struct bn_saved *)(w->slot + l->saved_at);
}

static enum status
bn_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct bn_layer *b = (struct bn_layer *)l;
  float *mean = (float *)(w->slot + b->mean_at);
  float *var = (float *)(w->slot + b->var_at);
  saved_of (l, w)->x = x;
  TRY (kern_bn_forward (b->bn, x, params_value (w->params, b->scale),
                        params_value (w->params, b->shift), y, mean, var,
                        w->slot + b->mask_at));
  if (!w->still)
    kern_bn_running (b->bn, mean, var, params_stat (w->params, b->mean),
                     params_stat (w->params, b->var));
  return OK;
}

static enum status
bn_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct bn_layer *b = (struct bn_layer *)l;
  return kern_bn_infer (b->bn, x, params_value (w->params, b->scale),
                        params_value (w->params, b->shift),
                        params_stat (w->params, b->mean),
                        params_stat (w->params, b->var), y);
}

/* Where the primitive writes a parameter gradient: straight into the block when
 * it is the first of the batch, else into scratch, to be added by settle_grad.
 */
static float *
grad_place (struct bn_layer *b, struct work *w, int id, float **block)
{
  bool add = true;
  *block = w->pair ? params_grad (w->params, id, &add) : NULL;
  if (!add) {
    float *direct = *block;
    *block = NULL;
    return direct;
  }
  return work_take (w, b->c * sizeof (float));
}

static enum status
bn_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct bn_layer *b = (struct bn_layer *)l;
  char *mark = w->scratch;
  float *block[2];
  float *d_scale = grad_place (b, w, b->scale, &block[0]);
  float *d_shift = grad_place (b, w, b->shift, &block[1]);
  if (!d_x)
    d_x = work_take (w, l->x_bytes);
  TRY (kern_bn_back (
      b->bn, saved_of (l, w)->x, d_y, params_value (w->params, b->scale),
      params_value (w->params, b->shift), (float *)(w->slot + b->mean_at),
      (float *)(w->slot + b->var_at), w->slot + b->mask_at, d_x, d_scale,
      d_shift));
  if (block[0])
    kern_axpy (w->k, b->c, 1.0f, d_scale, block[0]);
  if (block[1])
    kern_axpy (w->k, b->c, 1.0f, d_shift, block[1]);
  w->scratch = mark;
  return OK;
}

static void
bn_destroy (struct layer *l)
{
  kern_bn_destroy (&((struct bn_layer *)l)->bn);
}

static const struct layer_kind bn_kind = {
    "batch normalisation", bn_forward, bn_eval, bn_back, NULL, bn_destroy};

static enum status
add_vector (struct layer_maker *m, const struct recipe_step *s,
            const char *name, bool statistic, bool one, int *id)
{
  struct param p = {.info = {.n_dims = 1, .dims = {s->out.c}},
                    .statistic = statistic,
                    .init = one ? PARAMS_ONE : PARAMS_ZERO};
  snprintf (p.info.name, sizeof p.info.name, "%s.%s", s->name, name);
  return params_add (m->params, &p, 0, id);
}

enum status
layer_bn (struct layer_maker *m, const struct recipe_step *step,
          struct layer **out)
{
  struct bn_layer *b = NULL;
  enum status s;
  struct kern_dims d = maker_dims (m, step->out);
  if (m->training && d.n * d.h * d.w < 2)
    return fail (E_CONFIG,
                 "%s: batch normalisation of one sample of 1x1 pixels has no "
                 "variance; take a larger micro-batch or larger images",
                 step->name);
  TRY (MEM_NEW (1, &b, "batch normalisation"));
  b->layer.kind = &bn_kind;
  *out = &b->layer;
  TRY_GOTO (kern_bn_create (m->k, d, m->inner, step->relu, &b->bn), bad);
  TRY_GOTO (add_vector (m, step, "weight", false, true, &b->scale), bad);
  TRY_GOTO (add_vector (m, step, "bias", false, false, &b->shift), bad);
  TRY_GOTO (add_vector (m, step, "running_mean", true, false, &b->mean), bad);
  TRY_GOTO (add_vector (m, step, "running_var", true, true, &b->var), bad);
  b->c = (size_t)step->out.c;
  b->layer.saved_at = maker_slot (m, sizeof (struct bn_saved));
  b->mean_at = maker_slot (m, b->c * sizeof (float));
  b->var_at = maker_slot (m, b->c * sizeof (float));
  b->mask_at = maker_slot (m, kern_bn_mask_bytes (b->bn));
  b->layer.x_bytes = b->layer.y_bytes = maker_bytes (m, step->out, false);
  b->layer.scratch_bytes =
      arena_round (b->layer.x_bytes) + 2 * arena_round (b->c * sizeof (float));
  return OK;
bad:
  layer_destroy (out);
  return s;
}
