/* model/layer_pool.c -- pooling: the largest of each window, [B, C, H, W] to
 * [B, C, H', W'], or the mean of all, to [B, C].
 */
#include "model/layer_impl.h"

struct pool_layer {
  struct layer layer;
  struct kern_pool *pool;
  size_t mask_at; /* in the slot: where each largest one was */
};

static enum status
pool_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct pool_layer *p = (struct pool_layer *)l;
  return kern_pool_forward (p->pool, x, y, w->slot + p->mask_at);
}

/* The mask is written, too, and thrown away. */
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
  return kern_pool_back (p->pool, d_y, w->slot + p->mask_at, d_x);
}

static void
pool_destroy (struct layer *l)
{
  kern_pool_destroy (&((struct pool_layer *)l)->pool);
}

static enum status
make (struct layer_maker *m, const struct recipe_step *s,
      enum kern_pool_kind kind, struct layer *l)
{
  struct pool_layer *p = (struct pool_layer *)l;
  TRY (kern_pool_create (m->k, kind, maker_dims (m, s->in), m->inner, s->kernel,
                         s->stride, s->pad, &p->pool));
  size_t mask = kern_pool_mask_bytes (p->pool);
  p->mask_at = maker_slot (m, mask);
  l->scratch_bytes = arena_round (mask);
  l->x_bytes = maker_bytes (m, s->in, false);
  l->y_bytes = maker_bytes (m, s->out, s->flat);
  return OK;
}

/* -- the largest ----------------------------------------------------------- */

static enum status
max_prove (struct kern *k, const struct recipe_step *s, int64_t n,
           struct kern_tuning *t)
{
  struct kern_pool *pool = NULL;
  struct kern_dims d = s->in;
  d.n = n;
  enum status status =
      kern_pool_create (k, KERN_POOL_MAX, d, kern_tuning_layout (t), s->kernel,
                        s->stride, s->pad, &pool);
  kern_pool_destroy (&pool);
  return status;
}

static enum status
max_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  return make (m, s, KERN_POOL_MAX, l);
}

const struct layer_kind layer_maxpool = {
    .name = "pooling",
    .prove = max_prove,
    .size = sizeof (struct pool_layer),
    .make = max_make,
    .forward = pool_forward,
    .eval = pool_eval,
    .back = pool_back,
    .destroy = pool_destroy,
};

/* -- the mean of all ------------------------------------------------------- */

static enum status
mean_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  return make (m, s, KERN_POOL_GLOBAL, l);
}

const struct layer_kind layer_gap = {
    .name = "global pooling",
    .size = sizeof (struct pool_layer),
    .make = mean_make,
    .forward = pool_forward,
    .eval = pool_eval,
    .back = pool_back,
    .destroy = pool_destroy,
};
