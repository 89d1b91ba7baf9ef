/* ranks: 0 */
/* tests/model/stage.c -- what the calls of a stage promise each other: cuts do
 * not change bits, passes that carry change nothing, gradients add up, weight
 * gradients may come late, tensors go out and come back, nothing allocates.
 */
#include "base/fault.h"
#include "tests/model/fixture.h"

static struct fixture f;

#define HEAD "conv16-bn-gap-fc"

/* The gradient block of a part, copied. */
static float *
gradients (struct stage *s, enum stage_part part, size_t *n)
{
  float *block;
  stage_gradients (s, part, &block, n);
  float *copy = twin_new (*n, sizeof (float));
  if (*n)
    memcpy (copy, block, *n * sizeof (float));
  return copy;
}

/* One tensor by name, in plain layout; the caller frees. */
static float *
tensor (struct stage *s, const char *name, enum stage_what what, size_t *n)
{
  for (int i = 0; i < stage_tensors (s); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (s, i, &info, &head, &statistic);
    if (strcmp (info.name, name) != 0)
      continue;
    *n = (size_t)tensor_info_count (&info);
    float *t = twin_new (*n, sizeof (float));
    must (stage_tensor_out (s, i, what, t));
    return t;
  }
  return NULL;
}

static void
learn (struct stage *s, int slot, int pair, const float *x, float *d_x)
{
  struct stage_loss loss;
  must (stage_forward (s, slot, x));
  must (stage_head (s, slot, f.labels, 0.25f, false, &loss));
  must (stage_back_data (s, slot, stage_head_grad (s, slot), true, pair, d_x));
  must (stage_back_weights (s, slot, pair));
  must (stage_head_weights (s, slot));
}

/* -- cuts ------------------------------------------------------------------ */

/* Forward through a row of stages, backward end to end. */
static void
chain (struct stage **s, int K)
{
  const float *x = f.images, *d;
  struct stage_loss loss;
  float *d_x[8] = {NULL};
  for (int k = 0; k < K; k++) {
    struct tensor y;
    must (stage_forward (s[k], 0, x));
    stage_output (s[k], 0, &y);
    x = y.data;
  }
  must (stage_head (s[K - 1], 0, f.labels, 0.25f, false, &loss));
  must (stage_head_weights (s[K - 1], 0));
  d = stage_head_grad (s[K - 1], 0);
  for (int k = K - 1; k >= 0; k--) {
    struct tensor in, out;
    stage_border (s[k], &in, &out);
    if (k > 0)
      d_x[k] = border_new (&in);
    must (stage_back_data (s[k], 0, d, true, 0, d_x[k]));
    must (stage_back_weights (s[k], 0, 0));
    d = d_x[k];
  }
  for (int k = 0; k < K; k++)
    mem_free (&d_x[k]);
}

/* Every tensor of the cut stages equals that of the uncut one in all bits. */
static bool
same_everywhere (struct stage *uncut, struct stage **s, int K,
                 enum stage_what what)
{
  int found = 0;
  bool same = true;
  for (int k = 0; k < K; k++)
    for (int i = 0; i < stage_tensors (s[k]); i++, found++) {
      struct tensor_info info;
      bool head, statistic;
      size_t n, m;
      stage_tensor (s[k], i, &info, &head, &statistic);
      if (statistic && what != STAGE_VALUE)
        continue;
      float *a = tensor (s[k], info.name, what, &n);
      float *b = tensor (uncut, info.name, what, &m);
      same = same && !head && b && n == m &&
             memcmp (a, b, n * sizeof (float)) == 0;
      mem_free (&a);
      mem_free (&b);
    }
  return same && found == stage_tensors (uncut);
}

static void
cut_at (const struct model_spec *spec, enum kern_layout l, const int *first,
        int K, const char *title)
{
  const float clip[2] = {1.0f, 0.5f};
  fixture_open (&f, *spec, 4, l);
  struct stage *s[8], *uncut;
  uncut = fixture_stage (&f, 0, 1, 0, network_units (f.net), NULL);
  for (int k = 0; k < K; k++)
    s[k] = fixture_stage (&f, k, K, first[k], first[k + 1], NULL);
  tap_ok (same_everywhere (uncut, s, K, STAGE_VALUE),
          "%s: first values do not depend on the cut", title);
  for (int step = 1; step <= 2; step++) {
    chain (&uncut, 1);
    chain (s, K);
    tap_ok (same_everywhere (uncut, s, K, STAGE_GRAD),
            "%s: gradients of step %d equal the uncut stage's", title, step);
    must (stage_update (uncut, 0.1, clip, step));
    for (int k = 0; k < K; k++)
      must (stage_update (s[k], 0.1, clip, step));
    tap_ok (same_everywhere (uncut, s, K, STAGE_VALUE) &&
                same_everywhere (uncut, s, K, STAGE_MOMENT_1),
            "%s: so does everything after it", title);
  }
  float *block;
  size_t n;
  stage_gradients (s[0], STAGE_BODY, &block, &n);
  chain (s, K);
  block[0] = nextafterf (block[0], 1.0f);
  chain (&uncut, 1);
  tap_ok (!same_everywhere (uncut, s, K, STAGE_GRAD),
          "%s: one flipped bit is noticed", title);
  stage_destroy (&uncut);
  for (int k = 0; k < K; k++)
    stage_destroy (&s[k]);
  fixture_close (&f);
}

/* -- passes ---------------------------------------------------------------- */

/* Carrying changes d_x and nothing else, and carries what learning carries. */
/* Gradients that were summed over two batches at once or one by one, n samples
 * each: a term for every pixel. */
static double
added (int64_t n)
{
  return rounding_of_result ((double)(2 * n * f.spec.height * f.spec.width_px));
}

static void
carrying (void)
{
  fixture_open (&f, spec_basic, 4, KERN_BLOCKED);
  struct stage *s = fixture_stage (&f, 1, 3, 1, 3, HEAD);
  struct tensor in, out;
  size_t n, n_stat;
  float *stat;
  stage_border (s, &in, &out);
  float *x = border_new (&in), *a = border_new (&in), *b = border_new (&in);
  random_floats (x, in.bytes / sizeof (float), 9);
  learn (s, 0, 0, x, a);
  float *g0 = gradients (s, STAGE_BODY, &n);
  stage_statistics (s, STAGE_BODY, &stat, &n_stat);
  float *stat0 = twin_new (n_stat, sizeof (float));
  memcpy (stat0, stat, n_stat * sizeof (float));
  must (stage_back_data (s, 0, stage_head_grad (s, 0), false, -1, b));
  float *g1 = gradients (s, STAGE_BODY, &n);
  tap_ok (memcmp (a, b, in.bytes) == 0, "carrying gives what learning gives");
  tap_ok (memcmp (g0, g1, n * sizeof (float)) == 0 &&
              memcmp (stat0, stat, n_stat * sizeof (float)) == 0,
          "and leaves gradients and statistics alone");
  memset (b, 0, in.bytes);
  must (stage_back_data (s, 0, stage_head_grad (s, 0), false, -1, NULL));
  must (stage_back_data (s, 0, stage_head_grad (s, 0), true, 1, NULL));
  must (stage_back_weights (s, 0, 1));
  mem_free (&g1);
  g1 = gradients (s, STAGE_BODY, &n);
  float worst = 0.0f, largest = 0.0f;
  for (size_t i = 0; i < n; i++) {
    worst = fmaxf (worst, fabsf (g1[i] - 2.0f * g0[i]));
    largest = fmaxf (largest, fabsf (g0[i]));
  }
  tap_near (worst, 0.0, added (f.n) * largest,
            "learning without d_x adds the same gradients");

  struct stage_loss loss;
  const float *d = stage_head_grad (s, 0);
  float first = d[0];
  must (stage_head (s, 0, f.labels, 3.0f, true, &loss));
  tap_ok (d[0] == first, "a witness writes no gradient at the output");
  mem_free (&x);
  mem_free (&a);
  mem_free (&b);
  mem_free (&g0);
  mem_free (&g1);
  mem_free (&stat0);
  stage_destroy (&s);
  fixture_close (&f);
}

/* g (x0) + g (x1), one micro-batch after the other, weights at once or late. */
static void
adding (void)
{
  const float clip[2] = {1.0f, 1.0f};
  fixture_open (&f, spec_basic, 4, KERN_LAST);
  struct stage *s = fixture_stage (&f, 0, 2, 0, 3, HEAD);
  size_t n[2], pixels = (size_t)(4 * 3 * 9 * 7);
  float *x[2], *one[2][2], *both[2], *late[2];
  for (int m = 0; m < 2; m++) {
    x[m] = twin_new (pixels, sizeof (float));
    random_floats (x[m], pixels, 20 + (uint64_t)m);
    learn (s, m, m, x[m], NULL);
    for (int part = 0; part < 2; part++)
      one[m][part] = gradients (s, (enum stage_part)part, &n[part]);
    must (stage_update (s, 0.0, clip, 1)); /* begins a batch, moves nothing */
  }
  for (int m = 0; m < 2; m++)
    learn (s, m, m, x[m], NULL);
  for (int part = 0; part < 2; part++)
    both[part] = gradients (s, (enum stage_part)part, &n[part]);
  must (stage_update (s, 0.0, clip, 1));

  struct stage_loss loss;
  for (int m = 0; m < 2; m++)
    must (stage_forward (s, m, x[m]));
  for (int m = 0; m < 2; m++) {
    must (stage_head (s, m, f.labels, 0.25f, false, &loss));
    must (stage_back_data (s, m, stage_head_grad (s, m), true, 1 - m, NULL));
  }
  for (int m = 0; m < 2; m++) {
    must (stage_back_weights (s, m, 1 - m));
    must (stage_head_weights (s, m));
  }
  for (int part = 0; part < 2; part++) {
    late[part] = gradients (s, (enum stage_part)part, &n[part]);
    float worst = 0.0f, largest = 0.0f;
    for (size_t i = 0; i < n[part]; i++) {
      float sum = one[0][part][i] + one[1][part][i];
      worst = fmaxf (worst, fabsf (sum - both[part][i]));
      largest = fmaxf (largest, fabsf (sum));
    }
    tap_near (worst, 0.0, added (f.n) * largest,
              "part %d: two micro-batches add up", part);
    tap_ok (largest > 1e-3f, "part %d: there is something to add", part);
    tap_ok (memcmp (both[part], late[part], n[part] * sizeof (float)) == 0,
            "part %d: late weight gradients have the same bits", part);
  }
  for (int i = 0; i < 2; i++) {
    mem_free (&x[i]);
    mem_free (&both[i]);
    mem_free (&late[i]);
    mem_free (&one[0][i]);
    mem_free (&one[1][i]);
  }
  stage_destroy (&s);
  fixture_close (&f);
}

/* Weights on the way: the same bits as in a call of their own, in d_x and in
 * all gradients, and again when they are added to what is there. */
static void
on_the_way (struct model_spec spec, enum kern_layout l, int first, int end)
{
  const float clip[2] = {1.0f, 1.0f};
  fixture_open (&f, spec, 4, l);
  struct stage *s = fixture_stage (&f, first > 0, 3, first, end, HEAD);
  struct tensor in, out;
  struct stage_loss loss;
  size_t n;
  stage_border (s, &in, &out);
  float *x = border_new (&in), *a = border_new (&in), *b = border_new (&in);
  random_floats (x, in.bytes / sizeof (float), 9);
  learn (s, 0, 0, x, first ? a : NULL);
  float *g1 = gradients (s, STAGE_BODY, &n);
  learn (s, 0, 0, x, first ? a : NULL);
  float *g2 = gradients (s, STAGE_BODY, &n);
  must (stage_update (s, 0.0, clip, 1));
  must (stage_forward (s, 0, x));
  must (stage_head (s, 0, f.labels, 0.25f, false, &loss));
  for (int i = 0; i < 2; i++) {
    must (stage_back_both (s, 0, stage_head_grad (s, 0), 0, first ? b : NULL));
    float *g = gradients (s, STAGE_BODY, &n);
    tap_ok (memcmp (g, i ? g2 : g1, n * sizeof (float)) == 0 &&
                memcmp (a, b, in.bytes) == 0,
            "units %d to %d: weights on the way, pass %d, have the same bits",
            first, end - 1, i + 1);
    mem_free (&g);
  }
  mem_free (&x);
  mem_free (&a);
  mem_free (&b);
  mem_free (&g1);
  mem_free (&g2);
  stage_destroy (&s);
  fixture_close (&f);
}

/* A batch in which nobody learns: the next one does not see old gradients, and
 * an update without gradients moves nothing. */
static void
idle_batches (void)
{
  const float clip[2] = {1.0f, 1.0f};
  fixture_open (&f, spec_basic, 4, KERN_LAST);
  struct stage *s = fixture_stage (&f, 0, 2, 0, 2, HEAD);
  struct stage_loss loss;
  size_t n;
  learn (s, 0, 0, f.images, NULL);
  must (stage_update (s, 0.1, clip, 1));
  must (stage_forward (s, 0, f.images));
  float *before = tensor (s, "conv1.weight", STAGE_VALUE, &n);
  tap_near (stage_gradient_squares (s, STAGE_BODY), 0.0, 0.0,
            "a new batch begins without gradients");
  must (stage_update (s, 0.1, clip, 2));
  float *after = tensor (s, "conv1.weight", STAGE_VALUE, &n);
  tap_ok (memcmp (before, after, n * sizeof (float)) == 0,
          "a part nobody taught stays where it is");
  must (stage_forward (s, 0, f.images));
  must (stage_head (s, 0, f.labels, 1.0f, true, &loss));
  must (stage_head_weights (s, 0));
  tap_ok (stage_gradient_squares (s, STAGE_HEAD) > 0.0 &&
              stage_gradient_squares (s, STAGE_BODY) == 0.0,
          "a witness teaches its head alone");
  must (stage_update (s, 0.1, clip, 3));
  float *last = tensor (s, "conv1.weight", STAGE_VALUE, &n);
  tap_ok (memcmp (before, last, n * sizeof (float)) == 0,
          "and the body stays again");
  mem_free (&before);
  mem_free (&after);
  mem_free (&last);
  stage_destroy (&s);
  fixture_close (&f);
}

/* -- the last stage without a body ----------------------------------------- */

static void
empty_body (void)
{
  fixture_open (&f, spec_basic, 4, KERN_BLOCKED);
  int units = network_units (f.net);
  struct stage *s = fixture_stage (&f, 1, 2, units - 1, units, NULL);
  struct tensor in, out, y;
  stage_border (s, &in, &out);
  tap_ok (in.bytes == out.bytes && stage_has_head (s), "output is input");
  must (stage_input (s, 0, &in));
  random_floats (in.data, in.bytes / sizeof (float), 11);
  float *d_x = border_new (&in);
  learn (s, 0, 0, in.data, d_x);
  stage_output (s, 0, &y);
  tap_ok (y.data == in.data &&
              memcmp (d_x, stage_head_grad (s, 0), in.bytes) == 0,
          "the cotangent passes through");
  tap_ok (stage_tensors (s) == 2, "two tensors: the classifier's");
  float *block;
  size_t n;
  stage_gradients (s, STAGE_BODY, &block, &n);
  tap_ok (n == 0, "no gradients of a body");
  mem_free (&d_x);
  stage_destroy (&s);
  fixture_close (&f);
}

/* -- tensors --------------------------------------------------------------- */

static void
names (void)
{
  static const char *const want[] = {"conv1.weight",
                                     "bn1.weight",
                                     "bn1.bias",
                                     "bn1.running_mean",
                                     "bn1.running_var",
                                     "layer1.0.conv1.weight",
                                     "layer1.0.bn1.weight",
                                     "layer1.0.bn1.bias",
                                     "layer1.0.bn1.running_mean",
                                     "layer1.0.bn1.running_var",
                                     "layer1.0.conv2.weight",
                                     "layer1.0.bn2.weight",
                                     "layer1.0.bn2.bias",
                                     "layer1.0.bn2.running_mean",
                                     "layer1.0.bn2.running_var",
                                     "layer2.0.conv1.weight",
                                     "layer2.0.downsample.0.weight",
                                     "layer2.0.downsample.1.weight",
                                     "layer2.0.downsample.1.bias",
                                     "layer2.0.downsample.1.running_mean",
                                     "layer2.0.downsample.1.running_var",
                                     "layer2.1.bn2.bias",
                                     "0.weight",
                                     "0.bias",
                                     "1.weight",
                                     "1.bias",
                                     "1.running_mean",
                                     "1.running_var",
                                     "3.weight",
                                     "3.bias"};
  fixture_open (&f, spec_basic, 4, KERN_LAST);
  struct stage *s = fixture_stage (&f, 0, 2, 0, 4, HEAD);
  int found = 0, heads = 0, statistics = 0;
  for (size_t j = 0; j < sizeof want / sizeof want[0]; j++)
    for (int i = 0; i < stage_tensors (s); i++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s, i, &info, &head, &statistic);
      if (strcmp (info.name, want[j]) != 0)
        continue;
      found++;
      heads += head;
      statistics += statistic;
    }
  tap_ok (found == 30 && heads == 8 && statistics == 10,
          "names of tensors, %d of 30 found", found);
  /* stem 5, blocks 10 + 15 + 10, head 8 */
  tap_ok (stage_tensors (s) == 48, "%d tensors", stage_tensors (s));
  stage_destroy (&s);
  fixture_close (&f);
}

/* Out and in again, in every layout and of every kind; what one stage lets out
 * makes another, of another layout, compute the same. */
static void
round_trip (enum kern_layout from, enum kern_layout to)
{
  const float clip[2] = {1.0f, 1.0f};
  bool same = true;
  fixture_open (&f, spec_bottle, 4, from);
  struct stage *a = fixture_stage (&f, 0, 2, 0, 3, "conv5-bn-gap-fc");
  fixture_shake (a);
  learn (a, 0, 0, f.images, NULL);
  must (stage_update (a, 0.1, clip, 1));
  learn (a, 0, 0, f.images, NULL);
  kern_tuning_layout_set (f.t, to);
  struct stage *b = fixture_stage (&f, 0, 2, 0, 3, "conv5-bn-gap-fc");
  for (int i = 0; i < stage_tensors (a); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (a, i, &info, &head, &statistic);
    size_t n = (size_t)tensor_info_count (&info);
    float *t = twin_new (n, sizeof (float)), *u = twin_new (n, sizeof (float));
    for (int w = STAGE_VALUE; w <= (statistic ? STAGE_VALUE : STAGE_MOMENT_1);
         w++) {
      must (stage_tensor_out (a, i, (enum stage_what)w, t));
      must (stage_tensor_in (b, i, (enum stage_what)w, t));
      must (stage_tensor_out (b, i, (enum stage_what)w, u));
      same = same && memcmp (t, u, n * sizeof (float)) == 0;
    }
    mem_free (&t);
    mem_free (&u);
  }
  must (stage_refresh (b));
  tap_ok (same, "%s to %s: tensors come back as they went",
          kern_layout_name (from), kern_layout_name (to));
  struct stage_loss la, lb;
  must (stage_update (a, 0.1, clip, 2));
  must (stage_update (b, 0.1, clip, 2));
  must (stage_eval (a, f.images));
  must (stage_eval (b, f.images));
  must (stage_head_eval (a, f.labels, &la));
  must (stage_head_eval (b, f.labels, &lb));
  /* Two updates by gradients, and an evaluation. */
  tap_near (la.loss, lb.loss,
            twin_reach (a, 2 * TWIN_GRADIENT + TWIN_FORWARD) *
                (la.loss + (double)f.n),
            "%s to %s: the other stage goes on alike", kern_layout_name (from),
            kern_layout_name (to));
  stage_destroy (&a);
  stage_destroy (&b);
  fixture_close (&f);
}

/* -- memory ---------------------------------------------------------------- */

static void
no_allocation (void)
{
  const float clip[2] = {1.0f, 1.0f};
  size_t bytes[2], blocks[2], peak, by_kind[5];
  fixture_open (&f, spec_basic, 4, KERN_BLOCKED);
  struct stage *s = fixture_stage (&f, 0, 2, 0, 3, HEAD);
  struct stage_loss loss;
  mem_count (&bytes[0], &blocks[0], &peak);
  mem_close ();
  for (int step = 1; step <= 3; step++) {
    learn (s, step % 2, step % 2, f.images, NULL);
    must (stage_update (s, 0.1, clip, step));
    must (stage_eval (s, f.images));
    must (stage_head_eval (s, f.labels, &loss));
  }
  mem_open ();
  mem_count (&bytes[1], &blocks[1], &peak);
  tap_ok (bytes[0] == bytes[1] && blocks[0] == blocks[1],
          "three steps allocate nothing");
  stage_memory (s, by_kind);
  size_t pixels = 9 * 7 + 0, least = 4 * 4 * pixels * 16 * 2 * 2;
  tap_ok (by_kind[0] > 3 * 4 * 5000 && by_kind[1] > least && by_kind[2] > 0 &&
              by_kind[3] > 0 &&
              by_kind[0] + by_kind[1] + by_kind[2] + by_kind[3] < bytes[1],
          "memory is told by kind: %zu %zu %zu %zu", by_kind[0], by_kind[1],
          by_kind[2], by_kind[3]);
  stage_destroy (&s);
  fixture_close (&f);
  mem_count (&bytes[1], &blocks[1], &peak);
  tap_ok (blocks[1] == 0, "nothing is left behind (%zu blocks)", blocks[1]);
}

/* Each allocation of stage_create fails once; what was made is given back. */
static void
failing_allocations (void)
{
  size_t bytes[2], blocks[2], peak;
  struct stage *s = NULL;
  bool clean = true;
  int i;
  fixture_open (&f, spec_basic, 4, KERN_BLOCKED);
  struct stage_spec spec = {.net = f.net,
                            .tuning = f.t,
                            .n_stages = 2,
                            .unit_end = 2,
                            .head = HEAD,
                            .n_samples = 4,
                            .n_slots = 1,
                            .n_pairs = 1,
                            .optimizer = {.kind = OPTIMIZER_ADAMW},
                            .training = true};
  for (i = 1; i < 500; i++) {
    char plant[32];
    snprintf (plant, sizeof plant, "alloc:%d", i);
    kern_seal (f.k);
    mem_count (&bytes[0], &blocks[0], &peak);
    fault_plant (plant);
    enum status e = stage_create (f.k, &spec, &s);
    fault_plant (NULL);
    if (e == OK)
      break;
    /* kern's scratchpad may have grown or gone; the stage is gone. */
    mem_count (&bytes[1], &blocks[1], &peak);
    clean = clean && e == E_MEMORY && s == NULL && blocks[1] <= blocks[0] + 1;
    fail_clear ();
  }
  tap_ok (clean && i > 20 && i < 500,
          "each of %d allocations fails and leaves nothing behind", i - 1);
  stage_destroy (&s);
  fixture_close (&f);
}

/* Rows of outputs are what a reorder to the plain layout gives, whatever the
 * inner one; pooled ones their means. */
static void
rows (enum kern_layout l, const struct model_spec *spec, const char *title)
{
  fixture_open (&f, *spec, 4, l);
  struct stage *s = fixture_stage (&f, 0, 2, 0, 3, HEAD);
  struct network_unit u;
  struct tensor y;
  must (kern_seal (f.k));
  network_unit (f.net, 2, &u);
  struct kern_dims d = {4, u.out.c, u.out.h, u.out.w};
  size_t pixels = (size_t)(d.h * d.w), channels = (size_t)d.c;
  float *plain = twin_new (4 * channels * pixels, sizeof (float));
  float *got = twin_new (4 * channels * pixels, sizeof (float));
  must (stage_eval (s, f.images));
  stage_output (s, STAGE_EVAL, &y);
  must (kern_reorder (f.k, d, l, KERN_PLAIN, y.data, plain));
  tap_ok (stage_row_width (s, false) == (int64_t)(channels * pixels) &&
              stage_row_width (s, true) == d.c,
          "%s: widths of rows", title);
  stage_output_rows (s, 3, false, got);
  tap_ok (memcmp (got, plain, 3 * channels * pixels * sizeof *got) == 0,
          "%s: rows are whole maps", title);
  stage_output_rows (s, 4, true, got);
  double off = 0;
  for (size_t i = 0; i < 4 * channels; i++) {
    double sum = 0, size = 1e-30;
    for (size_t j = 0; j < pixels; j++) {
      sum += (double)plain[i * pixels + j];
      size += fabs ((double)plain[i * pixels + j]);
    }
    off = fmax (off, fabs (sum - (double)pixels * (double)got[i]) / size);
  }
  tap_near (off, 0, rounding ((double)pixels + 1), "%s: rows are means of maps",
            title);
  mem_free (&plain);
  mem_free (&got);
  stage_destroy (&s);
  fixture_close (&f);
}

/* -- frozen ---------------------------------------------------------------- */

/* The tensors of s, one behind the other; the caller frees. */
static float *
state (struct stage *s, bool heads, size_t *n)
{
  float *all = twin_new (1 << 20, sizeof (float));
  *n = 0;
  for (int i = 0; i < stage_tensors (s); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (s, i, &info, &head, &statistic);
    if (head && !heads)
      continue;
    must (stage_tensor_out (s, i, STAGE_VALUE, all + *n));
    *n += (size_t)tensor_info_count (&info);
  }
  return all;
}

static bool
output_is (const struct stage *s, int slot, const float *want)
{
  struct tensor y;
  stage_output (s, slot, &y);
  return memcmp (y.data, want, y.bytes) == 0;
}

/* A batch with its head; where the body learns, that too. */
static void
batch (struct stage *s, enum stage_mode mode)
{
  struct stage_loss loss;
  stage_set_mode (s, mode);
  if (mode == STAGE_LEARNS) {
    learn (s, 0, 0, f.images, NULL);
  } else {
    must (stage_forward (s, 0, f.images));
    must (stage_head (s, 0, f.labels, 0.25f, false, &loss));
    must (stage_head_weights (s, 0));
  }
  must (stage_update (s, 0.1, (const float[]){1, 1}, 1));
}

static void
same_head (struct stage *from, struct stage *to)
{
  for (int i = 0; i < stage_tensors (from); i++) {
    struct tensor_info info;
    bool head, statistic;
    size_t n;
    stage_tensor (from, i, &info, &head, &statistic);
    float *t = head ? tensor (from, info.name, STAGE_VALUE, &n) : NULL;
    if (t)
      must (stage_tensor_in (to, i, STAGE_VALUE, t));
    mem_free (&t);
  }
  must (stage_refresh (to));
}

/* Stages that stay frozen have no room for what only others need. */
static bool
lean (struct stage *learns)
{
  size_t bytes[3][5];
  struct tensor y;
  bool same = true;
  must (stage_eval (learns, f.images));
  stage_output (learns, STAGE_EVAL, &y);
  for (int mode = STAGE_LEARNS; mode <= STAGE_STILL; mode++) {
    struct stage *s =
        fixture_stage_as (&f, 0, 2, 0, 3, HEAD, (enum stage_mode)mode);
    stage_memory (s, bytes[mode]);
    if (mode > STAGE_LEARNS) {
      batch (s, (enum stage_mode)mode);
      same = same && output_is (s, 0, y.data);
    }
    stage_destroy (&s);
  }
  return same && bytes[0][2] > 0 && bytes[1][2] == 0 && bytes[2][2] == 0 &&
         bytes[1][1] == bytes[0][1] && 4 * bytes[2][1] < 3 * bytes[0][1];
}

/* Frozen a stage computes what evaluation does and keeps its bits, with a head
 * that learns; and nothing of that is left when it learns again. */
static void
frozen (enum kern_layout l)
{
  fixture_open (&f, spec_basic, 4, l);
  struct stage *s = fixture_stage (&f, 0, 2, 0, 3, HEAD);
  struct stage *other = fixture_stage (&f, 0, 2, 0, 3, HEAD);
  struct tensor y;
  size_t n, all;
  float *block;
  tap_ok (lean (s), "made to stay frozen it takes less memory, and does the "
                    "same");
  batch (s, STAGE_LEARNS); /* statistics other than 0 and 1 */
  batch (other, STAGE_LEARNS);
  float *before = state (s, false, &n), *whole = state (s, true, &all);
  must (stage_eval (s, f.images));
  stage_output (s, STAGE_EVAL, &y);
  bool same = true, moved = true;
  for (int mode = STAGE_HANDS_ON; mode <= STAGE_STILL; mode++) {
    batch (s, (enum stage_mode)mode);
    same = same && output_is (s, 0, y.data);
    float *now = state (s, false, &n), *heads = state (s, true, &all);
    same = same && memcmp (now, before, n * sizeof *now) == 0;
    moved = moved && memcmp (heads, whole, all * sizeof *now) != 0;
    stage_gradients (s, STAGE_BODY, &block, &n);
    same = same && n == 0 && stage_gradient_squares (s, STAGE_BODY) == 0;
    stage_statistics (s, STAGE_BODY, &block, &n);
    same = same && n == 0;
    mem_free (&now);
    mem_free (&heads);
  }
  tap_ok (same, "frozen: the bits of evaluation, the body stays (%s)",
          kern_layout_name (l));
  tap_ok (moved, "frozen: its head learns");
  mem_free (&before);
  mem_free (&whole);
  same_head (other, s);
  batch (s, STAGE_LEARNS);
  tap_ok (!output_is (s, 0, y.data), "learning: not the bits of evaluation");
  batch (other, STAGE_LEARNS);
  before = state (s, false, &n);
  whole = state (other, false, &all);
  tap_ok (memcmp (before, whole, n * sizeof *before) == 0,
          "learning again: the body of a stage that never was frozen");
  mem_free (&before);
  mem_free (&whole);
  stage_destroy (&s);
  stage_destroy (&other);
  fixture_close (&f);
}

/* -- memory ---------------------------------------------------------------- */

/* What a stage would hold, over what it holds. */
static double
said_to_held (const struct stage_spec *spec)
{
  struct stage *s;
  struct tensor in;
  size_t bytes[5];
  struct stage_bytes said;
  double held = 0;
  must (stage_create (f.k, spec, &s));
  for (int slot = STAGE_EVAL; slot < spec->n_slots; slot++)
    must (stage_input (s, slot, &in));
  stage_memory (s, bytes);
  for (int i = 0; i < 5; i++)
    held += (double)bytes[i];
  must (stage_estimate (spec, true, &said));
  stage_destroy (&s);
  return (said.held + said.work) / held;
}

/* A preset in four stages, with heads of all kinds.  Our own BatchNorm, which
 * steps in for one that is wrong, keeps more than the library's: 4 %. */
static void
memory (const char *preset, int side, int64_t n, enum kern_layout l)
{
  static const char *const heads[] = {NULL, "gap-fc", "conv64-bn-gap-fc",
                                      "conv64-bn-gap-fc+rec", "like-2"};
  struct model_spec m = {0};
  double least = 1, most = 1;
  must (model_spec_preset (preset, &m));
  m.channels = 3;
  m.height = m.width_px = side;
  m.classes = 10;
  fixture_open (&f, m, n, l);
  const int units = network_units (f.net);
  for (int i = 0; i < 4 * (int)(sizeof heads / sizeof *heads); i++) {
    const int k = i % 4;
    struct stage_spec spec = {.net = f.net,
                              .tuning = f.t,
                              .k = k,
                              .n_stages = 4,
                              .unit_first = k * units / 4,
                              .unit_end = (k + 1) * units / 4,
                              .head = k < 3 ? heads[i / 4] : NULL,
                              .border = i % 2 ? MODEL_BORDER_RMS : 0,
                              .n_samples = n,
                              .n_slots = 1 + i % 3,
                              .n_pairs = 1 + i % 2,
                              .mode = (enum stage_mode) (i / 2 % 3),
                              .seed = 5,
                              .optimizer = {.kind = OPTIMIZER_SGD},
                              .training = true};
    const double ratio = said_to_held (&spec);
    least = ratio < least ? ratio : least;
    most = ratio > most ? ratio : most;
  }
  tap_ok (least >= 0.95 && most <= 1.05,
          "%s: stages hold what was said before (%.3f to %.3f of it)", preset,
          1 / most, 1 / least);
  fixture_close (&f);
}

int
main (void)
{
  memory ("resnet20", 32, 8, KERN_BLOCKED);
  memory ("resnet164", 32, 4, KERN_LAST);
  memory ("resnet50", 64, 8, KERN_BLOCKED);
  cut_at (&spec_basic, KERN_BLOCKED, (const int[]){0, 1, 2, 4, 5}, 4,
          "basic in four, the last without a body");
  cut_at (&spec_bottle, KERN_LAST, (const int[]){0, 2, 3, 5}, 3,
          "bottleneck in three");
  cut_at (&spec_basic_pre, KERN_BLOCKED, (const int[]){0, 1, 2, 3, 5, 6}, 5,
          "basic, pre, in five, the last without a body");
  cut_at (&spec_bottle_pre, KERN_LAST, (const int[]){0, 2, 4, 5}, 3,
          "bottleneck, pre, in three");
  carrying ();
  adding ();
  on_the_way (spec_basic, KERN_BLOCKED, 1, 4);
  on_the_way (spec_bottle, KERN_LAST, 1, 3);
  on_the_way (spec_basic, KERN_LAST, 0, 3);
  on_the_way (spec_basic_pre, KERN_BLOCKED, 1, 5);
  on_the_way (spec_bottle_pre, KERN_LAST, 0, 4);
  idle_batches ();
  empty_body ();
  names ();
  round_trip (KERN_BLOCKED, KERN_LAST);
  round_trip (KERN_LAST, KERN_BLOCKED);
  rows (KERN_BLOCKED, &spec_basic, "blocked");
  rows (KERN_LAST, &spec_basic, "channels last");
  rows (KERN_BLOCKED, &spec_bottle, "blocked, bottleneck");
  frozen (KERN_BLOCKED);
  frozen (KERN_LAST);
  failing_allocations ();
  no_allocation ();
  return tap_done ();
}
