/* model/layer_relu.c -- ReLU over images [B, C, H, W], padding included.  What
 * went through is told from the output, which the next layer keeps anyhow.
 */
#include "model/layer_impl.h"

static enum status
relu_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  kern_relu (w->k, layer_numbers (l->y_bytes), x, y);
  return OK;
}

static enum status
relu_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  layer_saved (l, w)->y = y;
  return relu_eval (l, w, x, y);
}

static enum status
relu_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  if (d_x)
    kern_relu_back (w->k, layer_numbers (l->y_bytes), d_y,
                    layer_saved (l, w)->y, d_x);
  return OK;
}

static enum status
relu_make (struct layer_maker *m, const struct recipe_step *s, struct layer *l)
{
  l->x_bytes = l->y_bytes = maker_bytes (m, s->out, s->flat);
  return OK;
}

const struct layer_kind layer_relu = {
    .name = "ReLU",
    .size = sizeof (struct layer),
    .saved = sizeof (struct layer_saved),
    .make = relu_make,
    .forward = relu_forward,
    .eval = relu_eval,
    .back = relu_back,
};
