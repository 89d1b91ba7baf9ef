/* ranks: 1 2 3 */
/* tests/run/routes.c -- the table alone decides: random tables through the
 * whole engine, images and tokens, on one to three ranks, against the slow
 * reference of reference.h.  What is compared is how far every tensor of every
 * stage has moved.  Images take one step: both see the same bits on the way
 * forward, and no ReLU near its kink decides otherwise.  Tokens, which have no
 * kinks, take two.
 */
#define TAP_MPI
#include "base/place.h"
#include "tests/run/h5.h"
#include "tests/run/reference.h"

enum { MOST = 6 };

/* Of the length of a move.  Sums of some thousand terms in single precision
 * differ by their order by 1e-5, and a few of them lie behind each other.  A
 * wrong entry of a table is off by a tenth and more. */
#define LIMIT 1e-3

struct row {
  int K, micro;
  double clip;
  bool all;         /* heads */
  const char *cut;  /* of images; NULL: tokens */
  const char *head; /* of tokens; of images NULL: the usual one */
  bool tied;
  double head_tokens;
};
static const struct row rows[] = {
    {4, 1, 0, false, "2,1,1,rest", NULL, false, 1},
    {4, 2, 0, true, "2,1,1,rest", NULL, false, 1},
    {4, 2, 0.4, false, "2,1,1,rest", NULL, false, 1},
    {6, 4, 0, false, "1,1,1,1,1,rest", NULL, false, 1},
    {6, 1, 0.4, true, "1,1,1,1,1,rest", NULL, false, 1},
    {3, 4, 0.4, false, "1,3,rest", NULL, false, 1},
    {4, 1, 0, false, NULL, "ln-fc", false, 1},
    {4, 2, 0, false, NULL, "ln-fc", true, 1},
    {4, 2, 0.4, true, NULL, "ln-fc", true, 0.5},
    {5, 1, 0, false, NULL, "ln-shared", false, 1},
    {5, 4, 0.4, false, NULL, "ln-shared", false, 1},
    {4, 2, 0, true, NULL, "ln-shared", true, 1},
    {5, 1, 0.4, false, NULL, "ln-shared", true, 0.5},
    {3, 4, 0, true, NULL, "ln-shared", false, 1},
};

/* Random tables with frozen stages. */
static const struct row freezing[] = {
    {6, 2, 0, false, "1,1,1,1,1,rest", NULL, false, 1},
    {4, 1, 0.4, false, "2,1,1,rest", NULL, false, 1},
    {5, 1, 0, false, NULL, "ln-fc", false, 1},
    {6, 2, 0.4, true, "1,1,1,1,1,rest", NULL, false, 1},
    {4, 2, 0.4, true, NULL, "ln-fc", false, 0.5},
};

/* Images are made again, whatever stage the rank has. */
static const struct row rebuilding[] = {
    {4, 2, 0.4, false, "2,1,1,rest", "conv8-bn-gap-fc+rec0.5", false, 1},
    {6, 1, 0, true, "1,1,1,1,1,rest", "gap-fc+rec3", false, 1},
    {3, 4, 0, false, "1,3,rest", "conv8s2-bn-gap-fc+rec", false, 1},
};

static double grow; /* of the rows that follow: strategy.grow */

/* -- tables ------------------------------------------------------------------
 */

/* Entries of a half, or none; some rows are parts of the one before, so that
 * losses may travel together. */
static void
draw (int K, int number, bool frozen, double *route)
{
  const struct random_key key = {(uint64_t)number, RANDOM_TEST, 21, 0};
  uint64_t i = 0;
  for (int k = 0; k < K; k++) {
    bool any = false;
    const bool like = k > 0 && random_below (&key, i++, 3) == 0;
    for (int h = 0; h < K; h++) {
      double w = (double)(1 + random_below (&key, i++, 8)) / 4;
      if (random_below (&key, i++, 2) == 0)
        w = 0;
      if (like)
        w = route[(k - 1) * K + h] / 2;
      route[k * K + h] = h < k ? 0 : w;
      any = any || route[k * K + h] != 0;
    }
    if (!any)
      route[k * K + k + (int)random_below (&key, i++, (uint64_t)(K - k))] = 1;
  }
  const int learns = (int)random_below (&key, i++, (uint64_t)K);
  for (int k = 0; k < K && frozen; k++)
    if (k != learns && random_below (&key, i++, 2) == 0)
      memset (route + k * K, 0, (size_t)K * sizeof *route);
}

/* "1 0 .5 | 0 2 1 | 0 0 1". */
static const char *
words_of (int K, const double *route)
{
  static char line[MOST * MOST * 8];
  int at = 0;
  for (int i = 0; i < K * K; i++)
    at +=
        snprintf (line + at, sizeof line - (size_t)at, "%s%s%g",
                  i > 0 ? " " : "", i > 0 && i % K == 0 ? "| " : "", route[i]);
  return line;
}

/* -- configurations ----------------------------------------------------------
 */

static void
language_config (const struct rig *r, const struct row *row, struct config *c)
{
  snprintf (c->file, CONFIG_PATH, "%.*s/tokens.h5", CONFIG_PATH - 16,
            r->folder);
  rig_language (c);
  snprintf (c->cut, CONFIG_TEXT, "1,1,1,rest");
  if (row->K != 4)
    snprintf (c->cut, CONFIG_TEXT, row->K == 5 ? "1,1,1,1,rest" : "2,2,rest");
  c->tied = row->tied;
  c->head_tokens = row->head_tokens;
  snprintf (c->head, CONFIG_TEXT, "%s", row->head);
}

/* span and mix stay end to end: the table that is handed in decides. */
static void
make_config (const struct rig *r, const struct row *row, struct config *c)
{
  rig_config (r, row->K, c);
  c->order = CONFIG_SEQUENTIAL;
  c->micro = row->micro;
  c->clip = row->clip;
  c->heads_all = row->all;
  c->momentum = c->weight_decay = 0;
  c->lr = 0.1;
  c->steps = row->cut ? 1 : 2;
  if (row->cut)
    snprintf (c->cut, CONFIG_TEXT, "%s", row->cut);
  if (row->cut && row->head)
    snprintf (c->head, CONFIG_TEXT, "%s", row->head);
  if (!row->cut)
    language_config (r, row, c);
}

/* -- comparing ---------------------------------------------------------------
 */

/* Squares of the difference of two moves, and of the expected one. */
static void
compare (const struct ref_tensor *t, const float *value, double sum[2])
{
  for (size_t j = 0; j < t->n; j++) {
    double want = (double)t->value[j] - t->first[j];
    double move = (double)value[j] - t->first[j];
    sum[0] += (move - want) * (move - want);
    sum[1] += want * want;
  }
}

static double
relative (const double sum[2])
{
  return sum[0] == 0 ? 0 : sqrt (sum[0] / sum[1]);
}

/* Body and head of a stage, each as a whole: a bias in front of a BatchNorm
 * hardly moves. */
static double
stage_error (struct ref *r, struct local_stage *l)
{
  double sum[2][2] = {{0}};
  for (int i = 0; i < stage_tensors (l->stage); i++) {
    struct tensor_info info;
    bool head, statistic;
    float *v = NULL;
    stage_tensor (l->stage, i, &info, &head, &statistic);
    if (statistic)
      continue;
    struct ref_tensor *t = ref_find (r, l->k, head, info.name);
    if (!t) /* the owner's, under the name of the embedding */
      t = ref_find (r, l->k, false, "lm_head.weight");
    rig_must (MEM_NEW (t->n, &v, "values"));
    rig_must (stage_tensor_out (l->stage, i, STAGE_VALUE, v));
    compare (t, v, sum[t->own]);
    mem_free (&v);
  }
  return fmax (relative (sum[0]), relative (sum[1]));
}

/* The stage's copy of a shared matrix. */
static double
copy_error (struct ref *r, struct local_stage *l)
{
  double sum[2] = {0};
  float *value;
  size_t n;
  if (stage_shared (l->stage) != STAGE_SHARED_COPY)
    return 0;
  stage_shared_value (l->stage, &value, &n);
  compare (ref_find (r, r->K - 1, false, "lm_head.weight"), value, sum);
  return relative (sum);
}

static double
most (struct rig *r, double mine)
{
  double all[8];
  rig_must (wire_all_gather (r->w, &mine, 1, all));
  for (int i = 0; i < wire_size (r->w); i++)
    mine = fmax (mine, isfinite (all[i]) ? all[i] : INFINITY);
  return mine;
}

/* How far running statistics of a body are from 0 and 1. */
static double
statistics_moved (struct local_stage *l)
{
  double most = 0;
  for (int i = 0; i < stage_tensors (l->stage); i++) {
    struct tensor_info info;
    bool head, statistic;
    float *v = NULL;
    stage_tensor (l->stage, i, &info, &head, &statistic);
    if (!statistic || head || ref_is_output (info.name))
      continue;
    const size_t n = (size_t)tensor_info_count (&info);
    const bool variance = strstr (info.name, "running_var") != NULL;
    rig_must (MEM_NEW (n, &v, "values"));
    rig_must (stage_tensor_out (l->stage, i, STAGE_VALUE, v));
    for (size_t j = 0; j < n; j++)
      most = fmax (most, fabs (v[j] - variance));
    mem_free (&v);
  }
  return most;
}

/* Statistics of frozen stages stay as they are, those of the others do not. */
static double
frozen_error (const struct session *s, struct local_stage *l)
{
  const struct design *d = s->design;
  const double moved = statistics_moved (l);
  if (network_family (d->net)->rows || stage_is_first (l->stage))
    return 0; /* there are none, or (of the stem) hardly */
  if (plan_route_frozen (d->K, l->k, d->route))
    return moved > 0 ? INFINITY : 0;
  return moved > 0 || l->k == d->K - 1 ? 0 : INFINITY;
}

/* The engine walks `route`; how far it ends from where r did. */
static double
engine_error (struct rig *rig, const struct config *c, const double *route,
              struct ref *r)
{
  struct session s;
  double error = 0;
  const struct session_spec spec = {
      .design = {.guess_costs = true, .route = route}};
  rig_must (session_open (rig->w, c, &spec, &s));
  rig_must (session_begin (&s, 0, c->steps));
  for (int64_t step = 0; step < c->steps; step++)
    rig_step (&s, step);
  rig_must (session_end (&s));
  for (int i = 0; i < s.n_local; i++) {
    error = fmax (error, stage_error (r, &s.local[i]));
    error = fmax (error, copy_error (r, &s.local[i]));
    error = fmax (error, frozen_error (&s, &s.local[i]));
  }
  session_close (&s);
  return most (rig, error);
}

static void
test_row (struct rig *rig, const struct row *row, int number,
          enum config_border border, enum config_model_order order, bool frozen)
{
  struct config c;
  static struct ref r;
  double route[MOST * MOST];
  make_config (rig, row, &c);
  c.border = border;
  c.model_order = order;
  /* Tokens begin with small outputs. */
  c.grow = row->cut ? grow : 200 * grow;
  draw (row->K, number, frozen, route);
  ref_run (&r, &c, route, c.steps);
  double error = engine_error (rig, &c, route, &r);
  ref_clear (&r);
  tap_ok (
      error < LIMIT, "%s%s%s%s%s%s%s, micro %d, clip %g, route %s: off by %.1e",
      row->head ? row->head : "images", order == CONFIG_PRE ? ", pre" : "",
      row->tied ? ", tied" : "", row->head_tokens < 1 ? ", some tokens" : "",
      row->all ? ", all heads" : "", border ? ", border" : "",
      grow > 0 ? ", penalty" : "", row->micro, row->clip,
      words_of (row->K, route), error);
}

static void
add_row (int K, int k, const double *route, struct text *out)
{
  text_add (out, "%s", k ? " / " : "");
  if (plan_route_frozen (K, k, route))
    text_add (out, "frozen");
  else
    for (int h = 0; h < K; h++)
      text_add (out, " %.17g", route[k * K + h]);
}

/* Three tables, one after the other.  shift: the engine turns so many steps too
 * late. */
static double
phases_error (struct rig *rig, const struct row *row, int number, int shift)
{
  enum { PHASES = 3 };
  static double table[PHASES][MOST * MOST];
  const double *route[PHASES];
  const int K = row->K, each = row->cut ? 1 : 2;
  const bool frozen =
      row->head && strcmp (row->head, "ln-fc") == 0 && !row->tied;
  static struct ref r;
  struct config c;
  struct text dial;
  make_config (rig, row, &c);
  c.steps = PHASES * each;
  c.lr = 0.02; /* so that no ReLU of later steps decides otherwise */
  text_init (&dial);
  for (int i = 0; i < PHASES; i++) {
    draw (K, PHASES * number + i, frozen, table[i]);
    route[i] = table[i];
    text_add (&dial, "%s%d:", i ? ", " : "", i * each + (i ? shift : 0));
    for (int k = 0; k < K; k++)
      add_row (K, k, table[i], &dial);
  }
  c.dial[0] = '\0';
  ref_run_phases (&r, &c, PHASES, route, each);
  CHECK (key_set (KEY_OF (dial), dial.data, &c), "no dial: %s", dial.data);
  text_clear (&dial);
  double error = engine_error (rig, &c, NULL, &r);
  ref_clear (&r);
  return error;
}

static void
test_phases (struct rig *rig, const struct row *row, int number)
{
  double error = phases_error (rig, row, number, 0);
  tap_ok (error < LIMIT, "%s%s, micro %d, clip %g%s: three tables: off by %.1e",
          row->head ? row->head : "images", row->tied ? ", tied" : "",
          row->micro, row->clip, row->all ? ", all heads" : "", error);
}

/* The engine walks another table: one entry is a quarter more, or a loss is
 * left out; or it does not clip. */
static void
test_fault (struct rig *rig, const struct row *row)
{
  struct config c;
  static struct ref r;
  double route[MOST * MOST], more[MOST * MOST], other[MOST * MOST], error[4];
  const int K = row->K;
  make_config (rig, row, &c);
  for (int i = 0; i < K * K; i++)
    route[i] = i / K <= i % K ? 1 : 0;
  memcpy (more, route, sizeof more);
  memcpy (other, route, sizeof other);
  more[K + 2] = 1.25;
  other[1] = 0;
  ref_run (&r, &c, route, c.steps);
  error[0] = engine_error (rig, &c, more, &r);
  error[1] = engine_error (rig, &c, other, &r);
  struct config loose = c;
  loose.clip = 0;
  error[2] = engine_error (rig, &loose, route, &r);
  loose = c;
  loose.grow = row->cut ? 0.5 : 100;
  error[3] = engine_error (rig, &loose, route, &r);
  ref_clear (&r);
  tap_ok (error[0] > 20 * LIMIT && error[1] > 20 * LIMIT &&
              error[2] > 20 * LIMIT && error[3] > 20 * LIMIT,
          "planted: a quarter too much is off by %.1e, a loss left out by "
          "%.1e, norms left alone by %.1e, a penalty by %.1e",
          error[0], error[1], error[2], error[3]);
}

/* The engine gives the images that are made again another weight. */
static void
test_rebuilt_fault (struct rig *rig, const struct row *row)
{
  struct config c;
  static struct ref r;
  double route[MOST * MOST];
  make_config (rig, row, &c);
  draw (row->K, 500, false, route);
  ref_run (&r, &c, route, c.steps);
  snprintf (c.head, CONFIG_TEXT, "conv8-bn-gap-fc+rec0.75");
  double error = engine_error (rig, &c, route, &r);
  ref_clear (&r);
  tap_ok (error > 20 * LIMIT,
          "planted: another weight of images is off by %.1e", error);
}

/* -- around the walk ---------------------------------------------------------
 */

/* Stages that add up more than a few cotangents: in a full random table no two
 * losses can travel together. */
static void
test_wide (struct rig *rig)
{
  enum { WIDE = 72 };
  const struct row row = {WIDE, 1, 0, false, NULL, "ln-fc", false, 1};
  const struct random_key key = {1, RANDOM_TEST, 22, 0};
  static double route[WIDE * WIDE];
  static struct ref r;
  struct config c;
  for (int i = 0; i < WIDE * WIDE; i++)
    route[i] = i / WIDE <= i % WIDE
                   ? (double)(1 + random_below (&key, (uint64_t)i, 99)) / 1000
                   : 0;
  make_config (rig, &row, &c);
  c.layers = WIDE - 2;
  c.d_model = 6;
  snprintf (c.cut, CONFIG_TEXT, "auto");
  ref_run (&r, &c, route, c.steps);
  double error = engine_error (rig, &c, route, &r);
  ref_clear (&r);
  tap_ok (error < LIMIT, "a full table of %d stages: off by %.1e", WIDE, error);
}

/* Tables that are none. */
static void
test_refused (struct rig *rig)
{
  static const double bad[3][9] = {{1, 0, 0, 1, 1, 0, 0, 0, 1},
                                   {0, 0, 0, 0, 0, 0, 0, 0, 0},
                                   {1, 0, 0, 0, 1, NAN, 0, 0, 1}};
  struct config c;
  rig_config (rig, 3, &c);
  for (int i = 0; i < 3; i++) {
    struct session s;
    const struct session_spec spec = {
        .design = {.guess_costs = true, .route = bad[i]}};
    enum status e = session_open (rig->w, &c, &spec, &s);
    tap_ok (e == E_CONFIG, "refused: table %d", i);
    fail_clear ();
    if (e == OK)
      session_close (&s);
  }
}

/* Seconds of all inner heads in a prediction. */
static double
head_costs (struct rig *rig, const char *span, const char *mix)
{
  struct config c;
  struct design d;
  struct wire *alone = NULL;
  const struct design_spec spec = {.run = NULL};
  const int rank = place_rank (), size = place_size ();
  double sum = 0;
  rig_config (rig, 4, &c);
  c.heads_all = false;
  snprintf (c.span, CONFIG_WORD, "%s", span);
  key_set (KEY_OF (mix), mix, &c);
  rig_must (wire_open_alone (&alone));
  rig_must (design_sketch (alone, &c, 4, &spec, &d));
  for (int k = 0; k < d.K - 1; k++)
    sum += d.cost[k].head + d.cost[k].head_weights;
  design_close (&d);
  wire_close (&alone);
  place_rank_set (rank, size);
  return sum;
}

/* Heads that stages learn from cost the same whatever the strategy is called.
 */
static void
test_costs (struct rig *rig)
{
  const double want = head_costs (rig, "2", "sum");
  static const struct {
    const char *span, *mix;
    bool heads;
  } row[] = {{"all", "furthest", false},
             {"4", "sum", true},
             {"all", "sum", true},
             {"e2e", "mean", true},
             {"local", "furthest", true}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    double cost = head_costs (rig, row[i].span, row[i].mix);
    tap_ok (want > 0 && cost == (row[i].heads ? want : 0),
            "span %s, mix %s: inner heads cost %.3g s, expected %.3g",
            row[i].span, row[i].mix, cost, row[i].heads ? want : 0.0);
  }
}

int
main (int argc, char **argv)
{
  struct rig r;
  const bool big = getenv ("INTERLOCK_BIG") != NULL;
  const int rounds = big ? 4 : 1;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 32, 16);
  h5_language (&r, "tokens", 20);
  for (int round = 0; round < rounds; round++)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
      test_row (&r, &rows[i],
                round * (int)(sizeof rows / sizeof *rows) + (int)i,
                CONFIG_BORDER_NONE, CONFIG_POST, false);
  for (int i = 0; i < (big ? 30 : 3); i++)
    test_row (&r, &rebuilding[i % 3], 500 + i, CONFIG_BORDER_NONE,
              i % 4 ? CONFIG_POST : CONFIG_PRE, i % 5 == 4);
  test_rebuilt_fault (&r, &rebuilding[0]);
  test_row (&r, &rows[1], 1, CONFIG_BORDER_RMS, CONFIG_POST, false);
  test_row (&r, &rows[4], 4, CONFIG_BORDER_LN, CONFIG_POST, false);
  test_row (&r, &rows[8], 8, CONFIG_BORDER_RMS, CONFIG_POST, false);
  test_row (&r, &rows[12], 12, CONFIG_BORDER_LN, CONFIG_POST, false);
  for (int i = 0; i < (big ? 80 : 10); i++)
    test_row (&r, &freezing[i % (int)(sizeof freezing / sizeof *freezing)],
              100 + i, i % 5 ? CONFIG_BORDER_NONE : CONFIG_BORDER_RMS,
              i % 3 ? CONFIG_POST : CONFIG_PRE, true);
  for (int i = 2; i < 5; i++)
    test_row (&r, &rows[i], i, CONFIG_BORDER_NONE, CONFIG_PRE, false);
  grow = 2;
  for (int i = 0; i < (big ? 60 : 6); i++)
    test_row (&r, i % 3 < 2 ? &rows[(5 * i + 1) % 14] : &freezing[i % 5],
              300 + i, i % 4 ? CONFIG_BORDER_NONE : CONFIG_BORDER_RMS,
              i % 2 ? CONFIG_POST : CONFIG_PRE, i % 3 == 2);
  grow = 0;
  if (big)
    test_wide (&r);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    test_phases (&r, &rows[i], 100 + (int)i);
  for (int i = 0; i < 3; i++)
    test_phases (&r, &rebuilding[i], 200 + i);
  double late = phases_error (&r, &rows[6], 106, 1);
  tap_ok (late > 20 * LIMIT, "planted: a step too late is off by %.1e", late);
  test_fault (&r, &rows[2]);
  test_fault (&r, &rows[10]);
  test_refused (&r);
  test_costs (&r);
  int result = tap_done ();
  rig_close (&r);
  return result;
}
