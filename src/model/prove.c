/* model/prove.c -- compares every kernel that a network may use with plain
 * arithmetic before any is chosen, so that all ranks use the same ones.
 *
 * kern proves a kernel when an object with it is made.  Here every distinct
 * step of the network and of its heads is made once, on every rank, whoever
 * holds the stage later; then ranks tell each other what they found wrong,
 * until nobody has anything to add.
 */
#include "model/stage_impl.h"
#include "base/log.h"

#define STEPS 512

struct steps {
  int n;
  struct recipe_step step[STEPS]; /* distinct, as far as kernels go */
};

static void
collect (struct steps *all, const struct recipe *r)
{
  for (int i = 0; i < recipe_steps (r); i++) {
    const struct recipe_step *s = recipe_step_at (r, i);
    bool known = false;
    for (int j = 0; j < all->n && !known; j++)
      known = recipe_same_kernels (&all->step[j], s);
    /* What does not fit is proven when its stage is made. */
    if (!known && all->n < STEPS)
      all->step[all->n++] = *s;
  }
}

static enum status
collect_all (struct steps *all, const struct network *net,
             const char *const *heads)
{
  for (int i = 0; i < network_units (net); i++)
    collect (all, network_recipe (net, i));
  for (int i = 0; heads && i < network_units (net) - 1; i++) {
    struct recipe_row r;
    if (!heads[i])
      continue;
    TRY (recipe_head (heads[i], net, i, &r));
    for (int j = 0; j < recipe_row_parts (&r); j++)
      collect (all, &r.part[j]);
  }
  return OK;
}

static enum status
prove_all (struct kern *k, const struct steps *all, int64_t n,
           struct kern_tuning *t)
{
  struct kern_bench *b = NULL; /* what is made here asks for no memory */
  enum status s = kern_bench_open (k, &b);
  for (int i = 0; i < all->n && s == OK; i++) {
    log_progress ("comparing kernels with plain arithmetic: %d of %d", i + 1,
                  all->n);
    const struct recipe_step *step = &all->step[i];
    if (layer_kind (step)->prove)
      s = layer_kind (step)->prove (k, step, n, t);
  }
  enum status after = kern_bench_close (&b);
  return s != OK ? s : after;
}

/* -- agreement ------------------------------------------------------------- */

static enum status
share (const struct stage_team *team, enum status mine, double *v, int n)
{
  return team->share (team->context, mine, v, n);
}

/* Everybody's wrong kernels become mine.  v: one row of `most` for each. */
static enum status
exchange (struct kern *k, const struct stage_team *team, int most, double *v,
          bool *news)
{
  for (int i = 0; v && i < kern_wrong_count (k); i++)
    v[team->rank * most + i] = kern_wrong_at (k, i);
  TRY (share (team, v ? OK : E_MEMORY, v, team->size * most));
  for (int i = 0; i < team->size * most; i++)
    if (v[i] != 0)
      TRY (kern_wrong_add (k, v[i], news));
  return OK;
}

/* *again: somebody learnt something.  Collective on the team. */
static enum status
agree (struct kern *k, const struct stage_team *team, enum status mine,
       bool *again)
{
  double *count = NULL, *v = NULL;
  int most = 0;
  bool news = false;
  const size_t size = (size_t)team->size;
  if (mine == OK)
    mine = MEM_NEW (size + 1, &count, "verdicts");
  if (mine == OK)
    count[team->rank] = kern_wrong_count (k);
  enum status s = share (team, mine, count, team->size);
  for (int i = 0; s == OK && i < team->size; i++)
    most = count[i] > most ? (int)count[i] : most;
  if (s == OK && most > 0) {
    mine = MEM_NEW (size * (size_t)most, &v, "verdicts");
    s = exchange (k, team, most, mine == OK ? v : NULL, &news);
    double any = news;
    s = share (team, s, &any, 1);
    *again = s == OK && any > 0;
  }
  mem_free (&v);
  mem_free (&count);
  return s;
}

enum status
stage_prove (struct kern *k, const struct network *net, int64_t n_samples,
             const char *const *heads, const struct stage_team *team,
             struct kern_tuning *t)
{
  struct steps *all = NULL;
  enum status s = MEM_NEW (1, &all, "steps");
  if (s == OK)
    s = collect_all (all, net, heads);
  for (bool again = true; again;) {
    again = false;
    if (s == OK)
      s = prove_all (k, all, n_samples, t);
    if (team)
      s = agree (k, team, s, &again);
    if (s != OK)
      break;
  }
  mem_free (&all);
  return s;
}
