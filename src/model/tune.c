/* model/tune.c -- which inner layout and which algorithms a network uses.
 *
 * Every distinct convolution of the network is measured by kern in both inner
 * layouts, every distinct normalisation is timed; the layout with the smaller
 * sum wins, and heads are measured in that one only.  Blocked is out where
 * channels would have to be padded.  The jobs -- one direction of one
 * convolution, or one normalisation -- are dealt out to a team.  Rows are
 * KERN_LAST; of them the products are measured (tune_products.c).
 */
#include "model/family.h"
#include "model/layer_impl.h"
#include "base/clock.h"
#include "base/halt.h"
#include "base/log.h"

#define SHAPES 256

struct shapes {
  int n;
  struct recipe_step step[SHAPES]; /* distinct convolutions and BNs */
  int count[SHAPES];
  bool divides;
};

static void
collect_step (struct shapes *all, const struct recipe_step *s)
{
  if (!layer_kind (s)->chooses && !layer_kind (s)->time)
    return;
  for (int i = 0; i < all->n; i++)
    if (recipe_same_kernels (&all->step[i], s)) {
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

/* -- jobs ------------------------------------------------------------------ */

enum { JOB_TIME = KERN_BACK_WEIGHTS + 1 };

struct job {
  const struct recipe_step *step;
  int count; /* how often the step occurs */
  enum kern_layout layout;
  int what;      /* enum kern_direction, or JOB_TIME */
  double weight; /* about how long it takes */
  int rank;      /* who does it */
};

struct jobs {
  int n;
  struct job job[SHAPES * 2 * 3];
  int order[SHAPES * 2 * 3];    /* heaviest first */
  double v[SHAPES * 2 * 3 * 2]; /* algorithm and seconds */
};

static void
add_jobs (struct jobs *js, const struct shapes *all, enum kern_layout l,
          int64_t n)
{
  for (int i = 0; i < all->n; i++) {
    const struct recipe_step *step = &all->step[i];
    struct job job = {
        .step = step, .count = all->count[i], .layout = l, .what = JOB_TIME};
    if (!layer_kind (step)->chooses) {
      struct kern_dims d = step->out;
      job.weight = 500.0 * (double)(n * d.c * d.h * d.w);
      js->job[js->n++] = job;
      continue;
    }
    struct kern_conv_shape shape = recipe_shape (step, n, l);
    job.weight = kern_conv_flops (&shape);
    for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++) {
      job.what = d;
      if (d != KERN_BACK_DATA || !step->plain)
        js->job[js->n++] = job;
    }
  }
}

/* Heaviest first, each to who has least: all ranks deal the same. */
static enum status
deal (struct jobs *js, int size)
{
  double *load = NULL;
  TRY (MEM_NEW ((size_t)size, &load, "tuning"));
  for (int i = 0; i < js->n; i++) {
    int at = i;
    for (; at > 0 && js->job[js->order[at - 1]].weight < js->job[i].weight;
         at--)
      js->order[at] = js->order[at - 1];
    js->order[at] = i;
  }
  for (int i = 0; i < js->n; i++) {
    struct job *job = &js->job[js->order[i]];
    for (int r = 1; r < size; r++)
      if (load[r] < load[job->rank])
        job->rank = r;
    load[job->rank] += job->weight;
  }
  mem_free (&load);
  return OK;
}

/* The convolutions or the normalisations of mine: a bench of convolutions has
 * the kern for itself. */
static enum status
do_mine (struct kern *k, int64_t n, int me, const struct kern_tuning *t,
         struct kern_bench *b, struct jobs *js)
{
  for (int i = 0; i < js->n; i++) {
    int at = js->order[i];
    const struct job *job = &js->job[at];
    if (job->rank != me || (job->what == JOB_TIME) != (b == NULL))
      continue;
    log_progress ("choosing kernels: shape %d of %d", i + 1, js->n);
    if (job->what == JOB_TIME) {
      TRY (layer_kind (job->step)->time (k, job->step, n, job->layout,
                                         &js->v[2 * at + 1]));
      continue;
    }
    enum kern_direction d = (enum kern_direction)job->what;
    struct kern_conv_shape shape = recipe_shape (job->step, n, job->layout);
    struct kern_choice c = kern_tuning_get (t, &shape, d);
    if (c.algo == KERN_NO_ALGO || c.seconds == 0)
      TRY (kern_bench_direction (b, &shape, d, &c));
    js->v[2 * at] = c.algo;
    js->v[2 * at + 1] = c.seconds;
  }
  return OK;
}

static enum status
measure_mine (struct kern *k, int64_t n, int me, const struct kern_tuning *t,
              struct jobs *js)
{
  struct kern_bench *b = NULL;
  TRY (do_mine (k, n, me, t, NULL, js));
  TRY (kern_bench_open (k, &b));
  enum status s = do_mine (k, n, me, t, b, js);
  enum status after = kern_bench_close (&b);
  return s != OK ? s : after;
}

static enum status
keep_choices (struct kern *k, const struct jobs *js, int64_t n,
              struct kern_tuning *t)
{
  for (int i = 0; i < js->n; i++) {
    const struct job *job = &js->job[i];
    if (job->what == JOB_TIME)
      continue;
    struct kern_conv_shape shape = recipe_shape (job->step, n, job->layout);
    struct kern_choice c = {(int)js->v[2 * i], js->v[2 * i + 1]};
    TRY (kern_tuning_put (k, t, &shape, (enum kern_direction)job->what, c));
  }
  return OK;
}

/* -- choosing -------------------------------------------------------------- */

static enum status
share (const struct stage_team *team, enum status mine, double *v, int n)
{
  return team ? team->share (team->context, mine, v, n) : mine;
}

/* The jobs of js are measured by the team and known to all. Ends in a fence; so
 * does whatever fails on the way (s: of before). */
static enum status
measure_jobs (struct kern *k, int64_t n, const struct stage_team *team,
              enum status s, struct jobs *js, struct kern_tuning *t)
{
  if (s == OK)
    s = deal (js, team ? team->size : 1);
  if (s == OK)
    s = measure_mine (k, n, team ? team->rank : 0, t, js);
  TRY (share (team, s, js ? js->v : NULL, js ? 2 * js->n : 0));
  return share (team, keep_choices (k, js, n, t), NULL, 0);
}

static double
sum_of (const struct jobs *js, enum kern_layout l)
{
  double sum = 0;
  for (int i = 0; i < js->n; i++)
    if (js->job[i].layout == l)
      sum += js->job[i].count * js->v[2 * i + 1];
  return sum;
}

static enum status
collect_heads (struct shapes *all, const struct network *net,
               const char *const *heads, int block)
{
  *all = (struct shapes){.divides = true};
  for (int i = 0; heads && i < network_units (net) - 1; i++) {
    struct recipe_row r;
    if (!heads[i])
      continue;
    TRY (recipe_head (heads[i], net, i, &r));
    for (int j = 0; j < recipe_row_parts (&r); j++)
      collect (all, &r.part[j], block);
  }
  return OK;
}

/* Own passes of batch normalisation gain nothing where channels are in blocks,
 * measured on two cores with AVX-512 and with AVX2. */
static void
set_layout (struct kern_tuning *t, enum kern_layout l)
{
  kern_tuning_layout_set (t, l);
  kern_tuning_bn_set (t, l == KERN_LAST ? KERN_BN_FUSED : KERN_BN_LIBRARY);
}

enum status
stage_tune (struct kern *k, const struct network *net, int64_t n_samples,
            const char *const *heads, const struct stage_team *team,
            struct kern_tuning *t)
{
  if (network_family (net)->rows) {
    kern_tuning_layout_set (t, KERN_LAST);
    return tune_products (k, net, n_samples, heads, team, t);
  }
  const int block = kern_block (k);
  struct shapes *all = NULL, *of_heads = NULL;
  struct jobs *js = NULL, *more = NULL;
  enum status s = MEM_NEW (1, &all, "shapes");
  if (s == OK)
    s = MEM_NEW (1, &of_heads, "shapes");
  if (s == OK)
    s = MEM_NEW (1, &js, "tuning");
  if (s == OK)
    s = MEM_NEW (1, &more, "tuning");
  if (s == OK)
    s = collect_heads (of_heads, net, heads, block);
  bool divides = false;
  if (s == OK) {
    collect_network (all, net, block);
    divides = all->divides && of_heads->divides;
    if (divides)
      add_jobs (js, all, KERN_BLOCKED, n_samples);
    add_jobs (js, all, KERN_LAST, n_samples);
  }
  TRY_GOTO (measure_jobs (k, n_samples, team, s, js, t), done);
  enum kern_layout l =
      divides && sum_of (js, KERN_BLOCKED) <= sum_of (js, KERN_LAST)
          ? KERN_BLOCKED
          : KERN_LAST;
  set_layout (t, l);
  add_jobs (more, of_heads, l, n_samples);
  if (more->n > 0)
    s = measure_jobs (k, n_samples, team, OK, more, t);
done:
  mem_free (&more);
  mem_free (&js);
  mem_free (&of_heads);
  mem_free (&all);
  return s;
}

void
stage_tune_rule (struct kern *k, const struct network *net,
                 struct kern_tuning *t)
{
  bool divides = !network_family (net)->rows;
  for (int i = 0; i < network_units (net); i++)
    divides =
        divides && recipe_divides (network_recipe (net, i), kern_block (k));
  set_layout (t, divides ? KERN_BLOCKED : KERN_LAST);
}
