/* model/layer_plain.c -- layers without parameters: ReLU and pooling. */
#include "model/layer_impl.h"

/* -- ReLU ------------------------------------------------------------------ */

struct saved_output {
  const float *y;
};

static enum status
relu_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  kern_relu (w->k, l->y_bytes / sizeof (float), x, y);
  return OK;
}

static enum status
relu_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  ((struct saved_output *)(w->slot + l->saved_at))->y = y;
  return relu_eval (l, w, x, y);
}

static enum status
relu_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  const float *y = ((struct saved_output *)(w->slot + l->saved_at))->y;
  if (d_x)
    kern_relu_back (w->k, l->y_bytes / sizeof (float), d_y, y, d_x);
  return OK;
}

static const struct layer_kind relu_kind = {"ReLU",    relu_forward, relu_eval,
                                            relu_back, NULL,         NULL};

enum status
layer_relu (struct layer_maker *m, const struct recipe_step *s,
            struct layer **out)
{
  struct layer *l = NULL;
  TRY (MEM_NEW (1, &l, "ReLU"));
  l->kind = &relu_kind;
  l->saved_at = maker_slot (m, sizeof (struct saved_output));
  l->x_bytes = l->y_bytes = maker_bytes (m, s->out, s->flat);
  *out = l;
  return OK;
}

/* -- pooling --------------------------------------------------------------- */

struct pool_layer {
  struct layer layer;
  struct kern_pool *pool;
};

static enum status
pool_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct pool_layer *p = (struct pool_layer *)l;
  return kern_pool_forward (p->pool, x, y, w->slot + l->saved_at);
}

static enum status
pool_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct pool_layer *p = (struct pool_layer *)l;
  char *mark = w->scratch;
  void *mask = work_take (w, kern_pool_mask_bytes (p->pool));
  w->scratch = mark;
  return kern_pool_forward (p->pool, x, y, mask);
}

static enum status
pool_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct pool_layer *p = (struct pool_layer *)l;
  if (!d_x)
    return OK;
  return kern_pool_back (p->pool, d_y, w->slot + l->saved_at, d_x);
}

static void
pool_destroy (struct layer *l)
{
  kern_pool_destroy (&((struct pool_layer *)l)->pool);
}

static const struct layer_kind pool_kind = {
    "pooling", pool_forward, pool_eval, pool_back, NULL, pool_destroy};

enum status
layer_pool (struct layer_maker *m, const struct recipe_step *s,
            struct layer **out)
{
  struct pool_layer *p = NULL;
  bool gap = s->kind == RECIPE_GAP;
  TRY (MEM_NEW (1, &p, "pooling"));
  p->layer.kind = &pool_kind;
  *out = &p->layer;
  enum status status = kern_pool_create (
      m->k, gap ? KERN_POOL_GLOBAL : KERN_POOL_MAX, maker_dims (m, s->in),
      m->inner, s->kernel, s->stride, s->pad, &p->pool);
  if (status != OK) {
    layer_destroy (out);
    return status;
  }
  size_t mask = kern_pool_mask_bytes (p->pool);
  p->layer.saved_at = maker_slot (m, mask);
  p->layer.scratch_bytes = arena_round (mask);
  p->layer.x_bytes = maker_bytes (m, s->in, false);
  p->layer.y_bytes = maker_bytes (m, s->out, gap);
  return OK;
}
