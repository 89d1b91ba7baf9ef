/* ranks: 0 */
/* Tables, and the streams and passes made from them: against the definition,
 * closed formulas, and a direct look at the columns of the table. */
#include "base/random.h"
#include "plan/plan.h"
#include "tests/plan/ask.h"
#include <string.h>

#define MOST 9

/* -- tables ------------------------------------------------------------------
 */

static bool
table_is (int K, int span, enum plan_mix mix)
{
  double route[MOST * MOST];
  bool good = plan_route (K, span, mix, route) == OK;

  for (int k = 0; good && k < K; k++) {
    double sum = 0;
    int n = 0;
    for (int h = 0; h < K; h++) {
      double w = route[k * K + h];
      bool far = h == (k + span - 1 > K - 1 ? K - 1 : k + span - 1);
      bool inside = h >= k && h < k + span;
      sum += w;
      n += w != 0;
      good = good && (w != 0) == (mix == PLAN_FURTHEST ? far : inside);
      good = good && (mix == PLAN_MEAN || w == 0 || w == 1);
    }
    good = good && (mix == PLAN_SUM || fabs (sum - 1) < 1e-15);
    good = good && n == (mix == PLAN_FURTHEST ? 1 : fmin (span, K - k));
  }
  return good && plan_route_check (K, route) == OK;
}

static void
refusals (void)
{
  double good[4] = {1, 2, 0, 1}, route[4];
  const struct {
    int at;
    double value;
    const char *what;
  } row[] = {{0, -1, "negative"},
             {0, NAN, "not a number"},
             {3, INFINITY, "infinite"},
             {2, 0.5, "an earlier head"}};

  tap_ok (plan_route_check (2, good) == OK, "a good table");
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    memcpy (route, good, sizeof route);
    route[row[i].at] = row[i].value;
    bool refused = plan_route_check (2, route) == E_CONFIG;
    char place[16];
    snprintf (place, sizeof place, "row %d", row[i].at / 2);
    tap_ok (refused && strstr (fail_message (), place), "refused: %s (%s)",
            row[i].what, fail_message ());
    fail_clear ();
  }
  tap_ok (plan_route (2, 3, PLAN_SUM, route) == E_CONFIG, "span above K");
  fail_clear ();
  tap_ok (plan_route (2, 0, PLAN_SUM, route) == E_CONFIG, "span 0");
  fail_clear ();
}

/* A row of zeros is a stage that does not learn, where that is meant. */
static void
frozen (void)
{
  const struct plan_reach reach = {.span = 0, .own = 0.5};
  double route[4] = {1, 2, 0, 0}, row[2] = {5, 5};

  tap_ok (plan_route_check_row (2, 1, route + 2) == E_CONFIG &&
              strstr (fail_message (), "row 1"),
          "refused: a row of zeros by hand (%s)", fail_message ());
  fail_clear ();
  tap_ok (plan_route_check (2, route) == OK, "a table with a frozen stage");
  tap_ok (plan_route_row (2, 0, &reach, row) == OK && row[0] == 0 &&
              row[1] == 0,
          "span 0 is a row of zeros");
  route[0] = route[1] = 0;
  tap_ok (plan_route_check (2, route) == E_CONFIG,
          "refused: nothing learns (%s)", fail_message ());
  fail_clear ();
}

/* -- plans -------------------------------------------------------------------
 */

static struct plan *
plan_of (int K, const double *route)
{
  int rank_of[MOST];
  struct plan *p = NULL;
  struct plan_spec spec = {.K = K,
                           .route = route,
                           .n_micro = 1,
                           .n_pipe = K,
                           .n_replicas = 1,
                           .rank_of = rank_of};

  for (int k = 0; k < K; k++)
    rank_of[k] = k;
  if (plan_create (&spec, &p) != OK)
    tap_note ("%s", fail_message ());
  return p;
}

/* Columns a and b of the table, rows 0 .. n - 1, are zero, or proportional. */
static bool
alike (const double *route, int K, int a, int b, int n)
{
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      double x = route[i * K + a] * route[j * K + b];
      double y = route[j * K + a] * route[i * K + b];
      if (fabs (x - y) > 1e-9 * fmax (x, y))
        return false;
    }
  return true;
}

static bool
followed (const double *route, int K, int h, int n)
{
  for (int k = 0; k < n; k++)
    if (route[k * K + h] != 0)
      return true;
  return false;
}

/* Kinds of gradient that stages below border b have to tell apart. */
static int
kinds_at (const double *route, int K, int b)
{
  int n = 0;
  for (int h = b; h < K; h++) {
    bool fresh = followed (route, K, h, b);
    for (int g = b; g < h && fresh; g++)
      fresh = !followed (route, K, g, b) || !alike (route, K, g, h, b);
    n += fresh;
  }
  return n;
}

/* Follow the passes from the top with one number per loss: what a stage learns
 * from must be its row. */
static bool
passes_give_rows (const struct plan *p)
{
  double at[MOST + 2][MOST][MOST] = {{{0}}};
  int K = p->K;
  bool good = true;

  for (int k = K - 1; k >= 0; k--) {
    int learners = 0, wanted = 0;
    for (int i = 0; i < p->n_passes[k]; i++) {
      const struct plan_pass *pass = &p->pass[k][i];
      double sum[MOST] = {0};
      for (int j = 0; j < pass->n_in; j++)
        for (int h = 0; h < K; h++)
          sum[h] += pass->coef[j] * (pass->in[j] == PLAN_OWN
                                         ? (double)(h == k)
                                         : at[k + 1][pass->in[j]][h]);
      for (int h = 0; h < K && pass->out >= 0; h++)
        at[k][pass->out][h] = sum[h];
      learners += pass->learn;
      for (int h = 0; h < K && pass->learn; h++)
        good = good && fabs (sum[h] - p->route[k * K + h]) <= 1e-12;
    }
    for (int h = 0; h < K; h++)
      wanted = p->route[k * K + h] != 0 ? 1 : wanted;
    good = good && learners == wanted;
  }
  return good;
}

static bool
streams_are_few (const struct plan *p)
{
  bool good = true;
  for (int b = 1; b < p->K; b++) {
    int n = kinds_at (p->route, p->K, b);
    good = good && p->n_streams[b] == n;
    for (int i = 0; good && i < n; i++) {
      int h = p->stream[b][i].window;
      good = h >= b && p->window_first[h] < b && p->window_first[h] >= 0 &&
             p->stream[b][i].weight[h] != 0;
    }
  }
  return good;
}

static bool
ones (const struct plan *p)
{
  for (int k = 0; k < p->K; k++)
    for (int i = 0; i < p->n_passes[k]; i++)
      for (int j = 0; j < p->pass[k][i].n_in; j++)
        if (p->pass[k][i].coef[j] != 1)
          return false;
  return true;
}

/* A stage hands on what earlier stages learn from, a pass for each head, and
 * learns in one of these passes or in one more. */
static bool
furthest_counts (const struct plan *p, int span)
{
  int acts, grads, K = p->K, far = span - 1;
  bool good;

  plan_messages (p, &acts, &grads);
  good = acts == K - 1 && grads == (span - 1) * (K - span + 1);
  for (int k = 0; k < K; k++) {
    bool passed[MOST] = {false};
    int mine = k + far < K ? k + far : K - 1, n = 0;
    for (int j = 0; j < k; j++)
      if (j + far >= k)
        passed[j + far < K ? j + far : K - 1] = true;
    for (int h = 0; h < K; h++)
      n += passed[h];
    good = good && p->n_passes[k] == n + !passed[mine];
  }
  return good;
}

static bool
regular (int K, int span, enum plan_mix mix)
{
  double route[MOST * MOST];
  struct plan *p;
  bool good;

  if (plan_route (K, span, mix, route) != OK)
    return false;
  p = plan_of (K, route);
  if (!p)
    return false;
  good = passes_give_rows (p) && streams_are_few (p);
  good = good && (mix == PLAN_MEAN || ones (p));
  good = good && (mix != PLAN_FURTHEST || furthest_counts (p, span));
  plan_destroy (&p);
  return good;
}

/* Random tables, with rows and columns repeated and scaled so that gradients
 * have something to share. */
static bool
random_table (uint64_t seed)
{
  struct random_key key = {.seed = seed, .purpose = RANDOM_TEST};
  int K = 2 + (int)(seed % 6);
  double route[MOST * MOST] = {0};
  uint64_t at = 0;
  struct plan *p;
  bool good;

  for (int k = 0; k < K; k++)
    for (int h = k; h < K; h++) {
      uint64_t pick = random_below (&key, at++, 4);
      if (pick == 1)
        route[k * K + h] = 1;
      else if (pick == 2)
        route[k * K + h] = 0.1 + random_uniform (&key, at++);
      else if (pick == 3 && h > k)
        route[k * K + h] = 0.7 * route[k * K + h - 1];
      if (h == K - 1 && route[k * K + h] == 0)
        route[k * K + h] = 0.3;
    }
  for (int k = 1; k < K && seed % 2; k++) /* frozen: the one before learns */
    if (random_below (&key, at++, 3) == 0)
      memset (route + k * K, 0, (size_t)K * sizeof *route);
  p = plan_of (K, route);
  if (!p)
    return false;
  good = passes_give_rows (p) && streams_are_few (p);
  plan_destroy (&p);
  return good;
}

/* A row as the contract defines it, one head after the other. */
static double
defined (int K, int k, int h, const struct plan_reach *r)
{
  int n = 0, far = -1;
  for (int i = k; i < k + r->span && i < K; i++)
    n++, far = i;
  if (h < k || h > far)
    return 0;
  if (r->mix != PLAN_FURTHEST)
    return r->mix == PLAN_SUM ? 1 : 1.0 / n;
  return h == far ? 1 : h == k ? r->own : 0;
}

/* A reach for each stage, with some weight of its own head. */
static bool
random_reaches (uint64_t seed)
{
  struct random_key key = {.seed = seed, .purpose = RANDOM_TEST, .a = 1};
  int K = 1 + (int)(seed % MOST);
  double route[MOST * MOST];
  struct plan_reach r = {.mix = (enum plan_mix) (seed % 3)};
  bool good = true;

  if (seed % 2)
    r.own = random_uniform (&key, 0);
  for (int k = 0; k < K; k++) {
    r.span = 1 + (int)random_below (&key, (uint64_t)k + 1, (uint64_t)K);
    good = good && plan_route_row (K, k, &r, route + k * K) == OK;
    for (int h = 0; h < K; h++)
      good = good && route[k * K + h] == defined (K, k, h, &r);
  }
  good = good && plan_route_check (K, route) == OK;
  struct plan *p = good ? plan_of (K, route) : NULL;
  good = p && passes_give_rows (p) && streams_are_few (p);
  plan_destroy (&p);
  return good;
}

/* The last loss for all is the longest span. */
static void
plain (void)
{
  double route[64], want[64];
  bool good = true;
  for (int K = 1; K <= 8; K++) {
    size_t bytes = (size_t)(K * K) * sizeof (double);
    good = good && plan_route (K, K, PLAN_FURTHEST, want) == OK;
    plan_route_plain (K, NULL, route);
    good = good && memcmp (route, want, bytes) == 0;
  }
  tap_ok (good, "plain backpropagation is span K");
}

/* What the head comment of the room's passes promises in plain cases. */
static void
shapes (void)
{
  double route[16];
  struct plan *p;

  plan_route (4, 4, PLAN_FURTHEST, route);
  p = plan_of (4, route);
  tap_ok (p->n_passes[1] == 1 && p->pass[1][0].learn && p->pass[1][0].out == 0,
          "end to end: one pass learns and hands on");
  tap_ok (p->n_passes[0] == 1 && p->pass[0][0].out == -1, "and ends below");
  tap_ok (p->head[0] == PLAN_SILENT && p->head[3] == PLAN_ACTIVE,
          "inner heads are silent, the last is not");
  plan_destroy (&p);

  plan_route (4, 2, PLAN_FURTHEST, route);
  p = plan_of (4, route);
  tap_ok (p->n_passes[1] == 2 && !p->pass[1][0].learn &&
              p->pass[1][0].out == 0 && p->pass[1][1].learn &&
              p->pass[1][1].out == -1,
          "span 2: a relay, then a pass that only learns");
  tap_ok (p->pass[1][0].in[0] == PLAN_OWN && p->pass[1][1].in[0] == 0,
          "the relay takes the own head, learning the stream");
  tap_ok (p->window_first[0] == -1 && p->window_first[3] == 2, "windows");
  plan_destroy (&p);

  plan_route (4, 4, PLAN_MEAN, route);
  p = plan_of (4, route);
  tap_ok (p->n_passes[2] == 1 && p->n_streams[2] == 1,
          "mean over all: sums travel as one");
  plan_destroy (&p);
}

/* A stage that learns from something of its own besides hands on without it. */
static void
grows (void)
{
  double route[16];
  struct plan *p, *q;

  plan_route (4, 4, PLAN_FURTHEST, route);
  p = ask_plan (&(struct ask){.K = 4, .route = route, .grows = true});
  q = ask_plan (&(struct ask){.K = 4, .route = route});
  tap_ok (p->n_passes[1] == 2 && !p->pass[1][0].learn &&
              p->pass[1][0].out == 0 && p->pass[1][1].learn &&
              p->pass[1][1].out == -1,
          "grows, end to end: a relay, then a pass that only learns");
  tap_ok (p->n_passes[0] == 1 && p->n_passes[3] == 1 && p->pass[3][0].learn &&
              p->pass[3][0].out == 0,
          "not of the last stage, and the first has nobody below");
  tap_ok (plan_hash (p) != plan_hash (q), "it is another plan");
  tap_ok (plan_grows (p, 0) && plan_grows (p, 2) && !plan_grows (p, 3) &&
              !plan_grows (q, 0),
          "inner stages grow, where it is asked");
  plan_destroy (&p);
  plan_destroy (&q);
  plan_route (4, 2, PLAN_FURTHEST, route);
  route[5] = route[6] = route[7] = 0;
  p = ask_plan (&(struct ask){.K = 4, .route = route, .grows = true});
  tap_ok (p->n_passes[0] == 1 && p->n_passes[2] == 1 && !plan_grows (p, 1),
          "span 2: no pass more; a frozen stage learns from nothing");
  plan_destroy (&p);
}

int
main (void)
{
  static const enum plan_mix mix[] = {PLAN_FURTHEST, PLAN_SUM, PLAN_MEAN};
  int bad = 0;

  refusals ();
  frozen ();
  for (int K = 1; K <= MOST; K++) {
    int tables = 0, plans = 0;
    for (int span = 1; span <= K; span++)
      for (int i = 0; i < 3; i++) {
        tables += !table_is (K, span, mix[i]);
        plans += !regular (K, span, mix[i]);
      }
    tap_ok (tables == 0, "K = %d: tables as defined", K);
    tap_ok (plans == 0, "K = %d: streams, passes and counts", K);
  }
  for (uint64_t seed = 0; seed < 400; seed++)
    bad += !random_table (seed);
  tap_ok (bad == 0, "%d of 400 random tables differ", bad);
  bad = 0;
  for (uint64_t seed = 0; seed < 400; seed++)
    bad += !random_reaches (seed);
  tap_ok (bad == 0, "%d of 400 random reaches differ", bad);
  plain ();
  shapes ();
  grows ();
  return tap_done ();
}
