/* ranks: 1 2 3 4 */
/* tests/train/flow.c -- the root mean square of every stage's output, and the
 * norm of every stage's gradient.
 *
 * Training keeps its bits; values are the same for any folding; they are those
 * of the numbers that lie in the stages; cut into micro-batches or replicas a
 * batch has the same ones, but for rounding; steps without a row have none.
 */
#define TAP_MPI
#include "base/place.h"
#include "tests/run/h5.h"

enum { K = 4, STEPS = 3, VALUES = STEPS * 2 * K };

struct row {
  const char *span, *border;
  bool tokens, tied;
  int micro;
  double clip;
};

static const struct row rows[] = {
    {"1", "none", false, false, 1, 0},   {"4", "rms", false, false, 2, 0.1},
    {"2", "none", true, false, 2, 0.05}, {"2", "ln", true, true, 1, 0},
    {"1", "none", true, true, 4, 0.05},
};

static void
config (const struct rig *r, const struct row *row, struct config *c)
{
  rig_config (r, K, c);
  if (row->tokens) {
    rig_language (c);
    snprintf (c->file, CONFIG_PATH, "%.*s/tokens.h5", CONFIG_PATH - 16,
              r->folder);
    c->tied = row->tied;
    c->optimizer = CONFIG_ADAMW;
    c->lr = 0.01;
    snprintf (c->head, CONFIG_TEXT, "%s", row->tied ? "ln-shared" : "ln-fc");
  }
  snprintf (c->span, CONFIG_WORD, "%s", row->span);
  key_set (KEY_OF (border), row->border, c);
  c->micro = row->micro;
  c->clip = row->clip;
}

/* -- what lies in the stages -------------------------------------------------
 */

static double
squares (const float *x, size_t n)
{
  double sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += (double)x[i] * (double)x[i];
  return sum;
}

/* Of the last step of this rank's stages: 2 K. */
static void
look (struct session *s, struct local_stage *l, int64_t step, void *context)
{
  double *seen = context;
  struct tensor y;
  float *block;
  size_t n;
  if (step < STEPS - 1)
    return;
  stage_output (l->stage, 0, &y);
  n = y.bytes / sizeof (float);
  seen[l->k] = sqrt (squares (y.data, n) / (double)n);
  stage_gradients (l->stage, STAGE_BODY, &block, &n);
  seen[K + l->k] = sqrt (squares (block, n));
  (void)s;
}

/* Steps of a run; values of each, digests, and what look found. */
static void
walk (struct wire *w, const struct config *c, bool measured, double *values,
      char **digests, double *seen)
{
  struct session s;
  struct ballots b = {.s = NULL};
  rig_session (w, c, &s);
  if (measured)
    rig_must (flow_open (&s, &b.flow));
  rig_must (ballot_open (&s, &b));
  if (seen) {
    s.on_gradients = look;
    s.on_gradients_context = seen;
  }
  rig_must (session_begin (&s, 0, STEPS));
  for (int64_t step = 0; step < STEPS; step++) {
    flow_ask (b.flow, step);
    rig_must (session_step (&s, step));
    rig_must (ballot_cast (&b, step, STOP_NONE));
    rig_must (ballot_read (&b, step));
    if (values)
      memcpy (values + step * 2 * K, flow_result (b.flow),
              2 * K * sizeof *values);
  }
  rig_must (session_end (&s));
  if (digests)
    rig_must (check_state_digests (&s, digests));
  ballot_close (&b);
  session_close (&s);
}

static void
walk_alone (const struct config *c, double *values)
{
  struct wire *alone = NULL;
  int rank = place_rank (), size = place_size ();
  rig_must (wire_open_alone (&alone));
  walk (alone, c, true, values, NULL, NULL);
  wire_close (&alone);
  place_rank_set (rank, size);
}

static double
difference (const double *a, const double *b, int n)
{
  double worst = 0;
  for (int i = 0; i < n; i++)
    worst = fmax (worst, fabs (a[i] / b[i] - 1));
  return worst;
}

static void
test_row (struct rig *r, const struct row *row)
{
  struct config c;
  char *plain = NULL, *beside = NULL, name[96];
  double want[VALUES] = {0}, got[VALUES] = {0}, seen[2 * K] = {0};
  snprintf (name, sizeof name, "span %s%s%s, border %s, micro %d, clip %g",
            row->span, row->tokens ? ", tokens" : "", row->tied ? ", tied" : "",
            row->border, row->micro, row->clip);
  config (r, row, &c);
  walk (r->w, &c, false, NULL, &plain, NULL);
  walk (r->w, &c, true, got, &beside, seen);
  const char *differs = plain ? rig_difference (plain, beside) : "";
  tap_ok (differs[0] == '\0', "%s: training keeps its bits%s", name, differs);
  if (wire_rank (r->w) == 0)
    walk_alone (&c, want);
  tap_ok (wire_rank (r->w) != 0 || memcmp (want, got, sizeof got) == 0,
          "%s: the same values on one rank without messages", name);
  /* Each rank looks at what lies in its stages: of outputs the last
   * micro-batch, where there is one only. */
  const double *last = got + (STEPS - 1) * 2 * K;
  double off = 0;
  for (int i = row->micro == 1 ? 0 : K; i < 2 * K; i++)
    if (seen[i] > 0)
      off = fmax (off, fabs (last[i] / seen[i] - 1));
  tap_ok (off < 1e-9, "%s: of what lies in the stages, off by %.1e", name, off);
  for (int i = 0; i < VALUES; i++)
    off = got[i] > 0 && isfinite (got[i]) ? off : INFINITY;
  tap_ok (off < 1, "%s: none is zero", name);
  mem_free (&plain);
  mem_free (&beside);
}

/* Without BatchNorm the parts of a batch are the batch. */
static void
test_parts (struct rig *r, int micro, int replicas)
{
  static const struct row whole = {"2", "none", true, false, 1, 0};
  struct config c;
  double want[VALUES], got[VALUES];
  config (r, &whole, &c);
  c.order = CONFIG_SEQUENTIAL;
  c.micro = micro;
  c.replicas = replicas;
  walk (r->w, &c, true, got, NULL, NULL);
  c.micro = c.replicas = 1;
  if (wire_rank (r->w) == 0)
    walk_alone (&c, want);
  double off = wire_rank (r->w) == 0 ? difference (got, want, 2 * K) : 0;
  tap_ok (off < 1e-5, "%d micro-batches, %d replicas: off by %.1e", micro,
          replicas, off);
}

/* 700 steps have a row every 7, and the last step ends one. */
static void
test_when (struct rig *r)
{
  struct config c;
  struct session s;
  struct flow *f = NULL;
  int wrong = 0;
  config (r, &rows[0], &c);
  c.steps = 702;
  rig_session (r->w, &c, &s);
  rig_must (flow_open (&s, &f));
  for (int64_t step = 0; step < 702; step++) {
    flow_ask (f, step);
    wrong += s.flow.on != (step % 7 == 6 || step == 701);
  }
  tap_ok (wrong == 0, "steps with a row are measured, and no others");
  flow_close (&f);
  session_close (&s);
}

/* Rows of a table: who stands alone. */
static void
test_outgrows (void)
{
  static const struct {
    double rms[4];
    int who; /* -1: nobody */
    const char *name;
  } cases[] = {
      {{54.7, 4.86, 3.95, 4.75}, 0, "the first, 2-wise after 105 steps"},
      {{18.7, 3.7, 2.73, 3.61}, -1, "not yet after 55"},
      {{6.39, 4.21, 2.46, 2.57}, -1, "3-wise"},
      {{0.185, 0.456, 0.953, 2.29}, -1, "local, growing with depth"},
      {{0.0299, 0.994, 1, 1}, -1, "an embedding before larger ones"},
      {{1, 30, 2, 1}, 1, "one in the middle"},
      {{1, 30, 31, 29}, -1, "a step up that stays"},
      {{30, 31, 1, 1}, -1, "two that are large together"},
      {{1, 1, 1, 50}, -1, "the last is nobody's neighbour"},
      {{1, 1, NAN, 1}, -1, "no number"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int who = -1, n = 0;
    for (int k = 0; k < K; k++)
      if (flow_outgrows (cases[i].rms, K, k))
        who = k, n++;
    tap_ok (who == cases[i].who && n <= 1, "outgrows: %s", cases[i].name);
  }
  tap_ok (flow_outgrows ((double[]){11, 1}, 2, 0) &&
              !flow_outgrows ((double[]){9, 1}, 2, 0) &&
              !flow_outgrows ((double[]){11}, 1, 0),
          "two stages, and one");
}

/* Makes a block's output a thousand times as large; the block behind it begins
 * with BatchNorm on both of its ways. */
static void
blow_up (struct session *s)
{
  for (int i = 0; i < s->n_local; i++)
    for (int j = 0; j < stage_tensors (s->local[i].stage); j++) {
      struct tensor_info info;
      bool head, statistic;
      float v[8];
      stage_tensor (s->local[i].stage, j, &info, &head, &statistic);
      if (head || strcmp (info.name, "layer1.1.bn2.weight") != 0)
        continue;
      for (int c = 0; c < 8; c++)
        v[c] = 1000;
      rig_must (stage_tensor_in (s->local[i].stage, j, STAGE_VALUE, v));
      rig_must (stage_refresh (s->local[i].stage));
    }
}

/* How often a word stands in the events of a run; on the root. */
static int
events (const char *folder, const char *word)
{
  char *text = NULL;
  int n = 0;
  rig_must (store_run_get (folder, "events.jsonl", &text));
  for (const char *at = text; (at = strstr (at, word)); at++)
    n++;
  mem_free (&text);
  return n;
}

static void
test_warning (struct rig *r, const char *border)
{
  struct config c;
  struct session s;
  struct ballots b = {.s = NULL};
  struct store_run *run = NULL;
  char folder[CONFIG_PATH + 32];
  const bool root = wire_rank (r->w) == 0, none = strcmp (border, "none") == 0;
  config (r, &rows[0], &c);
  key_set (KEY_OF (border), border, &c);
  c.lr = 0;
  snprintf (folder, sizeof folder, "%s-%s", r->folder, border);
  if (root)
    rig_must (store_run_open (folder, &run));
  rig_session (r->w, &c, &s);
  s.run = run;
  blow_up (&s);
  rig_must (flow_open (&s, &b.flow));
  rig_must (ballot_open (&s, &b));
  rig_must (session_begin (&s, 0, STEPS));
  for (int64_t step = 0; step < STEPS; step++) {
    flow_ask (b.flow, step);
    rig_must (session_step (&s, step));
    rig_must (ballot_cast (&b, step, STOP_NONE));
    rig_must (ballot_read (&b, step));
    rig_must (flow_warn (b.flow, step));
  }
  rig_must (session_end (&s));
  if (root && run)
    rig_must (store_run_event (run, "end", 0, NULL));
  tap_ok (!root || events (folder, "\"outgrown\"") == (none ? 1 : 0),
          "border %s: %s", border, none ? "one warning" : "none");
  tap_ok (!root || !none || events (folder, "\"step\":1,\"stage\":1,") == 1,
          "border %s: at once, of stage 1", border);
  ballot_close (&b);
  session_close (&s);
  store_run_close (&run);
  if (root)
    rig_remove (folder);
}

/* Evaluation measures nothing. */
static void
test_eval (struct rig *r)
{
  struct config c;
  struct session s;
  struct session_spec spec = {
      .design = {.forward_only = true, .guess_costs = true}};
  struct flow *f = NULL;
  config (r, &rows[0], &c);
  rig_must (session_open (r->w, &c, &spec, &s));
  rig_must (flow_open (&s, &f));
  tap_ok (!flow_result (f) && flow_votes (f) == 0,
          "nothing of it in evaluation");
  session_close (&s);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 32, 16);
  h5_language (&r, "tokens", 40);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    test_row (&r, &rows[i]);
  test_parts (&r, 4, 1);
  if (wire_size (r.w) % 2 == 0)
    test_parts (&r, 2, 2);
  test_when (&r);
  test_outgrows ();
  test_warning (&r, "none");
  test_warning (&r, "rms");
  test_eval (&r);
  rig_close (&r);
  return tap_done ();
}
