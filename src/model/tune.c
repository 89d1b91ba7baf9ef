/* model/tune.c -- which inner layout and which algorithms a network uses.
 *
 * Every distinct convolution of the network is measured by kern in both inner
 * layouts, every distinct normalisation is timed here; the layout with the
 * smaller sum wins, and heads are measured in that one only.  Blocked is out
 * where channels would have to be padded.  A Transformer has nothing to choose:
 * its tensors are rows, KERN_LAST.
 */
#include "model/layer_impl.h"
#include "base/clock.h"

#define SHAPES 256

struct shapes {
  int n;
  struct recipe_step step[SHAPES]; /* distinct convolutions and BNs */
  int count[SHAPES];
  bool divides;
};

static bool
same_dims (struct kern_dims a, struct kern_dims b)
{
  return a.c == b.c && a.h == b.h && a.w == b.w;
}

static bool
same_step (const struct recipe_step *a, const struct recipe_step *b)
{
  return a->kind == b->kind && same_dims (a->in, b->in) &&
         same_dims (a->out, b->out) && a->kernel == b->kernel &&
         a->stride == b->stride && a->pad == b->pad && a->bias == b->bias &&
         a->relu == b->relu && a->plain == b->plain;
}

static void
collect_step (struct shapes *all, const struct recipe_step *s)
{
  if (s->kind != RECIPE_CONV && s->kind != RECIPE_BN)
    return;
  for (int i = 0; i < all->n; i++)
    if (same_step (&all->step[i], s)) {
      all->count[i]++;
      return;
    }
  if (all->n == SHAPES)
    return; /* later ones use the direct algorithm */
  all->step[all->n] = *s;
  all->count[all->n++] = 1;
}

static void
collect (struct shapes *all, const struct recipe *r, int block)
{
  all->divides = all->divides && recipe_divides (r, block);
  for (int i = 0; i < recipe_steps (r); i++)
    collect_step (all, recipe_step_at (r, i));
}

static void
collect_network (struct shapes *all, const struct network *net, int block)
{
  *all = (struct shapes){.divides = true};
  for (int i = 0; i < network_units (net); i++)
    collect (all, network_recipe (net, i), block);
}

/* -- batch normalisation --------------------------------------------------- */

struct bn_bench {
  struct kern_bn *bn;
  float *x, *y, *c; /* c: six vectors of 64-byte aligned length */
  void *mask;
};

static enum status
bn_open (struct kern *k, struct kern_dims d, enum kern_layout l, bool relu,
         struct bn_bench *b)
{
  size_t n = kern_bytes (k, d, l) / sizeof (float);
  TRY (kern_bn_create (k, d, l, relu, &b->bn));
  TRY (kern_seal (k));
  TRY (MEM_NEW (n, &b->x, "measuring"));
  TRY (MEM_NEW (n, &b->y, "measuring"));
  TRY (mem_new (6, arena_round ((size_t)d.c * sizeof (float)), "measuring",
                (void **)&b->c));
  TRY (mem_new (1, kern_bn_mask_bytes (b->bn), "measuring", &b->mask));
  for (size_t i = 0; i < n; i++) /* any numbers that vary */
    b->x[i] = (float)(i * 2654435761u % 1021) / 1021.0f - 0.5f;
  return OK;
}

static void
bn_close (struct bn_bench *b)
{
  kern_bn_destroy (&b->bn);
  mem_free (&b->x);
  mem_free (&b->y);
  mem_free (&b->c);
  mem_free (&b->mask);
}

/* Forward and backward once. */
static enum status
bn_run (struct bn_bench *b, size_t c)
{
  const size_t step = arena_round (c * sizeof (float)) / sizeof (float);
  float *v[6];
  for (int i = 0; i < 6; i++)
    v[i] = b->c + (size_t)i * step;
  for (size_t i = 0; i < c; i++)
    v[0][i] = 1.0f;
  TRY (kern_bn_forward (b->bn, b->x, v[0], v[1], b->y, v[2], v[3], b->mask));
  return kern_bn_back (b->bn, b->x, b->y, v[0], v[1], v[2], v[3], b->mask, b->y,
                       v[4], v[5]);
}

static enum status
bn_time (struct kern *k, const struct recipe_step *step, int64_t n,
         enum kern_layout l, double *best_s)
{
  struct kern_dims d = step->out;
  struct bn_bench b = {0};
  d.n = n;
  enum status s = bn_open (k, d, l, step->relu, &b);
  for (int i = -1; i < 3 && s == OK; i++) {
    double start = clock_now_s ();
    s = bn_run (&b, (size_t)d.c);
    double took = clock_now_s () - start;
    if (i <= 0 || took < *best_s)
      *best_s = took;
  }
  bn_close (&b);
  return s;
}

/* -- choosing -------------------------------------------------------------- */

static enum status
measure_layout (struct kern *k, const struct shapes *all, int64_t n,
                enum kern_layout l, struct kern_tuning *t, double *sum_s)
{
  *sum_s = 0.0;
  for (int i = 0; i < all->n; i++) {
    const struct recipe_step *step = &all->step[i];
    double s = 0.0;
    if (step->kind == RECIPE_CONV) {
      struct kern_conv_shape shape = recipe_shape (step, n, l);
      TRY (kern_tuning_measure (k, &shape, !step->plain, t, &s));
    } else
      TRY (bn_time (k, step, n, l, &s));
    *sum_s += all->count[i] * s;
  }
  return OK;
}

enum status
stage_tune (struct kern *k, const struct network *net, int64_t n_samples,
            const char *head, const int *after, int n, struct kern_tuning *t)
{
  if (network_spec (net)->family == MODEL_TRANSFORMER) {
    kern_tuning_layout_set (t, KERN_LAST);
    return OK;
  }
  const int block = kern_block (k);
  struct shapes *all = NULL, *heads = NULL;
  double blocked_s = 0.0, last_s = 0.0;
  enum status s;
  TRY (MEM_NEW (1, &all, "shapes"));
  TRY_GOTO (MEM_NEW (1, &heads, "shapes"), done);
  collect_network (all, net, block);
  heads->divides = true;
  for (int i = 0; i < n && head; i++) {
    struct recipe r;
    TRY_GOTO (recipe_head (head, network_recipe (net, after[i])->out,
                           network_spec (net), &r),
              done);
    collect (heads, &r, block);
  }
  bool divides = all->divides && heads->divides;
  if (divides)
    TRY_GOTO (measure_layout (k, all, n_samples, KERN_BLOCKED, t, &blocked_s),
              done);
  TRY_GOTO (measure_layout (k, all, n_samples, KERN_LAST, t, &last_s), done);
  enum kern_layout l =
      divides && blocked_s <= last_s ? KERN_BLOCKED : KERN_LAST;
  kern_tuning_layout_set (t, l);
  TRY_GOTO (measure_layout (k, heads, n_samples, l, t, &last_s), done);
done:
  mem_free (&heads);
  mem_free (&all);
  return s;
}

void
stage_tune_rule (struct kern *k, const struct network *net,
                 struct kern_tuning *t)
{
  bool divides = network_spec (net)->family == MODEL_RESNET;
  for (int i = 0; i < network_units (net); i++)
    divides =
        divides && recipe_divides (network_recipe (net, i), kern_block (k));
  kern_tuning_layout_set (t, divides ? KERN_BLOCKED : KERN_LAST);
}
