/* model/layer_bn.c -- batch normalisation, [B, C, H, W], with ReLU where the
 * recipe says so.
 *
 * The pass for the data computes the gradients of its parameters on the way;
 * they are kept when the pass learns and dropped when it only hands a gradient
 * on.
 */
#include "model/layer_impl.h"
#include "base/clock.h"
#include "base/halt.h"

/* Rows [B, C] behind a linear layer are images of one pixel. */
static enum kern_layout
layout_of (const struct recipe_step *s, enum kern_layout inner)
{
  return s->flat ? KERN_PLAIN : s->last ? KERN_LAST : inner;
}

struct bn_layer {
  struct layer layer;
  struct kern_bn *bn;
  size_t c;                        /* channels */
  int scale, shift, mean, var;     /* ids: weight, bias, running statistics */
  size_t mean_at, var_at, mask_at; /* in the slot */
};

static enum status
bn_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct bn_layer *b = (struct bn_layer *)l;
  return kern_bn_infer (b->bn, x, params_value (w->params, b->scale),
                        params_value (w->params, b->shift),
                        params_stat (w->params, b->mean),
                        params_stat (w->params, b->var), y);
}

/* A walk that training is not to notice leaves them. */
static void
move_statistics (struct bn_layer *b, struct work *w, const float *mean,
                 const float *var)
{
  if (!w->still)
    kern_bn_running (b->bn, mean, var, params_stat (w->params, b->mean),
                     params_stat (w->params, b->var));
}

static enum status
bn_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct bn_layer *b = (struct bn_layer *)l;
  float *mean = (float *)(w->slot + b->mean_at);
  float *var = (float *)(w->slot + b->var_at);
  *layer_saved (l, w) = (struct layer_saved){x, y};
  if (w->fixed)
    return bn_eval (l, w, x, y);
  TRY (kern_bn_forward (b->bn, x, params_value (w->params, b->scale),
                        params_value (w->params, b->shift), y, mean, var,
                        w->slot + b->mask_at));
  move_statistics (b, w, mean, var);
  return OK;
}

static enum status
bn_eval_join (struct layer *l, struct work *w, const float *x,
              const float *side, float *y)
{
  struct bn_layer *b = (struct bn_layer *)l;
  kern_bn_join_infer (b->bn, x, params_value (w->params, b->scale),
                      params_value (w->params, b->shift),
                      params_stat (w->params, b->mean),
                      params_stat (w->params, b->var), side, y);
  return OK;
}

static enum status
bn_forward_join (struct layer *l, struct work *w, const float *x,
                 const float *side, float *y)
{
  struct bn_layer *b = (struct bn_layer *)l;
  float *mean = (float *)(w->slot + b->mean_at);
  float *var = (float *)(w->slot + b->var_at);
  *layer_saved (l, w) = (struct layer_saved){x, y};
  if (w->fixed)
    return bn_eval_join (l, w, x, side, y);
  kern_bn_join (b->bn, x, params_value (w->params, b->scale),
                params_value (w->params, b->shift), side, y, mean, var);
  move_statistics (b, w, mean, var);
  return OK;
}

/* Of bn_eval: a factor for each channel. */
static enum status
bn_back_fixed (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct bn_layer *b = (struct bn_layer *)l;
  char *mark = w->scratch;
  CHECK (!w->pair, "a frozen layer learns");
  if (d_x)
    kern_bn_infer_back (
        b->bn, layer_saved (l, w)->y, d_y, params_value (w->params, b->scale),
        params_stat (w->params, b->var),
        work_take (w, tensor_bytes (NETWORK_PARAM, (int64_t)b->c)), d_x);
  w->scratch = mark;
  return OK;
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
  return work_take (w, tensor_bytes (NETWORK_PARAM, (int64_t)b->c));
}

/* Backward, by kern_bn_join_back where j is not NULL, else from d_y. */
static enum status
back (struct bn_layer *b, struct work *w, const float *d_y,
      const struct kern_bn_joined *j, float *d_x)
{
  struct layer *l = &b->layer;
  char *mark = w->scratch;
  float *block[2];
  float *d_scale = grad_place (b, w, b->scale, &block[0]);
  float *d_shift = grad_place (b, w, b->shift, &block[1]);
  const float *x = layer_saved (l, w)->x;
  const float *scale = params_value (w->params, b->scale);
  const float *mean = (float *)(w->slot + b->mean_at);
  const float *var = (float *)(w->slot + b->var_at);
  if (!d_x)
    d_x = work_take (w, l->x_bytes);
  if (j)
    kern_bn_join_back (b->bn, x, j, scale, mean, var, d_x, d_scale, d_shift);
  else
    TRY (kern_bn_back (b->bn, x, d_y, scale, params_value (w->params, b->shift),
                       mean, var, w->slot + b->mask_at, d_x, d_scale, d_shift));
  if (block[0])
    kern_axpy (w->k, b->c, 1.0f, d_scale, block[0]);
  if (block[1])
    kern_axpy (w->k, b->c, 1.0f, d_shift, block[1]);
  w->scratch = mark;
  return OK;
}

static enum status
bn_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (w->fixed)
    return bn_back_fixed (l, w, d_y, d_x);
  return back ((struct bn_layer *)l, w, d_y, NULL, d_x);
}

static enum status
bn_back_join (struct layer *l, struct work *w, const float *d_y, float *g,
              float *d_x)
{
  const struct kern_bn_joined j = {layer_saved (l, w)->y, d_y, w->more, g};
  w->more = NULL;
  if (!w->fixed)
    return back ((struct bn_layer *)l, w, NULL, &j, d_x);
  kern_bn_join_gate (((struct bn_layer *)l)->bn, &j);
  return bn_back_fixed (l, w, g, d_x);
}

static void
bn_destroy (struct layer *l)
{
  kern_bn_destroy (&((struct bn_layer *)l)->bn);
}

static enum status
add_vector (struct layer_maker *m, const struct recipe_step *s,
            const char *name, bool statistic, bool one, int *id)
{
  struct param p = params_vector (s->out.c, one ? PARAMS_ONE : PARAMS_ZERO);
  p.statistic = statistic;
  return maker_param (m->params, s, name, p, 0, id);
}

static enum status
bn_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct bn_layer *b = (struct bn_layer *)l;
  const struct kern_dims d = maker_dims (m, s->out);
  const size_t vector = tensor_bytes (NETWORK_PARAM, d.c);
  if (m->training && d.n * d.h * d.w < 2)
    return fail (E_CONFIG,
                 "%s: batch normalisation of one sample of 1x1 pixels has no "
                 "variance; take a larger micro-batch or larger images",
                 s->name);
  TRY (kern_bn_create (m->k, d, layout_of (s, m->inner), s->relu,
                       kern_tuning_bn (m->tuning), &b->bn));
  TRY (add_vector (m, s, "weight", false, true, &b->scale));
  TRY (add_vector (m, s, "bias", false, false, &b->shift));
  TRY (add_vector (m, s, "running_mean", true, false, &b->mean));
  TRY (add_vector (m, s, "running_var", true, true, &b->var));
  b->c = (size_t)d.c;
  b->mean_at = maker_slot (m, vector);
  b->var_at = maker_slot (m, vector);
  b->mask_at = maker_slot (m, kern_bn_mask_bytes (b->bn));
  l->x_bytes = l->y_bytes = maker_bytes (m, s->out, s->flat);
  l->scratch_bytes = arena_round (l->x_bytes) + 2 * arena_round (vector);
  l->joins = kern_tuning_bn (m->tuning) == KERN_BN_FUSED && !s->relu &&
             kern_precision (m->k) == KERN_F32;
  return OK;
}

/* -- before any memory ----------------------------------------------------- */

static void
bn_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->params += 2 * s->out.c;
}

static enum status
bn_prove (struct kern *k, const struct recipe_step *s, int64_t n,
          struct kern_tuning *t)
{
  struct kern_bn *bn = NULL;
  struct kern_dims d = s->out;
  d.n = n;
  enum status status =
      kern_bn_create (k, d, layout_of (s, kern_tuning_layout (t)), s->relu,
                      kern_tuning_bn (t), &bn);
  kern_bn_destroy (&bn);
  return status;
}

struct bn_bench {
  struct kern_bn *bn;
  float *x, *y, *c; /* c: six vectors of 64-byte aligned length */
  void *mask;
};

static enum status
bn_open (struct kern *k, struct kern_dims d, enum kern_layout l, bool relu,
         struct bn_bench *b)
{
  size_t n = kern_bytes (k, d, l) / sizeof (float);
  TRY (kern_bn_create (
      k, d, l, relu, l == KERN_LAST ? KERN_BN_FUSED : KERN_BN_LIBRARY, &b->bn));
  TRY (kern_seal (k));
  TRY (MEM_NEW (n, &b->x, "measuring"));
  TRY (MEM_NEW (n, &b->y, "measuring"));
  TRY (mem_new (6, arena_round ((size_t)d.c * sizeof (float)), "measuring",
                (void **)&b->c));
  TRY (mem_new (1, kern_bn_mask_bytes (b->bn), "measuring", &b->mask));
  for (size_t i = 0; i < n; i++) /* any numbers that vary */
    b->x[i] = i < 1021 ? (float)(i * 2654435761u % 1021) / 1021.0f - 0.5f
                       : b->x[i - 1021];
  return OK;
}

static void
bn_close (struct bn_bench *b)
{
  kern_bn_destroy (&b->bn);
  mem_free (&b->x);
  mem_free (&b->y);
  mem_free (&b->c);
  mem_free (&b->mask);
}

/* Forward and backward once. */
static enum status
bn_run (struct bn_bench *b, size_t c)
{
  const size_t step = arena_round (c * sizeof (float)) / sizeof (float);
  float *v[6];
  for (int i = 0; i < 6; i++)
    v[i] = b->c + (size_t)i * step;
  for (size_t i = 0; i < c; i++)
    v[0][i] = 1.0f;
  TRY (kern_bn_forward (b->bn, b->x, v[0], v[1], b->y, v[2], v[3], b->mask));
  return kern_bn_back (b->bn, b->x, b->y, v[0], v[1], v[2], v[3], b->mask, b->y,
                       v[4], v[5]);
}

/* The better of two rounds, behind one to warm up. */
static enum status
bn_time (struct kern *k, const struct recipe_step *step, int64_t n,
         enum kern_layout l, double *best_s)
{
  struct kern_dims d = step->out;
  struct bn_bench b = {0};
  d.n = n;
  enum status s = bn_open (k, d, layout_of (step, l), step->relu, &b);
  for (int i = -1; i < 2 && s == OK; i++) {
    double start = clock_now_s ();
    s = halt_check ("choosing kernels");
    if (s == OK)
      s = bn_run (&b, (size_t)d.c);
    double took = clock_now_s () - start;
    if (i <= 0 || took < *best_s)
      *best_s = took;
  }
  bn_close (&b);
  return s;
}

const struct layer_kind layer_bn = {
    .name = "batch normalisation",
    .cost = bn_cost,
    .prove = bn_prove,
    .time = bn_time,
    .size = sizeof (struct bn_layer),
    .saved = sizeof (struct layer_saved),
    .make = bn_make,
    .forward = bn_forward,
    .eval = bn_eval,
    .back = bn_back,
    .forward_join = bn_forward_join,
    .eval_join = bn_eval_join,
    .back_join = bn_back_join,
    .destroy = bn_destroy,
};
