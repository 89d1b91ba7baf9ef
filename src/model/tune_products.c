/* model/tune_products.c -- by which of the library's products the linear layers
 * of rows are computed.
 *
 * Every distinct one of the network and of its heads is measured by kern, each
 * by one rank of a team.
 */
#include "model/family.h"
#include "model/layer_impl.h"
#include "base/log.h"

#define SHAPES 128

struct products {
  int n;
  struct kern_linear_shape s[SHAPES];
  double v[SHAPES * 3]; /* ways by direction, 1 more; others' are 0 */
};

/* What is in the table stays, and what does not fit goes by rule. */
static void
collect (struct products *all, const struct recipe *r, int64_t n,
         const struct kern_tuning *t)
{
  for (int i = 0; i < recipe_steps (r); i++) {
    const struct recipe_step *step = recipe_step_at (r, i);
    struct kern_linear_shape s;
    if (!layer_kind (step)->product)
      continue;
    layer_kind (step)->product (step, n, &s);
    bool known = all->n == SHAPES || kern_tuning_has_linear (t, &s);
    for (int j = 0; j < all->n && !known; j++)
      known =
          all->s[j].n == s.n && all->s[j].in == s.in && all->s[j].out == s.out;
    if (!known)
      all->s[all->n++] = s;
  }
}

static enum status
collect_all (struct products *all, const struct network *net, int64_t n,
             const char *const *heads, const struct kern_tuning *t)
{
  for (int i = 0; i < network_units (net); i++)
    collect (all, network_recipe (net, i), n, t);
  for (int i = 0; heads && i < network_units (net) - 1; i++) {
    struct recipe_row r;
    if (!heads[i])
      continue;
    TRY (recipe_head (heads[i], net, i, &r));
    for (int j = 0; j < r.n; j++)
      collect (all, &r.part[j], n, t);
  }
  return OK;
}

static enum status
measure (struct kern *k, struct products *all, int rank, int size)
{
  for (int i = rank; i < all->n; i += size) {
    enum kern_way way[3];
    log_progress ("choosing kernels: product %d of %d", i + 1, all->n);
    TRY (kern_linear_measure (k, &all->s[i], way));
    for (int d = 0; d < 3; d++)
      all->v[3 * i + d] = 1 + way[d];
  }
  return OK;
}

static enum status
keep (struct kern *k, const struct products *all, struct kern_tuning *t)
{
  for (int i = 0; i < all->n; i++) {
    enum kern_way way[3];
    for (int d = 0; d < 3; d++)
      way[d] = (enum kern_way) ((int)all->v[3 * i + d] - 1);
    TRY (kern_tuning_put_linear (k, t, &all->s[i], way));
  }
  return OK;
}

enum status
tune_products (struct kern *k, const struct network *net, int64_t n_samples,
               const char *const *heads, const struct stage_team *team,
               struct kern_tuning *t)
{
  struct products *all = NULL;
  enum status s = MEM_NEW (1, &all, "products");
  if (s == OK)
    s = collect_all (all, net, n_samples, heads, t);
  if (s == OK)
    s = measure (k, all, team ? team->rank : 0, team ? team->size : 1);
  if (team)
    s = team->share (team->context, s, all ? all->v : NULL,
                     all ? 3 * all->n : 0);
  if (s == OK)
    s = keep (k, all, t);
  if (team)
    s = team->share (team->context, s, NULL, 0);
  mem_free (&all);
  return s;
}
