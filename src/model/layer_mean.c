/* model/layer_mean.c -- means over windows, [B, C, H, W] to [B, C, N, N], and
 * images as rows, [B, C, H, W] to [B, C H W].
 *
 * Both are linear and keep nothing: backward needs the shapes alone.
 */
#include "model/layer_impl.h"

struct mean_layer {
  struct layer layer;
  struct kern_dims in, out;
  enum kern_layout inner;
};

static enum status
make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  struct mean_layer *a = (struct mean_layer *)l;
  a->in = maker_dims (m, s->in);
  a->out = maker_dims (m, s->out);
  a->inner = m->inner;
  l->x_bytes = maker_bytes (m, s->in, false);
  l->y_bytes = maker_bytes (m, s->out, s->flat);
  return OK;
}

/* -- means ----------------------------------------------------------------- */

static void
mean_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->flops += (double)(s->in.c * s->in.h * s->in.w);
}

static enum status
mean_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  const struct mean_layer *a = (struct mean_layer *)l;
  kern_mean_forward (w->k, a->in, a->out, a->inner, x, y);
  return OK;
}

static enum status
mean_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  const struct mean_layer *a = (struct mean_layer *)l;
  if (d_x)
    kern_mean_back (w->k, a->in, a->out, a->inner, d_y, d_x);
  return OK;
}

const struct layer_kind layer_mean = {
    .name = "pooling to means",
    .cost = mean_cost,
    .bare = true,
    .size = sizeof (struct mean_layer),
    .make = make,
    .forward = mean_forward,
    .eval = mean_forward,
    .back = mean_back,
};

/* -- rows ------------------------------------------------------------------ */

static enum status
flatten_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  const struct mean_layer *a = (struct mean_layer *)l;
  kern_flatten (w->k, a->in, a->inner, x, y);
  return OK;
}

static enum status
flatten_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  const struct mean_layer *a = (struct mean_layer *)l;
  if (d_x)
    kern_unflatten (w->k, a->in, a->inner, d_y, d_x);
  return OK;
}

const struct layer_kind layer_flatten = {
    .name = "images as rows",
    .bare = true,
    .size = sizeof (struct mean_layer),
    .make = make,
    .forward = flatten_forward,
    .eval = flatten_forward,
    .back = flatten_back,
};
