/* ranks: 1 2 3 4 */
/* tests/train/agreement.c -- train.agreement: cosine and norm ratio of what the
 * strategy makes a stage follow and of the end-to-end gradient.
 *
 * Training keeps its bits; values are the same for any folding; they are 1
 * where both gradients are one; they are those of gradients that two runs, each
 * with its own span, hand to their optimizers; and they are of the first
 * micro-batch of replica 0.
 */
#define TAP_MPI
#include "base/place.h"
#include "tests/run/h5.h"

enum { K = 4, STEPS = 3, VALUES = STEPS * 2 * K };

struct row {
  const char *span, *mix;
  bool tokens, tied, all;
  int micro, every;
  double clip, grow;
};

static const struct row rows[] = {
    {"4", "furthest", false, false, false, 1, 1, 0, 0},
    {"1", "furthest", false, false, false, 1, 1, 0, 0},
    {"2", "furthest", false, false, true, 2, 1, 0, 0},
    {"3", "furthest", false, false, false, 4, 2, 0.5, 0},
    {"3", "sum", false, false, false, 1, 1, 0, 0},
    {"4", "mean", false, false, true, 2, 1, 0, 0},
    {"4", "furthest", true, true, false, 2, 1, 0, 0},
    {"1", "furthest", true, false, false, 1, 1, 0, 0},
    {"2", "furthest", true, true, true, 2, 1, 0.5, 0},
    {"3", "mean", true, true, false, 1, 3, 0, 0},
};

static void
tokens_config (const struct rig *r, bool tied, struct config *c)
{
  snprintf (c->file, CONFIG_PATH, "%.*s/tokens.h5", CONFIG_PATH - 16,
            r->folder);
  rig_language (c);
  c->dropout = 0.2;
  c->tied = tied;
  c->head_tokens = 0.5;
  snprintf (c->head, CONFIG_TEXT, "%s", tied ? "ln-shared" : "ln-fc");
  c->optimizer = CONFIG_ADAMW;
  c->lr = 0.01;
}

static void
config (const struct rig *r, const struct row *row, struct config *c)
{
  rig_config (r, K, c);
  if (row->tokens)
    tokens_config (r, row->tied, c);
  else
    c->augment = CONFIG_AUGMENT_FLIP_CROP4;
  snprintf (c->span, CONFIG_WORD, "%s", row->span);
  key_set (KEY_OF (mix), row->mix, c);
  c->heads_all = row->all;
  c->micro = row->micro;
  c->clip = row->clip;
  c->grow = row->grow;
  c->agreement = row->every;
}

/* Steps of a run: digests of all it holds, and what was read in each step. */
static void
walk (struct wire *w, const struct config *c, double *values, char **digests)
{
  struct session s;
  struct ballots b = {.s = NULL};
  rig_session (w, c, &s);
  rig_must (agreement_open (&s, &b.agreement));
  rig_must (ballot_open (&s, &b));
  rig_must (session_begin (&s, 0, STEPS));
  for (int64_t step = 0; step < STEPS; step++) {
    rig_must (agreement_walk (b.agreement, step));
    rig_must (session_step (&s, step));
    rig_must (ballot_cast (&b, step, STOP_NONE));
    rig_must (ballot_read (&b, step));
    if (values && agreement_due (b.agreement, step))
      memcpy (values + step * 2 * K, agreement_result (b.agreement),
              2 * K * sizeof *values);
  }
  rig_must (agreement_settle (b.agreement));
  rig_must (session_end (&s));
  CHECK (wire_under_way (w) == 0, "messages are left");
  if (digests)
    rig_must (check_state_digests (&s, digests));
  ballot_close (&b);
  session_close (&s);
}

static void
walk_alone (const struct config *c, double *values, char **digests)
{
  struct wire *alone = NULL;
  int rank = place_rank (), size = place_size ();
  rig_must (wire_open_alone (&alone));
  walk (alone, c, values, digests);
  wire_close (&alone);
  place_rank_set (rank, size);
}

/* Stages whose own head in the route is the last one: both gradients are one.
 */
static bool
are_one (const struct row *row, const double *v)
{
  bool furthest = strcmp (row->mix, "furthest") == 0, good = true;
  for (int k = furthest ? K - atoi (row->span) : K - 1; k < K; k++)
    good = good && v[k] == 1 && v[K + k] == 1;
  return good;
}

/* All others point elsewhere; a cosine is one. */
static bool
are_sane (const struct row *row, const double *v)
{
  bool furthest = strcmp (row->mix, "furthest") == 0, good = true;
  for (int k = 0; k < (furthest ? K - atoi (row->span) : K - 1); k++)
    good = good && fabs (v[k]) < 1 && v[k] != 0 && v[K + k] > 0 &&
           v[K + k] != 1 && isfinite (v[K + k]);
  return good;
}

static void
test_row (struct rig *r, const struct row *row)
{
  struct config c, off;
  char *plain = NULL, *beside = NULL, name[128];
  double want[VALUES] = {0}, got[VALUES] = {0};
  bool one = true, sane = true;
  snprintf (name, sizeof name, "span %s, mix %s%s%s, micro %d, clip %g",
            row->span, row->mix, row->tokens ? ", tokens" : "",
            row->tied ? ", tied" : "", row->micro, row->clip);
  config (r, row, &c);
  off = c;
  off.agreement = 0;
  walk (r->w, &off, NULL, &plain);
  walk (r->w, &c, got, &beside);
  const char *differs = plain ? rig_difference (plain, beside) : "";
  tap_ok (differs[0] == '\0', "%s: training keeps its bits%s%s", name,
          differs[0] ? ": differs: " : "", differs);
  if (wire_rank (r->w) == 0)
    walk_alone (&c, want, NULL);
  tap_ok (wire_rank (r->w) != 0 || memcmp (want, got, sizeof got) == 0,
          "%s: the same values on one rank without messages", name);
  for (int step = 0; step < STEPS; step++)
    if ((step + 1) % row->every == 0) {
      one = one && are_one (row, got + step * 2 * K);
      sane = sane && are_sane (row, got + step * 2 * K);
    }
  tap_ok (one, "%s: 1 where the stage follows the last loss", name);
  tap_ok (sane, "%s: not 1 elsewhere", name);
  mem_free (&plain);
  mem_free (&beside);
}

/* -- against gradients of two runs -------------------------------------------
 */

struct collected { /* of one step: per stage the gradient of its body */
  double *v[K];
  size_t n[K];
};

/* The output unit is the last head. */
static bool
of_output (const char *name)
{
  return strncmp (name, "fc.", 3) == 0 || strncmp (name, "lm_head.", 8) == 0 ||
         strncmp (name, "transformer.ln_f.", 17) == 0;
}

static void
collect (struct session *s, struct local_stage *l, int64_t step, void *context)
{
  struct collected *g = context;
  (void)s;
  if (step > 0)
    return;
  mem_open ();
  for (int i = 0; i < stage_tensors (l->stage); i++) {
    struct tensor_info info;
    bool head, statistic;
    float *plain = NULL;
    stage_tensor (l->stage, i, &info, &head, &statistic);
    if (head || statistic || of_output (info.name))
      continue;
    size_t n = (size_t)tensor_info_count (&info), was = g->n[l->k];
    rig_must (MEM_NEW (n, &plain, "gradient"));
    rig_must (stage_tensor_out (l->stage, i, STAGE_GRAD, plain));
    rig_must (mem_grow (&g->v[l->k], was, was + n, sizeof (double), "all"));
    for (size_t j = 0; j < n; j++)
      g->v[l->k][was + j] = plain[j];
    g->n[l->k] += n;
    mem_free (&plain);
  }
  mem_close ();
}

/* The output matrix and the table of an untied network become one that is
 * tied. */
static void
copy_matrix (struct session *s, const float *matrix)
{
  for (int i = 0; i < s->n_local; i++)
    for (int j = 0; j < stage_tensors (s->local[i].stage); j++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s->local[i].stage, j, &info, &head, &statistic);
      if (!head && (strcmp (info.name, "lm_head.weight") == 0 ||
                    strcmp (info.name, "transformer.wte.weight") == 0))
        rig_must (stage_tensor_in (s->local[i].stage, j, STAGE_VALUE, matrix));
    }
}

static void
gradients (const struct config *c, const float *matrix, struct collected *out)
{
  struct wire *alone = NULL;
  struct session s;
  memset (out, 0, sizeof *out);
  rig_must (wire_open_alone (&alone));
  rig_session (alone, c, &s);
  if (matrix)
    copy_matrix (&s, matrix);
  s.on_gradients = collect;
  s.on_gradients_context = out;
  rig_must (session_begin (&s, 0, 1));
  rig_step (&s, 0);
  rig_must (session_end (&s));
  session_close (&s);
  wire_close (&alone);
}

/* Largest difference from what the two sets of gradients say. */
static double
difference (const double *values, const struct collected *a,
            const struct collected *b)
{
  double worst = 0;
  for (int k = 0; k < K; k++) {
    double ab = 0, aa = 0, bb = 0;
    CHECK (a->n[k] == b->n[k] && a->n[k] > 0, "stage %d: %zu and %zu", k,
           a->n[k], b->n[k]);
    for (size_t i = 0; i < a->n[k]; i++) {
      ab += a->v[k][i] * b->v[k][i];
      aa += a->v[k][i] * a->v[k][i];
      bb += b->v[k][i] * b->v[k][i];
    }
    worst = fmax (worst, fabs (values[k] - ab / sqrt (aa) / sqrt (bb)));
    worst = fmax (worst, fabs (values[K + k] - sqrt (aa) / sqrt (bb)));
  }
  return worst;
}

/* The matrix that stages of a tied network share, [RIG_WORDS, 12]. */
static void
tied_matrix (const struct config *c, float *out)
{
  struct wire *alone = NULL;
  struct session s;
  float *value;
  size_t n;
  rig_must (wire_open_alone (&alone));
  rig_session (alone, c, &s);
  stage_shared_value (s.local[0].stage, &value, &n);
  CHECK (n == RIG_WORDS * 12, "%zu numbers", n);
  memcpy (out, value, n * sizeof *out);
  session_close (&s);
  wire_close (&alone);
}

static void
clear (struct collected *g)
{
  for (int k = 0; k < K; k++)
    mem_free (&g->v[k]);
}

static void
test_two_runs (struct rig *r, const struct row *row)
{
  struct config c, whole;
  struct collected a, b;
  double values[VALUES];
  float matrix[RIG_WORDS * 12];
  config (r, row, &c);
  if (row->tokens)
    snprintf (c.head, CONFIG_TEXT, "ln-fc"); /* their own in both networks */
  walk_alone (&c, values, NULL);
  if (row->tied) {
    /* What a tied matrix gets from its use as a table is seen where the table
     * is one of its own. */
    tied_matrix (&c, matrix);
    c.tied = false;
  }
  c.agreement = 0;
  whole = c;
  snprintf (whole.span, CONFIG_WORD, "all");
  whole.mix = CONFIG_FURTHEST;
  whole.grow = 0;
  gradients (&c, row->tied ? matrix : NULL, &a);
  gradients (&whole, row->tied ? matrix : NULL, &b);
  double off = difference (values, &a, &b);
  tap_ok (off < 1e-9,
          "span %s, mix %s%s%s, grow %g: values of the gradients of two runs, "
          "off by %.1e",
          row->span, row->mix, row->tokens ? ", tokens" : "",
          row->tied ? ", tied" : "", row->grow, off);
  /* The comparison sees another route, and another order of the two. */
  double swapped = difference (values, &b, &a);
  tap_ok (swapped > 1e-3, "planted: the two in the other order");
  clear (&a);
  clear (&b);
}

/* -- parts of a batch --------------------------------------------------------
 */

/* The first quarter of a batch of 8, cut by micro-batches and replicas, as a
 * batch of its own. */
static void
test_part (struct rig *r, const struct row *row, int micro, int replicas)
{
  struct config c;
  double want[VALUES] = {0}, got[VALUES] = {0}, other[VALUES] = {0};
  config (r, row, &c);
  c.order = CONFIG_SEQUENTIAL;
  c.batch = 8;
  c.micro = micro;
  c.replicas = replicas;
  walk (r->w, &c, got, NULL);
  c.batch = 8 / (micro * replicas);
  c.micro = c.replicas = 1;
  if (wire_rank (r->w) == 0) {
    walk_alone (&c, want, NULL);
    c.batch = 8;
    walk_alone (&c, other, NULL);
  }
  bool here = wire_rank (r->w) == 0;
  tap_ok (!here || memcmp (want, got, 2 * K * sizeof *got) == 0,
          "span %s%s, %d micro-batches, %d replicas: of the first part alone",
          row->span, row->tokens ? ", tokens" : "", micro, replicas);
  tap_ok (!here || memcmp (other, got, 2 * K * sizeof *got) != 0,
          "and not of the whole batch");
}

/* Evaluation does not compare, whatever the configuration says. */
static void
test_eval (struct rig *r)
{
  struct config c;
  struct session s;
  struct session_spec spec = {
      .design = {.forward_only = true, .guess_costs = true}};
  config (r, &rows[1], &c);
  rig_must (session_open (r->w, &c, &spec, &s));
  struct agreement *a = NULL;
  rig_must (agreement_open (&s, &a));
  tap_ok (!agreement_result (a) && agreement_votes (a) == 0,
          "nothing of it in evaluation");
  session_close (&s);
}

/* What a plan says that it takes, and what it takes. */
static void
test_memory (struct rig *r, const struct row *row)
{
  struct config c;
  struct session s;
  struct design_estimate told[2];
  size_t held[2], blocks, peak;
  struct agreement *a = NULL;
  struct wire *alone = NULL;
  config (r, row, &c);
  c.batch = 32 * row->micro;
  if (row->tokens)
    c.d_model = 96;
  rig_must (wire_open_alone (&alone));
  for (int on = 0; on < 2; on++) {
    size_t before;
    c.agreement = on;
    rig_must (design_estimate (&c, 1, &told[on]));
    mem_count (&before, &blocks, &peak);
    rig_session (alone, &c, &s);
    rig_must (agreement_open (&s, &a));
    mem_count (&held[on], &blocks, &peak);
    held[on] -= before;
    agreement_close (&a);
    session_close (&s);
  }
  wire_close (&alone);
  double more = (double)held[1] - (double)held[0];
  double said = told[1].most_bytes - told[0].most_bytes;
  tap_ok (more > 0 && fabs (said / more - 1) < 0.15,
          "span %s%s: it takes %.0f bytes, the plan says %.0f", row->span,
          row->tokens ? ", tokens" : "", more, said);
}

int
main (int argc, char **argv)
{
  static const struct row alone[] = {
      {"1", "furthest", false, false, true, 1, 1, 0, 0},
      {"2", "furthest", false, false, true, 1, 1, 0, 0},
      {"3", "sum", false, false, true, 1, 1, 0, 0},
      {"3", "mean", false, false, true, 1, 1, 0, 0},
      {"2", "furthest", true, false, true, 1, 1, 0, 0},
      {"3", "sum", true, false, true, 1, 1, 0, 0},
      {"2", "furthest", true, true, true, 1, 1, 0, 0},
      {"1", "furthest", true, true, true, 1, 1, 0, 0},
      {"2", "furthest", true, false, true, 1, 1, 0, 300},
      {"4", "furthest", true, true, false, 1, 1, 0, 300},
      {"3", "sum", false, false, false, 1, 1, 0, 1},
  };
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 32, 16);
  h5_language (&r, "tokens", 40);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    test_row (&r, &rows[i]);
  if (wire_size (r.w) == 1) {
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
      test_two_runs (&r, &alone[i]);
    for (int i = 1; i < 8; i += 3)
      test_memory (&r, &rows[i]);
  }
  for (int tokens = 0; tokens < 2; tokens++) {
    const struct row *row = &rows[tokens ? 7 : 1];
    test_part (&r, row, 2, 1);
    if (wire_size (r.w) % 2 == 0)
      test_part (&r, row, 1, 2);
    if (wire_size (r.w) % 2 == 0)
      test_part (&r, row, 2, 2);
  }
  test_eval (&r);
  int result = tap_done ();
  rig_close (&r);
  return result;
}
