/* ranks: 1 2 4 */
/* tests/run/golden.c -- training steps against values that another framework
 * computed (the files golden_*.h5; INTERLOCK_SHARED, or ../shared beside the
 * sources).  Every strategy in them, every listed value; the limits are those
 * that come with the files: relative to the largest expected value of
 * a tensor, sharp in step 1, wider later (a ReLU near zero may fall on either
 * side).
 */
#define TAP_MPI
#include "tests/run/golden.h"

enum kind {
  LOSSES_1,
  LOGITS_1,
  AUX_LOGITS_1,
  GRADS_1,
  PARAMS_1,
  BUFFERS_1,
  LOSSES,
  BUFFERS,
  UPDATE,
  EVAL_LOGITS,
  KINDS
};
static const char *const kind_names[KINDS] = {
    "losses of step 1",          "logits of step 1",
    "logits of heads in step 1", "gradients of step 1",
    "parameters after step 1",   "buffers after step 1",
    "losses of later steps",     "buffers after the last step",
    "update of each net",        "evaluation logits"};

struct tally {
  double worst; /* deviation over its limit */
  int n;        /* values or tensors compared here */
};

struct trial {
  const struct golden *g;
  const char *expected; /* the strategy compared with */
  bool aux;             /* its heads learn */
  bool fault;           /* it is meant to differ */
  struct tally tally[KINDS];
  float *got, *want; /* of the largest tensor */
};

static double
largest (const float *v, size_t n)
{
  double most = 0;
  for (size_t i = 0; i < n; i++)
    most = fmax (most, fabs ((double)v[i]));
  return most;
}

static double
apart (const float *a, const float *b, size_t n)
{
  double most = 0;
  for (size_t i = 0; i < n; i++) {
    double d = fabs ((double)a[i] - b[i]);
    if (!(d <= most)) /* a NaN stays */
      most = d;
  }
  return most;
}

static void
count (struct trial *t, enum kind kind, const char *name, double deviation,
       double limit)
{
  double ratio = deviation / limit;
  if (!(ratio <= 1) && !t->fault)
    fprintf (stderr, "# %s: %s: %s: off by %.3g, limit %.3g\n", t->expected,
             kind_names[kind], name, deviation, limit);
  if (!(ratio <= t->tally[kind].worst))
    t->tally[kind].worst = ratio;
  t->tally[kind].n++;
}

static size_t
expected (const struct trial *t, const char *what, const char *name,
          size_t room, float *out)
{
  char path[256];
  snprintf (path, sizeof path, "/strategies/%s/%s%s", t->expected, what, name);
  return golden_values (t->g, path, H5T_NATIVE_FLOAT, room, out);
}

static const struct golden_tensor *
find (const struct golden *g, const struct local_stage *l, int i)
{
  struct tensor_info info;
  bool head, statistic;
  char path[TENSOR_NAME + 32];
  stage_tensor (l->stage, i, &info, &head, &statistic);
  if (head)
    snprintf (path, sizeof path, "/heads/%d/%s", l->k, info.name);
  else
    snprintf (path, sizeof path, "/model/%s", info.name);
  for (int j = 0; j < g->n; j++)
    if (strcmp (g->tensor[j].path, path) == 0 &&
        g->tensor[j].n == (size_t)tensor_info_count (&info))
      return &g->tensor[j];
  return NULL;
}

static size_t
logits_of (const struct trial *t)
{
  return (size_t)(t->g->batch * t->g->seq * t->g->classes);
}

/* Those of the last forward on the slot; of tokens they are made now, so the
 * parameters must still be those of the forward. */
static double
logits_apart (struct trial *t, const struct local_stage *l, int slot)
{
  size_t n = logits_of (t);
  if (!t->g->tokens)
    return apart (stage_logits (l->stage, slot), t->want, n);
  rig_must (
      stage_token_logits (l->stage, slot, 0, t->g->batch * t->g->seq, t->got));
  return apart (t->got, t->want, n);
}

/* The slot whose head ran in a step. */
static int
head_slot (const struct session *s, int k)
{
  const struct plan_rank *r = &s->design->plan->rank[wire_pipe_rank (s->wire)];
  for (int i = 0; i < r->n_ops; i++)
    if (r->op[i].verb == PLAN_HEAD && r->op[i].stage == k)
      return r->op[i].slot;
  return -1;
}

static void
compare_logits (struct trial *t, const struct session *s,
                const struct local_stage *l)
{
  size_t n = logits_of (t);
  bool last = l->k == s->design->K - 1;
  int slot = head_slot (s, l->k);
  char name[16];
  snprintf (name, sizeof name, "%d", l->k);
  if (slot < 0 || (!last && !t->aux))
    return;
  if (expected (t, last ? "logits_step_1" : "aux_logits_step_1/",
                last ? "" : name, n, t->want) == n)
    count (t, last ? LOGITS_1 : AUX_LOGITS_1, name, logits_apart (t, l, slot),
           2e-5);
}

/* -- what is compared -------------------------------------------------------
 */

static void
on_gradients (struct session *s, struct local_stage *l, int64_t step,
              void *context)
{
  struct trial *t = context;
  if (step != 0)
    return;
  mem_open ();
  compare_logits (t, s, l);
  for (int i = 0; i < stage_tensors (l->stage); i++) {
    const struct golden_tensor *g = find (t->g, l, i);
    if (!g || g->buffer)
      continue;
    rig_must (stage_tensor_out (l->stage, i, STAGE_GRAD, t->got));
    if (expected (t, "grads_step_1/", g->name, g->n, t->want) == g->n)
      count (t, GRADS_1, g->name, apart (t->got, t->want, g->n),
             5e-4 * fmax (largest (t->want, g->n), 1e-3));
  }
  mem_close ();
}

static void
compare_losses (struct trial *t, const struct session *s,
                const struct stage_loss *loss, int step)
{
  size_t columns = t->aux ? (size_t)s->design->K : 1;
  if (wire_rank (s->wire) != 0 ||
      expected (t, "losses", "", t->g->largest, t->want) !=
          columns * (size_t)t->g->steps)
    return;
  for (size_t c = 0; c < columns; c++) {
    int k = t->aux ? (int)c : s->design->K - 1;
    double got = loss[k].loss / (double)(s->design->batch * t->g->seq);
    double want = (double)t->want[(size_t)step * columns + c];
    count (t, step == 0 ? LOSSES_1 : LOSSES, "loss", fabs (got - want),
           step == 0 ? 2e-5 : 1e-3);
  }
}

/* One tensor after `step` steps; adds to the squares of its net. */
static void
compare_tensor (struct trial *t, const struct golden_tensor *g, int step,
                double squares[2])
{
  char what[48];
  snprintf (what, sizeof what, "%s_after_%d/", g->buffer ? "buffers" : "params",
            step);
  if (expected (t, what, g->name, g->n, t->want) != g->n)
    return;
  double off = apart (t->got, t->want, g->n);
  if (g->buffer) {
    count (t, step == 1 ? BUFFERS_1 : BUFFERS, g->name, off,
           (step == 1 ? 1e-5 : 5e-3) * fmax (largest (t->want, g->n), 1e-3));
    return;
  }
  if (step == 1)
    count (t, PARAMS_1, g->name, off,
           2e-6 + (t->g->adamw ? 2e-2 : 5e-4) * apart (t->want, g->init, g->n));
  for (size_t i = 0; i < g->n; i++) {
    double d = (double)t->got[i] - t->want[i];
    double u = (double)t->want[i] - g->init[i];
    squares[0] += d * d;
    squares[1] += u * u;
  }
}

static void
compare_tensors (struct trial *t, struct session *s, int step)
{
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    double squares[2][2] = {{0}}; /* main, aux: of the difference, of the
                                     expected update */
    for (int j = 0; j < stage_tensors (l->stage); j++) {
      const struct golden_tensor *g = find (t->g, l, j);
      if (!g)
        continue;
      rig_must (stage_tensor_out (l->stage, j, STAGE_VALUE, t->got));
      compare_tensor (t, g, step, squares[g->aux]);
    }
    for (int net = 0; step == t->g->steps && net < 2; net++)
      if (squares[net][1] > 0)
        count (t, UPDATE, net ? "aux" : "main", sqrt (squares[net][0]),
               5e-2 * sqrt (squares[net][1]));
  }
}

static void
compare_evaluation (struct trial *t, struct session *s)
{
  size_t n = logits_of (t);
  double loss[GOLDEN_STAGES], accuracy[GOLDEN_STAGES];
  struct evaluation v = {.loss = loss, .accuracy = accuracy};
  rig_must (session_evaluate (s, t->g->tokens ? DATA_VALID : DATA_TRAIN,
                              t->g->batch, NULL, &v));
  const struct local_stage *l = &s->local[s->n_local - 1];
  if (l->k == s->design->K - 1 &&
      expected (t, "eval_logits", "", n, t->want) == n)
    count (t, EVAL_LOGITS, "logits", logits_apart (t, l, STAGE_EVAL), 5e-3);
}

/* Train as `strategy` says and compare with `against`. */
static void
run_trial (const struct golden *g, struct rig *r, const char *strategy,
           const char *against, struct trial *t)
{
  struct config c;
  struct session s;
  struct stage_loss loss[64];
  *t = (struct trial){
      .g = g, .expected = against, .fault = strcmp (strategy, against) != 0};
  golden_config (g, r, against, &c);
  t->aux = c.heads_all;
  golden_config (g, r, strategy, &c);
  size_t most = logits_of (t) > g->largest ? logits_of (t) : g->largest;
  rig_must (MEM_NEW (most, &t->got, "values"));
  rig_must (MEM_NEW (most, &t->want, "values"));
  rig_session (r->w, &c, &s);
  s.on_gradients = on_gradients;
  s.on_gradients_context = t;
  rig_must (session_begin (&s, 0, g->steps));
  for (int step = 0, snap = 0; step < g->steps; step++) {
    rig_losses (&s, step, loss);
    compare_losses (t, &s, loss, step);
    if (snap < g->n_snap && g->snap[snap] == step + 1) {
      compare_tensors (t, &s, step + 1);
      snap++;
    }
  }
  rig_must (session_end (&s));
  compare_evaluation (t, &s);
  session_close (&s);
  mem_free (&t->got);
  mem_free (&t->want);
  for (int i = 0; i < KINDS; i++) {
    MPI_Allreduce (MPI_IN_PLACE, &t->tally[i].worst, 1, MPI_DOUBLE, MPI_MAX,
                   MPI_COMM_WORLD);
    MPI_Allreduce (MPI_IN_PLACE, &t->tally[i].n, 1, MPI_INT, MPI_SUM,
                   MPI_COMM_WORLD);
  }
}

/* How many values the file holds of a kind. */
static int
wanted (const struct golden *g, bool aux, enum kind kind)
{
  int params = 0, buffers = 0, losses = aux ? g->K : 1;
  for (int i = 0; i < g->n; i++)
    if (aux || !g->tensor[i].aux)
      *(g->tensor[i].buffer ? &buffers : &params) += 1;
  switch (kind) {
  case LOSSES_1:
    return losses;
  case LOSSES:
    return losses * (g->steps - 1);
  case AUX_LOGITS_1:
    return aux ? g->K - 1 : 0;
  case GRADS_1:
  case PARAMS_1:
    return params;
  case BUFFERS_1:
  case BUFFERS:
    return buffers;
  case UPDATE:
    return aux ? 2 * g->K - 1 : g->K;
  case LOGITS_1:
  case EVAL_LOGITS:
  case KINDS:
    break;
  }
  return 1;
}

static const char *
label (const struct golden *g)
{
  return g->adamw ? "tokens, adamw, " : g->tokens ? "tokens, " : "";
}

static void
test_strategy (const struct golden *g, struct rig *r, const char *strategy)
{
  struct trial t;
  run_trial (g, r, strategy, strategy, &t);
  for (int i = 0; i < KINDS; i++) {
    int n = wanted (g, t.aux, (enum kind)i);
    if (n > 0)
      tap_ok (t.tally[i].worst <= 1 && t.tally[i].n == n,
              "%s%s: %s: %d of %d compared, at worst %.2g of the limit",
              label (g), strategy, kind_names[i], t.tally[i].n, n,
              t.tally[i].worst);
  }
}

/* The comparison notices the wrong strategy: in the gradients by far, and only
 * there where the two differ. */
static void
test_fault (const struct golden *g, struct rig *r, const char *strategy,
            const char *against)
{
  struct trial t;
  run_trial (g, r, strategy, against, &t);
  tap_ok (t.tally[GRADS_1].worst > 100,
          "%s trained, compared with %s: gradients are off by %.2g limits",
          strategy, against, t.tally[GRADS_1].worst);
  tap_ok (t.tally[PARAMS_1].worst > 10 && t.tally[UPDATE].worst > 1,
          "%s trained, compared with %s: so are the parameters", strategy,
          against);
  tap_ok (t.tally[LOGITS_1].worst <= 1,
          "%s trained, compared with %s: the first forward is the same",
          strategy, against);
}

static void
test_all (struct golden *g, struct rig *r)
{
  char path[CONFIG_PATH + 16], *save = NULL;
  if (wire_rank (r->w) == 0) {
    snprintf (path, sizeof path, "%s/golden.h5", r->folder);
    golden_write_data (g, path);
    snprintf (path, sizeof path, "%s/params.h5", r->folder);
    golden_write_params (g, path);
  }
  wire_barrier (r->w);
  int n = 0;
  char names[sizeof g->strategies];
  snprintf (names, sizeof names, "%s", g->strategies);
  for (char *word = strtok_r (names, ",", &save); word;
       word = strtok_r (NULL, ",", &save), n++)
    test_strategy (g, r, word);
  tap_ok (n >= (g->adamw ? 3 : 6), "the file holds %d strategies", n);
  if (!g->adamw) {
    test_fault (g, r, "pairwise", "local");
    test_fault (g, r, "3wise_sum", "3wise");
  }
  wire_barrier (r->w);
  if (wire_rank (r->w) == 0)
    rig_empty (r->folder);
}

static void
test_file (struct rig *r, const char *name)
{
  struct golden g;
  char path[CONFIG_PATH + 32];
  const char *shared = getenv ("INTERLOCK_SHARED");
  const char *top = getenv ("abs_top_srcdir");
  snprintf (path, sizeof path, "%s%s/goldens/%s",
            shared ? shared
            : top  ? top
                   : ".",
            shared ? "" : "/../shared", name);
  if (golden_open (path, &g))
    test_all (&g, r);
  else
    tap_skip ("there is no file of golden values (INTERLOCK_SHARED/goldens)");
  golden_close (&g);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  test_file (&r, "golden_resnet_basic.h5");
  test_file (&r, "golden_transformer.h5");
  test_file (&r, "golden_transformer_adamw.h5");
  int result = tap_done ();
  rig_close (&r);
  return result;
}
