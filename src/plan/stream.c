/* plan/stream.c -- which gradients travel, and by which passes.
 *
 * Works from the last stage down.  At stage k some bundles arrive: the gradient
 * of the own head, and the streams that cross the border above.  A bundle is a
 * sum of losses (weight, over heads), and it has a column: by which factor each
 * of the stages 0..k follows it.
 *
 * Bundles whose columns are proportional below k can never be told apart there:
 * they are added and leave as one stream.  A bundle that no stage below follows
 * ends here.  Example: with span 3 and mix furthest a stage in the middle hands
 * on two streams, one for the stage below it and one for the stage below that.
 * End to end there is one bundle, and one stream at every border.
 *
 * A pass is one trip of a gradient through the stage, and it costs.  A stage
 * needs one per stream that leaves and one that it learns from.  Since a bundle
 * may be multiplied by any factor, the factor is chosen, where that is
 * possible, so that a sum that leaves is also the sum that the stage learns
 * from: then one pass does both; but not where the stage learns from something
 * of its own besides (plan_spec.grows).
 */
#include "base/memory.h"
#include "plan/plan_impl.h"
#include <math.h>
#include <string.h>

/* Columns count as proportional up to this relative error: far above the
 * rounding of a few divisions, far below what a user could mean. */
#define NEARLY 1e-13

struct bundle {
  int id;         /* stream at the border above, or PLAN_OWN */
  double *weight; /* K, over heads */
  double *column; /* K, over stages */
};

struct work {
  int n_in, n_out;
  struct bundle *in, *out; /* K + 1 each */
  double *pool_in, *pool_out;
  int *group;     /* of an input; -1: ends here */
  int *leader;    /* of a group: its first input */
  double *factor; /* of an input in its group */
};

static void
work_clear (struct work *w)
{
  mem_free (&w->in);
  mem_free (&w->out);
  mem_free (&w->pool_in);
  mem_free (&w->pool_out);
  mem_free (&w->group);
  mem_free (&w->leader);
  mem_free (&w->factor);
}

static enum status
work_init (struct work *w, int K)
{
  size_t n = (size_t)K + 1, cells = 2 * n * (size_t)K;
  memset (w, 0, sizeof *w);
  TRY (MEM_NEW (n, &w->in, "bundles"));
  TRY (MEM_NEW (n, &w->out, "bundles"));
  TRY (MEM_NEW (cells, &w->pool_in, "bundles"));
  TRY (MEM_NEW (cells, &w->pool_out, "bundles"));
  TRY (MEM_NEW (n, &w->group, "bundles"));
  TRY (MEM_NEW (n, &w->leader, "bundles"));
  TRY (MEM_NEW (n, &w->factor, "bundles"));
  for (size_t i = 0; i < n; i++) {
    w->in[i].weight = w->pool_in + 2 * i * (size_t)K;
    w->in[i].column = w->in[i].weight + K;
    w->out[i].weight = w->pool_out + 2 * i * (size_t)K;
    w->out[i].column = w->out[i].weight + K;
  }
  return OK;
}

/* The streams that left the stage above become the inputs of stage k, behind
 * its own head. */
static void
gather (const struct plan *p, int k, struct work *w)
{
  struct bundle *in = w->in, *out = w->out;
  int K = p->K, n = 0;

  if (p->window_first[k] >= 0) {
    in[0].id = PLAN_OWN;
    for (int h = 0; h < K; h++)
      in[0].weight[h] = h == k ? 1.0 : 0.0;
    for (int j = 0; j < K; j++)
      in[0].column[j] = j <= k ? p->route[j * K + k] : 0.0;
    n = 1;
  }
  for (int i = 0; i < w->n_out; i++, n++) {
    in[n].id = i;
    memcpy (in[n].weight, out[i].weight, (size_t)K * sizeof (double));
    memcpy (in[n].column, out[i].column, (size_t)K * sizeof (double));
  }
  w->n_in = n;
}

static bool
proportional (const double *a, const double *b, int n)
{
  int r = 0;

  while (r < n && a[r] == 0 && b[r] == 0)
    r++;
  for (int j = r; j < n; j++) {
    if ((a[j] == 0) != (b[j] == 0))
      return false;
    /* Written so that an overflow counts as different. */
    if (!(fabs (a[j] - a[r] / b[r] * b[j]) <= NEARLY * a[j]))
      return false;
  }
  return true;
}

/* The last stage below k that follows the bundle; -1: none. */
static int
last_follower (const struct bundle *b, int k)
{
  int j = k - 1;
  while (j >= 0 && b->column[j] == 0)
    j--;
  return j;
}

static void
group (struct work *w, int k)
{
  w->n_out = 0;
  for (int i = 0; i < w->n_in; i++) {
    const double *c = w->in[i].column;
    int j = last_follower (&w->in[i], k), g = 0;
    w->group[i] = -1;
    if (j < 0)
      continue;
    while (g < w->n_out && !proportional (c, w->in[w->leader[g]].column, k))
      g++;
    if (g == w->n_out)
      w->leader[w->n_out++] = i;
    w->group[i] = g;
    w->factor[i] = c[j] / w->in[w->leader[g]].column[j];
  }
}

/* Whether what stage k learns from is, up to a factor, what leaves as group g.
 * If so, the factors of the group become those of learning: one pass for both.
 */
static bool
learns_what_leaves (struct work *w, int k, int g)
{
  double l = w->in[w->leader[g]].column[k];

  for (int i = 0; i < w->n_in; i++) {
    double c = w->in[i].column[k];
    if ((c != 0) != (w->group[i] == g))
      return false;
    if (c != 0 && !(fabs (c - l * w->factor[i]) <= NEARLY * c))
      return false;
  }
  for (int i = 0; i < w->n_in; i++)
    if (w->group[i] == g)
      w->factor[i] = w->in[i].column[k];
  return true;
}

/* The stream that leaves as group g, as a bundle for the stage below. */
static void
emit (const struct plan *p, struct work *w, int k, int g)
{
  struct bundle *o = &w->out[g];
  const struct bundle *first = &w->in[w->leader[g]];

  o->id = g;
  for (int j = 0; j < p->K; j++)
    o->column[j] = j < k ? first->column[j] / w->factor[w->leader[g]] : 0.0;
  for (int h = 0; h < p->K; h++) {
    o->weight[h] = 0;
    for (int i = 0; i < w->n_in; i++)
      if (w->group[i] == g)
        o->weight[h] += w->factor[i] * w->in[i].weight[h];
  }
}

static enum status
make_stream (struct plan *p, const struct work *w, int k, int g)
{
  struct plan_stream *s = &p->stream[k][g];
  int h = 0;

  TRY (MEM_NEW ((size_t)p->K, &s->weight, "stream"));
  memcpy (s->weight, w->out[g].weight, (size_t)p->K * sizeof (double));
  while (s->weight[h] == 0)
    h++;
  CHECK (p->window_first[h] <= k - 1 && h >= k, "window of head %d, border %d",
         h, k);
  s->border = k;
  s->index = g;
  s->window = h;
  return OK;
}

/* A pass over group g, or (g = -1) over what stage k learns from. */
static enum status
make_pass (struct plan *p, const struct work *w, int k, int g, bool learn)
{
  struct plan_pass *pass = &p->pass[k][p->n_passes[k]];
  size_t most = (size_t)w->n_in;

  pass->stage = k;
  pass->index = p->n_passes[k]++;
  pass->out = g;
  pass->learn = learn;
  TRY (MEM_NEW (most, &pass->in, "pass"));
  TRY (MEM_NEW (most, &pass->coef, "pass"));
  for (int i = 0; i < w->n_in; i++) {
    double c = w->in[i].column[k];
    if (g < 0 ? c == 0 : w->group[i] != g)
      continue;
    pass->in[pass->n_in] = w->in[i].id;
    pass->coef[pass->n_in++] = g < 0 ? c : w->factor[i];
  }
  return OK;
}

/* The sum that stage k learns from is its row of the table. */
static void
check_row (const struct plan *p, const struct work *w, int k)
{
  for (int h = 0; h < p->K; h++) {
    double want = p->route[k * p->K + h], got = 0;
    for (int i = 0; i < w->n_in; i++)
      got += w->in[i].column[k] * w->in[i].weight[h];
    CHECK (fabs (got - want) <= 1e-12 * fmax (1.0, want),
           "stage %d, head %d: %.17g for %.17g", k, h, got, want);
  }
}

static enum status
make_stage (struct plan *p, struct work *w, int k)
{
  int merged = -1;

  gather (p, k, w);
  check_row (p, w, k);
  group (w, k);
  for (int g = 0; g < w->n_out && merged < 0 && !plan_grows (p, k); g++)
    if (learns_what_leaves (w, k, g))
      merged = g;
  p->n_streams[k] = w->n_out;
  TRY (MEM_NEW ((size_t)w->n_out, &p->stream[k], "streams"));
  TRY (MEM_NEW ((size_t)w->n_out + 1, &p->pass[k], "passes"));
  for (int g = 0; g < w->n_out; g++) {
    emit (p, w, k, g);
    TRY (make_stream (p, w, k, g));
    TRY (make_pass (p, w, k, g, g == merged));
  }
  if (merged < 0 && !plan_route_frozen (p->K, k, p->route))
    TRY (make_pass (p, w, k, -1, true));
  return OK;
}

enum status
plan_streams (struct plan *p)
{
  struct work w;
  int K = p->K;
  enum status s;

  for (int h = 0; h < K; h++) {
    p->window_first[h] = -1;
    for (int k = h; k >= 0; k--)
      if (p->route[k * K + h] != 0)
        p->window_first[h] = k;
  }
  s = work_init (&w, K);
  for (int k = K - 1; s == OK && k >= 0; k--)
    s = make_stage (p, &w, k);
  work_clear (&w);
  plan_number_streams (p);
  return s;
}

void
plan_number_streams (struct plan *p)
{
  for (int b = 0; b < p->K; b++)
    p->streams_below[b + 1] = p->streams_below[b] + p->n_streams[b];
}

int
plan_producer (const struct plan *p, int border, int stream)
{
  for (int i = 0; i < p->n_passes[border]; i++)
    if (p->pass[border][i].out == stream)
      return i;
  CHECK (false, "nobody makes stream %d of border %d", stream, border);
  return -1;
}

int
plan_learner (const struct plan *p, int stage)
{
  for (int i = 0; i < p->n_passes[stage]; i++)
    if (p->pass[stage][i].learn)
      return i;
  return -1;
}

bool
plan_learns (const struct plan *p, int k)
{
  return plan_learner (p, k) >= 0;
}

bool
plan_updates (const struct plan *p, int k)
{
  return plan_learns (p, k) || p->head[k] != PLAN_SILENT;
}
