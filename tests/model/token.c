/* ranks: 0 */
/* Stages of a Transformer against a slow one in double: losses, logits,
 * gradients of every tensor under every route, shared matrices, dropout,
 * fractions of positions, growing sequences. */
#include "tests/model/token.h"
#include <stdarg.h>
#include <stdlib.h>

enum { K = 3, B = 2, LAYERS = 4 };

struct rig {
  struct kern *k;
  struct kern_tuning *t;
  struct network *net;
  struct token_twin *twin;
  struct stage *s[K];
  int32_t token[512], label[512];
  float *route; /* K x K */
  bool witness; /* heads that nobody learns from are there and observe */
};

/* How the stages of the next rig are. */
static int cut[K + 1] = {0, 2, 4, LAYERS + 2};
static enum model_border border;
static enum stage_mode made;
static double smoothing;

static struct model_spec
small (void)
{
  return (struct model_spec){.family = MODEL_TRANSFORMER,
                             .classes = 11,
                             .layers = LAYERS,
                             .d_model = 12,
                             .heads = 3,
                             .context = 7,
                             .mlp_ratio = 2.5};
}

static bool
used (const struct rig *r, int h)
{
  bool any = h == K - 1;
  for (int k = 0; k <= h; k++)
    any = any || r->route[k * K + h] != 0;
  return any;
}

static void
rig_open (struct rig *r, struct model_spec m, const char *head)
{
  const struct random_key key = {3, RANDOM_TEST, 4, 5};
  must (kern_open (2, &r->k));
  must (kern_tuning_create (&r->t));
  must (network_create (&m, &r->net));
  stage_tune_rule (r->k, r->net, r->t);
  r->twin = twin_new (1, sizeof *r->twin);
  *r->twin = (struct token_twin){.m = m,
                                 .K = K,
                                 .head = head,
                                 .border = border,
                                 .smoothing = smoothing,
                                 .B = B,
                                 .token = r->token,
                                 .label = r->label,
                                 .seed = 5,
                                 .step = 17,
                                 .first_sample = 6};
  memcpy (r->twin->first, cut, sizeof cut);
  for (int i = 0; i < B * m.context; i++) {
    r->token[i] =
        (int32_t)random_below (&key, (uint64_t)i, (uint64_t)m.classes);
    r->label[i] =
        (int32_t)random_below (&key, (uint64_t)i + 999, (uint64_t)m.classes);
  }
  for (int k = 0; k < K; k++) {
    struct stage_spec spec = {.net = r->net,
                              .tuning = r->t,
                              .k = k,
                              .n_stages = K,
                              .unit_first = cut[k],
                              .unit_end = cut[k + 1],
                              .head = head,
                              .border = border,
                              .smoothing = (float)smoothing,
                              .head_observes = !used (r, k),
                              .n_samples = B,
                              .n_slots = 1,
                              .n_pairs = 1,
                              .seed = 5,
                              .optimizer = {.kind = OPTIMIZER_SGD},
                              .training = true};
    must (stage_create (r->k, &spec, &r->s[k]));
  }
  must (kern_seal (r->k));
}

/* Larger values than the first ones, so that every path matters. */
static void
rig_shake (struct rig *r)
{
  for (int k = 0; k < K; k++)
    for (int i = 0; i < stage_tensors (r->s[k]); i++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (r->s[k], i, &info, &head, &statistic);
      size_t n = (size_t)tensor_info_count (&info);
      float *t = twin_new (n, sizeof *t), *more = twin_new (n, sizeof *t);
      must (stage_tensor_out (r->s[k], i, STAGE_VALUE, t));
      random_floats (more, n, (uint64_t)(100 * k + i));
      for (size_t j = 0; j < n; j++)
        t[j] += 0.4f * more[j];
      must (stage_tensor_in (r->s[k], i, STAGE_VALUE, t));
      mem_free (&t);
      mem_free (&more);
    }
  float *own, *copy;
  size_t n;
  stage_shared_value (r->s[K - 1], &own, &n);
  for (int k = 0; k < K - 1; k++)
    if (stage_shared (r->s[k]) == STAGE_SHARED_COPY) {
      stage_shared_value (r->s[k], &copy, &n);
      memcpy (copy, own, n * sizeof *own);
    }
  token_read (r->twin, r->s);
}

static void
rig_close (struct rig *r)
{
  for (int k = 0; k < K; k++)
    stage_destroy (&r->s[k]);
  token_clear (r->twin);
  mem_free (&r->twin);
  network_destroy (&r->net);
  kern_tuning_destroy (&r->t);
  kern_close (&r->k);
}

/* Forward and all heads; mean losses. */
static void
rig_forward (struct rig *r, double *losses)
{
  const int64_t T = r->twin->m.context;
  const float *x = (const float *)(const void *)r->token;
  for (int k = 0; k < K; k++) {
    struct tensor y;
    struct stage_loss l;
    stage_moment (r->s[k], 0, r->twin->step, r->twin->first_sample);
    must (stage_forward (r->s[k], 0, x));
    must (stage_head (r->s[k], 0, r->label, 1.0f / (float)(B * T), !used (r, k),
                      &l));
    losses[k] = l.loss / (double)l.counted;
    stage_output (r->s[k], 0, &y);
    x = y.data;
  }
}

/* An evaluation in between uses the scratch that a forward has left. */
static void
rig_judge (struct rig *r)
{
  const float *x = (const float *)(const void *)r->token;
  for (int k = 0; k < K; k++) {
    struct tensor y;
    struct stage_loss l;
    must (stage_eval (r->s[k], x));
    must (stage_head_eval (r->s[k], r->label, &l));
    stage_output (r->s[k], STAGE_EVAL, &y);
    x = y.data;
  }
}

/* The gradient of loss h at the output of stage k. */
static void
carry (struct rig *r, int h, int k, float *g)
{
  struct tensor in, out;
  stage_border (r->s[h], &in, &out);
  memcpy (g, stage_head_grad (r->s[h], 0), out.bytes);
  float *d_x = twin_new (out.bytes / sizeof *g, sizeof *g);
  for (int i = h; i > k; i--) {
    must (stage_back_data (r->s[i], 0, g, false, 0, d_x));
    memcpy (g, d_x, out.bytes);
  }
  mem_free (&d_x);
}

static void
rig_backward (struct rig *r)
{
  struct tensor in, out;
  const float *sum = NULL;
  for (int k = 0; k < K; k++) {
    stage_border (r->s[k], &in, &out);
    size_t n = out.bytes / sizeof (float);
    float *g[K], a[K];
    const float *from[K];
    for (int h = 0; h < K; h++) {
      from[h] = g[h] = twin_new (n, sizeof (float));
      a[h] = r->route[k * K + h];
      if (a[h] != 0)
        carry (r, h, k, g[h]);
    }
    float *mix = twin_new (n, sizeof (float));
    stage_combine (r->s[k], K, from, a, mix);
    must (stage_back_data (r->s[k], 0, mix, true, 0, NULL));
    must (stage_back_weights (r->s[k], 0, 0));
    must (stage_head_weights (r->s[k], 0));
    for (int h = 0; h < K; h++)
      mem_free (&g[h]);
    mem_free (&mix);
    if (stage_shared (r->s[k]) != STAGE_SHARED_NONE)
      sum = stage_shared_fold (r->s[k], sum);
  }
}

/* What tensor t of the twin follows: weights of the losses.  A matrix that
 * several use is handled by its caller. */
static void
follows (const struct rig *r, const struct token_value *t, float *weight)
{
  int h = -1;
  bool output = strstr (t->path, "ln_f") || strstr (t->path, "lm_head") ||
                strstr (t->path, "model.norm");
  sscanf (t->path, "heads/%d/", &h);
  if (output)
    h = K - 1;
  for (int i = 0; i < K; i++)
    weight[i] = h >= 0 ? (float)(i == h) : r->route[t->stage * K + i];
}

/* d (sum of weight x loss) / dt along a direction, central differences. */
static double
token_slope (const struct rig *r, struct token_value *t, const float *along,
             const float *weight)
{
  const double h = 1e-5;
  double value[2] = {0, 0}, losses[K];
  for (int side = 0; side < 2; side++) {
    for (size_t j = 0; j < t->n; j++)
      t->v[j] += (side ? h : -h) * (double)along[j];
    token_losses (r->twin, losses, NULL);
    for (int i = 0; i < K; i++)
      value[side] += (double)weight[i] * losses[i];
    for (size_t j = 0; j < t->n; j++)
      t->v[j] -= (side ? h : -h) * (double)along[j];
  }
  return (value[1] - value[0]) / (2 * h);
}

/* Largest deviation of any tensor's gradient, relative to its norm, with the
 * tensor's name. skip: the shared matrix. */
static double
worst_gradient (struct rig *r, const char *skip, const char **name)
{
  double worst = 0;
  for (int i = 0; i < r->twin->n; i++) {
    struct token_value *t = &r->twin->t[i];
    float weight[K], *g = twin_new (t->n, sizeof *g);
    float *along = twin_new (t->n, sizeof *along);
    if (skip && strcmp (t->path, skip) == 0)
      continue;
    follows (r, t, weight);
    must (stage_tensor_out (r->s[t->stage], t->index, STAGE_GRAD, g));
    random_floats (along, t->n, 77 + (uint64_t)i);
    double got = 0, norm = 1e-3;
    for (size_t j = 0; j < t->n; j++) {
      got += (double)g[j] * (double)along[j];
      norm += fabs ((double)g[j] * (double)along[j]);
    }
    double off = fabs (got - token_slope (r, t, along, weight)) / norm;
    if (!(off <= worst)) {
      worst = off;
      *name = t->path;
    }
    mem_free (&g);
    mem_free (&along);
  }
  return worst;
}

/* The shared matrix: what the route gives the embedding, plus what each head
 * that learns gives.  The twin tells the uses apart by giving one of them a
 * matrix of its own. */
static double
shared_off (struct rig *r, bool planted)
{
  struct token_twin *w = r->twin;
  const char *name = network_shared_name (r->net);
  struct token_value *t = NULL;
  double slope = 0, got = 0, norm = 1e-3;
  for (int i = 0; i < w->n; i++)
    if (strcmp (w->t[i].path, name) == 0)
      t = &w->t[i];
  float *g = twin_new (t->n, sizeof *g), *along = twin_new (t->n, sizeof *g);
  must (stage_tensor_out (r->s[t->stage], t->index, STAGE_GRAD, g));
  random_floats (along, t->n, 5);
  for (size_t j = 0; j < t->n; j++) {
    got += (double)g[j] * (double)along[j];
    norm += fabs ((double)g[j] * (double)along[j]);
  }
  /* Each use in turn moves alone: the others see the matrix under its name as
   * it was. */
  for (int use = -1; use < K; use++) {
    const double h = 1e-5;
    double value[2] = {0, 0};
    bool inner = use >= 0 && use < K - 1;
    if ((use < 0 && !w->m.tied) || (inner && !strstr (w->head, "shared")) ||
        (use >= 0 && !used (r, use)) || (planted && use == K - 1))
      continue;
    for (int side = 0; side < 2; side++) {
      double losses[K];
      token_use = use;
      token_move = token_doubles (t->n);
      for (size_t j = 0; j < t->n; j++)
        token_move[j] = t->v[j] + (side ? h : -h) * (double)along[j];
      token_losses (w, losses, NULL);
      mem_free (&token_move);
      for (int i = 0; i < K; i++)
        value[side] += losses[i] * (use < 0 ? (double)r->route[i] : i == use);
    }
    token_use = -2;
    slope += (value[1] - value[0]) / (2 * h);
  }
  mem_free (&g);
  mem_free (&along);
  return fabs (got - slope) / norm;
}

/* How far results may be off, over their size: all stages, and in each layer
 * the scores and the sum over positions of attention, and two norms. */
static double
reach (const struct rig *r, int passes)
{
  const struct model_spec *m = &r->twin->m;
  double wide = rounding_of_result (m->d_model), sum = 0;
  double long_ = rounding_of_result (m->context);
  for (int k = 0; k < K; k++)
    sum += twin_squares (r->s[k]);
  int more = 0;
  sscanf (r->twin->head, "like-%d", &more);
  sum += (m->layers + K * more) * (3 * wide * wide + long_ * long_);
  return sqrt (passes * sum);
}

static void
check_losses (struct rig *r, const char *what)
{
  double got[K], want[K], off = 0, planted = INFINITY;
  const double limit = reach (r, TWIN_FORWARD);
  rig_forward (r, got);
  token_losses (r->twin, want, NULL);
  for (int h = 0; h < K; h++)
    off = fmax (off, fabs (got[h] - want[h]) / (1 + want[h]));
  r->twin->label = r->token; /* planted: the inputs for labels */
  token_losses (r->twin, want, NULL);
  r->twin->label = r->label;
  for (int h = 0; h < K; h++)
    planted = fmin (planted, fabs (got[h] - want[h]) / (1 + want[h]));
  tap_ok (off <= limit && planted > limit,
          "%s: losses of all heads (off by %.1e of %.1e, planted %.1e)", what,
          off, limit, planted);
}

static void
test_route (struct model_spec m, const char *head, const float *route,
            const char *what)
{
  struct rig r = {.route = (float *)(uintptr_t)route};
  const char *name = "";
  rig_open (&r, m, head);
  rig_shake (&r);
  check_losses (&r, what);
  rig_judge (&r);
  rig_backward (&r);
  bool shares = network_shares (r.net, head);
  const char *skip = shares ? network_shared_name (r.net) : NULL;
  double off = worst_gradient (&r, skip, &name);
  r.twin->label = r.token; /* planted: the inputs for labels */
  const char *ignored;
  double planted = worst_gradient (&r, skip, &ignored);
  r.twin->label = r.label;
  const double limit = reach (&r, TWIN_GRADIENT);
  tap_ok (off <= limit && planted > 100 * limit,
          "%s: gradients (off by %.1e of %.1e in %s; planted %.1e)", what, off,
          limit, name, planted);
  if (shares) {
    off = shared_off (&r, false);
    planted = shared_off (&r, true);
    tap_ok (off <= limit && planted > 100 * limit,
            "%s: the shared matrix (off by %.1e; planted %.1e)", what, off,
            planted);
  }
  rig_close (&r);
}

static const float local[K * K] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
static const float pairwise[K * K] = {0, 1, 0, 0, 0, 1, 0, 0, 1};
static const float e2e[K * K] = {0, 0, 1, 0, 0, 1, 0, 0, 1};
static const float sums[K * K] = {1, 1, 0, 0, 1, 1, 0, 0, 1};
static const float means[K * K] = {.5f, .5f, 0, 0, .5f, .5f, 0, 0, 1};

/* -- generating -------------------------------------------------------------
 */

/* Logits of every position through the cache are those of the whole window. */
static void
test_decode (struct model_spec m)
{
  struct rig r = {.route = (float *)(uintptr_t)e2e};
  m.tied = true;
  rig_open (&r, m, "ln-shared");
  rig_shake (&r);
  const int T = m.context, V = m.classes;
  double losses[K], *want = token_doubles ((size_t)(B * T * V)), worst = 0,
                    most = 1;
  float logits[64], *all = twin_new ((size_t)(B * T * V), sizeof *all);
  token_losses (r.twin, losses, want);
  rig_forward (&r, losses);
  must (stage_token_logits (r.s[K - 1], 0, 0, B * T, all));
  for (int i = 0; i < B * T * V; i++)
    worst = fmax (worst, fabs ((double)all[i] - want[i]));
  for (int i = 0; i < B * T * V; i++)
    most = fmax (most, fabs (want[i]));
  const double limit = most * reach (&r, TWIN_FORWARD);
  tap_ok (worst <= limit, "logits of all positions (off by %.1e)", worst);
  worst = 0;
  for (int k = 0; k < K; k++)
    must (stage_decode_open (r.s[k]));
  for (int turn = 0; turn < 2; turn++) { /* a prompt of 3 or of 1 */
    for (int k = 0; k < K; k++)
      stage_decode_rewind (r.s[k], 0);
    for (int t = 0, n = turn ? 1 : 3; t < T; t += n, n = 1) {
      const float *x = (const float *)(const void *)(r.token + t);
      for (int k = 0; k < K; k++)
        must (stage_decode (r.s[k], x, n, &x));
      must (stage_decode_logits (r.s[K - 1], logits));
      for (int v = 0; v < V; v++)
        worst =
            fmax (worst, fabs ((double)logits[v] - want[(t + n - 1) * V + v]));
    }
  }
  tap_ok (worst <= limit && stage_decode_length (r.s[0]) == T,
          "position by position, through the cache (off by %.1e)", worst);
  mem_free (&want);
  mem_free (&all);
  rig_close (&r);
}

/* -- frozen ------------------------------------------------------------------
 */

/* Forward through all stages in this mode; what stage k hands back for a
 * cotangent of ones, into d_x.  Whether outputs are those of evaluation. */
static bool
walk_frozen (struct rig *r, enum stage_mode mode, int k, float *d_x)
{
  const float *x = (const float *)(const void *)r->token;
  bool same = true;
  for (int i = 0; i < K; i++) {
    struct tensor y, e;
    stage_set_mode (r->s[i], mode);
    stage_moment (r->s[i], 0, r->twin->step, r->twin->first_sample);
    must (stage_forward (r->s[i], 0, x));
    must (stage_eval (r->s[i], x));
    stage_output (r->s[i], 0, &y);
    stage_output (r->s[i], STAGE_EVAL, &e);
    same = same && memcmp (y.data, e.data, y.bytes) == 0;
    x = y.data;
  }
  if (d_x) {
    struct tensor in, out;
    stage_border (r->s[k], &in, &out);
    float *ones = border_new (&out);
    for (size_t i = 0; i < out.bytes / sizeof *ones; i++)
      ones[i] = (float)(i % 7) - 2;
    must (stage_back_data (r->s[k], 0, ones, false, 0, d_x));
    mem_free (&ones);
  }
  return same;
}

/* Frozen stages of a network with dropout are those of one without. */
static void
test_frozen (void)
{
  struct model_spec m = small ();
  struct rig r = {.route = (float *)(uintptr_t)e2e};
  float *d_x[3];
  struct tensor in, out;
  bool still = false, hands_on = false, learns = true;
  for (int i = 0; i < 3; i++) {
    m.dropout = i > 0 ? 0.25 : 0;
    rig_open (&r, m, "ln-fc");
    rig_shake (&r);
    stage_border (r.s[1], &in, &out);
    d_x[i] = border_new (&in);
    if (i == 1)
      still = walk_frozen (&r, STAGE_STILL, 1, NULL);
    if (i == 1)
      hands_on = walk_frozen (&r, STAGE_HANDS_ON, 1, d_x[i]);
    else
      learns = walk_frozen (&r, STAGE_LEARNS, 1, d_x[i]);
    rig_close (&r);
  }
  tap_ok (still && hands_on && !learns,
          "frozen: the bits of evaluation, no dropout");
  tap_ok (memcmp (d_x[0], d_x[1], in.bytes) == 0 &&
              memcmp (d_x[0], d_x[2], in.bytes) != 0,
          "frozen: gradients go through as without dropout");
  for (int i = 0; i < 3; i++)
    mem_free (&d_x[i]);
}

/* -- first values, memory, chunks --------------------------------------------
 */

static struct stage *
make (struct kern *k, const struct network *net, const struct kern_tuning *t,
      int first, int end, const char *head, int64_t n, struct stage_spec *spec)
{
  struct stage *s;
  *spec = (struct stage_spec){.net = net,
                              .tuning = t,
                              .k = first,
                              .n_stages = 3,
                              .unit_first = first,
                              .unit_end = end,
                              .head = head,
                              .border = border,
                              .n_samples = n,
                              .n_slots = 2,
                              .n_pairs = 1,
                              .mode = made,
                              .seed = 5,
                              .optimizer = {.kind = OPTIMIZER_ADAMW},
                              .training = true};
  must (stage_create (k, spec, &s));
  must (kern_seal (k));
  return s;
}

static bool narrow; /* in bf16: of test_memory */

/* What stages hold is what was said before they were made. */
static void
test_memory (struct model_spec m, bool tied, const char *head, double share)
{
  m.classes = 1000;
  m.d_model = 64;
  m.heads = 4;
  m.context = 32;
  m.mlp_ratio = 4;
  m.tied = tied;
  m.head_tokens = share;
  static const int ends[][2] = {{0, 2}, {2, 4}, {4, 6}, {0, 6}};
  struct kern *k = NULL;
  struct kern_tuning *t = NULL;
  struct network *net = NULL;
  double worst = 0;
  must (kern_open (1, &k));
  kern_precision_set (k, narrow ? KERN_BF16 : KERN_F32);
  must (kern_tuning_create (&t));
  must (network_create (&m, &net));
  for (int i = 0; i < 4; i++) {
    struct stage_spec spec;
    struct tensor in;
    struct stage_bytes said;
    double held = 0;
    size_t bytes[5];
    struct stage *s = make (k, net, t, ends[i][0], ends[i][1], head, 4, &spec);
    for (int slot = -1; slot < 2; slot++)
      must (stage_input (s, slot, &in));
    stage_memory (s, bytes);
    for (int j = 0; j < 5; j++)
      held += (double)bytes[j];
    spec.narrow = narrow;
    must (stage_estimate (&spec, true, &said));
    worst = fmax (worst, fabs ((said.held + said.work) / held - 1));
    stage_destroy (&s);
  }
  tap_ok (worst < 0.02,
          "memory of stages, %s%s%s, share %g%s%s: off by %.1f %%", head,
          tied ? ", tied" : "", narrow ? ", bf16" : "", share,
          border == MODEL_BORDER_NONE ? "" : ", border",
          made == STAGE_LEARNS  ? ""
          : made == STAGE_STILL ? ", still"
                                : ", frozen",
          100 * worst);
  network_destroy (&net);
  kern_tuning_destroy (&t);
  kern_close (&k);
}

static void
test_init (struct model_spec m)
{
  struct rig r = {.route = (float *)(uintptr_t)e2e};
  double squares = 0, n = 0;
  bool plain = true;
  m.d_model = 48;
  m.tied = true;
  rig_open (&r, m, "ln-shared");
  token_read (r.twin, r.s);
  for (int i = 0; i < r.twin->n; i++) {
    const struct token_value *t = &r.twin->t[i];
    bool matrix = !strstr (t->path, "bias") && !strstr (t->path, "ln_") &&
                  !strstr (t->path, "norm") && !strstr (t->path, "0.weight");
    for (size_t j = 0; j < t->n; j++) {
      if (matrix)
        squares += t->v[j] * t->v[j];
      else
        plain = plain && t->v[j] == (strstr (t->path, "weight") ? 1 : 0);
    }
    n += matrix ? (double)t->n : 0;
  }
  double rms = sqrt (squares / n);
  tap_ok (plain && fabs (rms - 0.02) < 5 * 0.02 / sqrt (2 * n),
          "first values: matrices of spread 0.02 (%.5f), norms 1 and 0, biases "
          "0",
          rms);
  rig_close (&r);
}

/* Two samples at once, whose rows are more than a chunk, and one by one. */
static void
test_chunks (void)
{
  enum { T = 300, V = 20000 };
  struct model_spec m = {.family = MODEL_TRANSFORMER,
                         .classes = V,
                         .layers = 1,
                         .d_model = 8,
                         .heads = 2,
                         .context = T,
                         .mlp_ratio = 1};
  struct kern *k = NULL;
  struct kern_tuning *t = NULL;
  struct network *net = NULL;
  int32_t token[2 * T];
  float *g[2] = {NULL, NULL};
  struct stage_loss loss[3];
  must (kern_open (2, &k));
  must (kern_tuning_create (&t));
  must (network_create (&m, &net));
  for (int i = 0; i < 2 * T; i++)
    token[i] = i * 311 % V;
  for (int one = 0; one < 2; one++) {
    struct stage_spec spec;
    struct stage *s = make (k, net, t, 0, 3, NULL, one ? 1 : 2, &spec);
    for (int b = 0; b < 1 + one; b++) {
      const int32_t *x = token + b * T;
      must (stage_forward (s, b, (const float *)(const void *)x));
      must (stage_head (s, b, x, 0.01f, false, &loss[one + b]));
    }
    for (int i = 0; i < stage_tensors (s); i++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s, i, &info, &head, &statistic);
      if (strcmp (info.name, "lm_head.weight") != 0)
        continue;
      g[one] = twin_new ((size_t)tensor_info_count (&info), sizeof (float));
      must (stage_tensor_out (s, i, STAGE_GRAD, g[one]));
    }
    stage_destroy (&s);
  }
  double off = 0, most = 0;
  for (int i = 0; i < V * 8; i++) {
    off = fmax (off, fabs ((double)g[0][i] - (double)g[1][i]));
    most = fmax (most, fabs ((double)g[0][i]));
  }
  /* The rows of one sample or of two; sums over words in all of them. */
  const double limit = rounding_of_result (2 * T) + rounding (V);
  tap_ok (off <= limit * most && loss[0].counted == 2 * T &&
              fabs (loss[0].loss - loss[1].loss - loss[2].loss) <=
                  limit * loss[0].loss,
          "many chunks and few are the same (%.1e of %.1e)", off, most);
  mem_free (&g[0]);
  mem_free (&g[1]);
  network_destroy (&net);
  kern_tuning_destroy (&t);
  kern_close (&k);
}

/* -- borders ----------------------------------------------------------------
 */

/* A stage in the middle and the last one normalise what they receive; their
 * heads and those before them are where they were. */
static void
test_border (enum model_border which, const char *word)
{
  struct model_spec m = small ();
  struct rig r = {.route = (float *)(uintptr_t)e2e};
  char what[64];
  double with[K], without[K];
  border = which;
  snprintf (what, sizeof what, "%s, local", word);
  test_route (m, "ln-fc", local, what);
  snprintf (what, sizeof what, "%s, pairwise, shared", word);
  test_route (m, "ln-shared", pairwise, what);
  m.dropout = 0.25;
  snprintf (what, sizeof what, "%s, sum with dropout", word);
  test_route (m, "ln-fc", sums, what);
  m.dropout = 0;
  snprintf (what, sizeof what, "%s, end to end", word);
  test_route (m, "ln-fc", e2e, what);
  cut[2] = LAYERS + 1;
  snprintf (what, sizeof what, "%s, end to end, the output alone", word);
  test_route (m, "ln-fc", e2e, what);
  cut[2] = 4;
  test_decode (m);
  test_memory (m, true, "ln-fc", 1);
  rig_open (&r, m, "ln-fc");
  rig_shake (&r);
  token_losses (r.twin, with, NULL);
  r.twin->border = MODEL_BORDER_NONE;
  token_losses (r.twin, without, NULL);
  tap_ok (with[0] == without[0] && fabs (with[1] - without[1]) > 1e-2,
          "%s: the head before the border sees the plain output", word);
  rig_close (&r);
  border = MODEL_BORDER_NONE;
}

/* -- between GPT-2 and Llama ------------------------------------------------
 */

/* Two heads of six numbers use one of keys and values; matrices whose parts do
 * not fill cache lines. */
static struct model_spec
modern (void)
{
  struct model_spec m = small ();
  m.heads = 2;
  m.kv_heads = 1;
  m.norm = MODEL_RMSNORM;
  m.mlp = MODEL_SWIGLU;
  m.positions = MODEL_ROPE;
  m.qk_norm = true;
  return m;
}

/* Each of the five alone, and GPT-2's in place of each. */
static void
test_switches (void)
{
  static const char *const words[] = {"rmsnorm", "swiglu", "rope", "kv_heads",
                                      "qk_norm"};
  for (int turn = 0; turn < 2; turn++)
    for (int i = 0; i < 5; i++) {
      const struct model_spec all = modern (), none = small ();
      struct model_spec m = all;
      char what[64];
      bool on[5];
      for (int j = 0; j < 5; j++)
        on[j] = (i == j) != (turn == 1);
      m.norm = on[0] ? all.norm : none.norm;
      m.mlp = on[1] ? all.mlp : none.mlp;
      m.positions = on[2] ? all.positions : none.positions;
      m.kv_heads = on[3] ? all.kv_heads : 0;
      m.qk_norm = on[4];
      m.dropout = turn ? 0.25 : 0;
      snprintf (what, sizeof what, "%s %s", turn ? "all but" : "nothing but",
                words[i]);
      test_route (m, i % 2 ? "ln-shared" : "ln-fc", turn ? sums : e2e, what);
      m.dropout = 0;
      test_decode (m);
      test_memory (m, turn == 1, "ln-fc", 1);
    }
}

/* Every number of joined tensors moves once, by the decay of its own kind, and
 * none of its neighbours' numbers does. */
static void
test_update (void)
{
  struct kern *k = NULL;
  struct kern_tuning *t = NULL;
  struct network *net = NULL;
  struct stage_spec spec;
  const struct model_spec m = modern ();
  double off = 0;
  int joined = 0;
  must (kern_open (2, &k));
  must (kern_tuning_create (&t));
  must (network_create (&m, &net));
  struct stage *s = make (k, net, t, 1, 3, NULL, 2, &spec);
  stage_destroy (&s);
  spec.optimizer =
      (struct optimizer){.kind = OPTIMIZER_SGD, .weight_decay = 0.5};
  must (stage_create (k, &spec, &s));
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < stage_tensors (s); i++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s, i, &info, &head, &statistic);
      const size_t n = (size_t)tensor_info_count (&info);
      float *v = twin_new (n, sizeof *v), *g = twin_new (n, sizeof *g);
      joined += n % 16 != 0;
      random_floats (v, n, (uint64_t)i);
      random_floats (g, n, (uint64_t)i + 500);
      if (pass == 0) {
        must (stage_tensor_in (s, i, STAGE_VALUE, v));
        must (stage_tensor_in (s, i, STAGE_GRAD, g));
      } else {
        float *now = twin_new (n, sizeof *now);
        const double decay = info.n_dims > 1 ? 0.5 : 0;
        must (stage_tensor_out (s, i, STAGE_VALUE, now));
        for (size_t j = 0; j < n; j++)
          off = fmax (off, fabs ((double)now[j] -
                                 (v[j] - 0.1 * (g[j] + decay * v[j]))));
        mem_free (&now);
      }
      mem_free (&v);
      mem_free (&g);
    }
    if (pass == 0)
      must (stage_update (s, 0.1, (const float[2]){1, 1}, 1));
  }
  tap_ok (off < 1e-5 && joined > 8,
          "one step of joined tensors moves each number once (off by %.1e)",
          off);
  stage_destroy (&s);
  network_destroy (&net);
  kern_tuning_destroy (&t);
  kern_close (&k);
}

static void
test_modern (void)
{
  struct model_spec m = modern ();
  test_init (m);
  test_route (m, "ln-fc", local, "Llama's, local");
  test_route (m, "ln-shared", pairwise, "Llama's, pairwise, shared");
  test_route (m, "like-2", local, "Llama's, local, like-2");
  m.tied = true;
  test_route (m, "ln-shared", sums, "Llama's, sum, shared, tied");
  cut[1] = 1; /* the embedding alone: nothing of its own to learn */
  test_route (m, "ln-fc", e2e, "Llama's, the embedding alone, tied");
  cut[1] = 2;
  m.dropout = 0.25;
  m.head_tokens = 0.6;
  border = MODEL_BORDER_RMS;
  test_route (m, "ln-fc", pairwise, "Llama's, dropout, 4 of 7, border");
  border = MODEL_BORDER_NONE;
  m.dropout = m.head_tokens = 0;
  test_decode (m);
  test_memory (m, true, "ln-fc", 1);
  test_memory (m, false, "ln-shared", 0.5);
  test_switches ();
  test_update ();
}

int
main (void)
{
  struct model_spec m = small ();
  test_memory (m, true, "ln-fc", 1);
  test_memory (m, true, "ln-shared", 0.5);
  test_memory (m, false, "ln-fc", 0.5);
  test_memory (m, false, "ln-shared", 1);
  for (made = STAGE_STILL; made > STAGE_LEARNS; made--)
    test_memory (m, false, "ln-fc", 1);
  test_memory (m, false, "ln-rank16-fc", 1);
  test_memory (m, true, "ln-fc96-fc", 0.5);
  test_memory (m, true, "like-2", 1);
  narrow = true;
  test_memory (m, true, "ln-fc", 1);
  test_memory (m, true, "ln-shared", 0.5);
  test_memory (m, false, "ln-shared", 1);
  test_memory (m, false, "ln-fc", 1);
  narrow = false;
  test_init (m);
  test_chunks ();
  test_route (m, "ln-fc", local, "local, ln-fc");
  test_route (m, "ln-fc", pairwise, "pairwise, ln-fc");
  test_route (m, "ln-fc", e2e, "end to end, ln-fc");
  test_route (m, "ln-fc", sums, "sum, ln-fc");
  test_route (m, "ln-shared", means, "mean, ln-shared");
  test_route (m, "ln-rank5-fc", sums, "sum, ln-rank5-fc");
  test_route (m, "ln-fc20-rank5-ln-fc", local, "local, ln-fc20-rank5-ln-fc");
  test_route (m, "like-1", sums, "sum, like-1");
  test_route (m, "like-2-ln-rank5-fc", pairwise,
              "pairwise, like-2-ln-rank5-fc");
  test_route (m, "like-3-ln-shared", local, "local, like-3-ln-shared");
  m.dropout = 0.25;
  test_route (m, "like-1", local, "local, like-1 with dropout");
  m.dropout = 0;
  smoothing = 0.125;
  test_route (m, "ln-fc", pairwise, "smoothed labels, pairwise");
  test_route (m, "ln-shared", sums, "smoothed labels, sum, ln-shared");
  smoothing = 0;
  m.tied = true;
  test_route (m, "ln-fc", local, "local, ln-fc, tied");
  test_route (m, "ln-shared", pairwise, "pairwise, ln-shared, tied");
  test_route (m, "ln-shared", e2e, "end to end, ln-shared witnesses, tied");
  test_route (m, "ln-shared", sums, "sum, ln-shared, tied");
  m.dropout = 0.25;
  test_route (m, "ln-fc", pairwise, "pairwise with dropout");
  m.head_tokens = 0.6;
  test_route (m, "ln-shared", sums, "sum, ln-shared, 4 of 7 positions");
  test_decode (small ());
  test_border (MODEL_BORDER_RMS, "border rms");
  test_border (MODEL_BORDER_LN, "border ln");
  test_frozen ();
  test_modern ();
  return tap_done ();
}
