/* model/layer_build.c -- from recipes to layers. */
#include "model/layer_impl.h"

size_t
maker_slot (struct layer_maker *m, size_t bytes)
{
  size_t at = m->slot_bytes;
  m->slot_bytes += arena_round (bytes);
  return at;
}

size_t
maker_pair (struct layer_maker *m, size_t bytes)
{
  size_t at = m->pair_bytes;
  m->pair_bytes += arena_round (bytes);
  return at;
}

struct kern_dims
maker_dims (const struct layer_maker *m, struct kern_dims d)
{
  d.n = m->n;
  return d;
}

size_t
maker_bytes (const struct layer_maker *m, struct kern_dims d, bool flat)
{
  return kern_bytes (m->k, maker_dims (m, d), flat ? KERN_PLAIN : m->inner);
}

void
layer_destroy (struct layer **l)
{
  if (!*l)
    return;
  if ((*l)->kind->destroy)
    (*l)->kind->destroy (*l);
  mem_free (l);
}

static enum status
build_step (struct layer_maker *m, const struct recipe_step *s,
            struct layer **out)
{
  switch (s->kind) {
  case RECIPE_CONV:
    return layer_conv (m, s, out);
  case RECIPE_BN:
    return layer_bn (m, s, out);
  case RECIPE_RELU:
    return layer_relu (m, s, out);
  case RECIPE_MAXPOOL:
  case RECIPE_GAP:
    return layer_pool (m, s, out);
  case RECIPE_LINEAR:
    return layer_linear (m, s, out);
  }
  CHECK (false, "step of kind %d", s->kind);
}

static enum status
build_row (struct layer_maker *m, const struct recipe_step *s, int n,
           struct layer **out)
{
  struct layer *child[RECIPE_STEPS] = {NULL};
  for (int i = 0; i < n; i++) {
    enum status status = build_step (m, &s[i], &child[i]);
    if (status != OK) {
      while (--i >= 0)
        layer_destroy (&child[i]);
      return status;
    }
  }
  return layer_sequence (m, child, n, out);
}

enum status
layer_build (struct layer_maker *m, const struct recipe *r, struct layer **out)
{
  struct layer *path, *skip = NULL;
  if (!r->residual)
    return build_row (m, r->path, r->n_path, out);
  TRY (build_row (m, r->path, r->n_path, &path));
  if (r->n_skip) {
    enum status s = build_row (m, r->skip, r->n_skip, &skip);
    if (s != OK) {
      layer_destroy (&path);
      return s;
    }
  }
  return layer_residual (m, path, skip, out);
}
