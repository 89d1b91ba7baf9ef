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

size_t
maker_cache (struct layer_maker *m, size_t bytes)
{
  size_t at = m->cache_bytes;
  m->cache_bytes += arena_round (bytes);
  return at;
}

int64_t
maker_rows (const struct layer_maker *m)
{
  return m->n * m->length;
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
  case RECIPE_ATTENTION:
    return layer_attention (m, s, out);
  case RECIPE_EMBED:
  case RECIPE_NORM:
  case RECIPE_DENSE:
  case RECIPE_GELU:
  case RECIPE_RECTIFY:
  case RECIPE_DROPOUT:
    return layer_token (m, s, out);
  case RECIPE_BRANCH:
  case RECIPE_JOIN:
  case RECIPE_PROJECT:
    break;
  }
  CHECK (false, "step of kind %d", s->kind);
}

static enum status
build_row (struct layer_maker *m, const struct recipe_step *s, int n,
           struct layer **out);

/* The steps behind a BRANCH up to its JOIN; *used: how many steps that is. */
static enum status
build_branch (struct layer_maker *m, const struct recipe_step *s, int *used,
              struct layer **out)
{
  struct layer *path;
  int n = 0;
  while (s[1 + n].kind != RECIPE_JOIN)
    n++;
  *used = n + 2;
  TRY (build_row (m, s + 1, n, &path));
  return layer_branch (m, path, out);
}

static enum status
build_row (struct layer_maker *m, const struct recipe_step *s, int n,
           struct layer **out)
{
  struct layer *child[RECIPE_STEPS] = {NULL};
  int children = 0;
  for (int i = 0, used = 1; i < n; i += used, used = 1) {
    struct layer **to = &child[children];
    enum status status = s[i].kind == RECIPE_BRANCH
                             ? build_branch (m, &s[i], &used, to)
                             : build_step (m, &s[i], to);
    if (status != OK) {
      while (--children >= 0)
        layer_destroy (&child[children]);
      return status;
    }
    children++;
  }
  return layer_sequence (m, child, children, out);
}

enum status
layer_build (struct layer_maker *m, const struct recipe *r, struct layer **out)
{
  struct layer *path, *skip = NULL;
  *out = NULL;
  if (!r->residual) {
    int n = r->n_path - (recipe_projects (r) != NULL);
    return n > 0 ? build_row (m, r->path, n, out) : OK;
  }
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
