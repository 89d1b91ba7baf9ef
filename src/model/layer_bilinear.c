/* model/layer_bilinear.c -- images of another size by bilinear interpolation,
 * [B, C, H, W] in the network's layout to [B, C, H', W'], channels last.
 *
 * Linear, and keeps nothing: backward needs the shapes alone.
 */
#include "model/layer_impl.h"

struct bilinear_layer {
  struct layer layer;
  struct kern_dims in, out;
  enum kern_layout from;
};

/* Four products and sums a number. */
static void
bilinear_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->flops += 8 * (double)(s->out.c * s->out.h * s->out.w);
}

static enum status
bilinear_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  const struct bilinear_layer *b = (struct bilinear_layer *)l;
  kern_bilinear_forward (w->k, b->in, b->out, b->from, x, y);
  return OK;
}

static enum status
bilinear_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  const struct bilinear_layer *b = (struct bilinear_layer *)l;
  if (d_x)
    kern_bilinear_back (w->k, b->in, b->out, b->from, d_y, d_x);
  return OK;
}

static enum status
bilinear_make (struct layer_maker *m, const struct recipe_step *s,
               struct layer *l)
{
  struct bilinear_layer *b = (struct bilinear_layer *)l;
  CHECK (m->inner == KERN_LAST, "channels are last behind an interpolation");
  b->in = maker_dims (m, s->in);
  b->out = maker_dims (m, s->out);
  b->from = m->outer;
  l->x_bytes = kern_bytes (m->k, b->in, b->from);
  l->y_bytes = maker_bytes (m, s->out, false);
  return OK;
}

const struct layer_kind layer_bilinear = {
    .name = "bilinear interpolation",
    .cost = bilinear_cost,
    .bare = true,
    .size = sizeof (struct bilinear_layer),
    .make = bilinear_make,
    .forward = bilinear_forward,
    .eval = bilinear_forward,
    .back = bilinear_back,
};
