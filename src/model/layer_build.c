/* model/layer_build.c -- from recipes to layers: the table of kinds, and the
 * nesting of steps.
 */
#include "model/layer_impl.h"

const struct layer_kind *
layer_kind (const struct recipe_step *s)
{
#define ROW(word, kind) [word] = &kind,
  static const struct layer_kind *const kinds[] = {RECIPE_KINDS (ROW)};
#undef ROW
  return kinds[s->kind];
}

static enum status
build_step (struct layer_maker *m, const struct recipe_step *s,
            struct layer **out)
{
  const struct layer_kind *kind = layer_kind (s);
  CHECK (kind->make, "a step of kind %s is no layer", kind->name);
  TRY (mem_new (1, kind->size, kind->name, (void **)out));
  (*out)->kind = kind;
  (*out)->keeps = kind->keeps;
  if (kind->saved > 0)
    (*out)->saved_at = maker_slot (m, kind->saved);
  if (kind->keeps)
    (*out)->kept_at = maker_pair (m, sizeof (struct layer_kept));
  enum status status = kind->make (m, s, *out);
  if (status != OK)
    layer_destroy (out);
  return status;
}

static enum status
build_row (struct layer_maker *m, const struct recipe *r,
           const struct recipe_step *s, int n, struct layer **out);

/* n steps s beside the recipe's skip, where it has one. */
static enum status
build_sides (struct layer_maker *m, const struct recipe *r,
             const struct recipe_step *s, int n, struct layer **path,
             struct layer **skip)
{
  *skip = NULL;
  TRY (build_row (m, r, s, n, path));
  if (!r->n_skip)
    return OK;
  enum status status = build_row (m, r, r->skip, r->n_skip, skip);
  if (status != OK)
    layer_destroy (path);
  return status;
}

/* The steps behind a BRANCH up to its JOIN; *used: how many steps that is. */
static enum status
build_branch (struct layer_maker *m, const struct recipe *r,
              const struct recipe_step *s, int *used, struct layer **out)
{
  struct layer *path, *skip;
  int n = 0;
  while (s[1 + n].kind != RECIPE_JOIN)
    n++;
  *used = n + 2;
  TRY (build_sides (m, r, s + 1, n, &path, &skip));
  return layer_branch (m, path, skip, out);
}

static enum status
build_row (struct layer_maker *m, const struct recipe *r,
           const struct recipe_step *s, int n, struct layer **out)
{
  struct layer *child[RECIPE_STEPS] = {NULL};
  int children = 0;
  for (int i = 0, used = 1; i < n; i += used, used = 1) {
    struct layer **to = &child[children];
    enum status status = s[i].kind == RECIPE_BRANCH
                             ? build_branch (m, r, &s[i], &used, to)
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
  struct layer *path, *skip;
  *out = NULL;
  if (!r->residual) {
    int n = r->n_path - (recipe_projects (r) != NULL);
    return n > 0 ? build_row (m, r, r->path, n, out) : OK;
  }
  TRY (build_sides (m, r, r->path, r->n_path, &path, &skip));
  return layer_residual (m, path, skip, out);
}
