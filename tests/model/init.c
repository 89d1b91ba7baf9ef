/* ranks: 0 */
/* tests/model/init.c -- first values: their spread, and that they depend on
 * seed and full name alone.
 */
#include "tests/model/fixture.h"
#include "base/hash.h"

static struct fixture f;

/* Wide enough for spreads to be told apart. */
static const struct model_spec spec = {.block = MODEL_BOTTLENECK,
                                       .stem = MODEL_STEM_CIFAR,
                                       .n_groups = 1,
                                       .width = {32},
                                       .blocks = {2},
                                       .classes = 10,
                                       .channels = 3,
                                       .height = 6,
                                       .width_px = 6};

static struct stage *
make (int k, int first, int end, uint64_t seed, bool training)
{
  struct stage *s;
  int units = network_units (f.net);
  struct stage_spec stage = {.net = f.net,
                             .tuning = f.t,
                             .k = k,
                             .n_stages = 3,
                             .unit_first = first,
                             .unit_end = end,
                             .head = end < units ? "conv48-gap-fc" : NULL,
                             .n_samples = 2,
                             .n_slots = 1,
                             .n_pairs = 1,
                             .seed = seed,
                             .training = training};
  must (stage_create (f.k, &stage, &s));
  return s;
}

/* A digest of all values in plain layout. */
static uint64_t
values (struct stage *s, const char *name)
{
  uint64_t h = 0;
  for (int i = 0; i < stage_tensors (s); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (s, i, &info, &head, &statistic);
    if (name && strcmp (info.name, name) != 0)
      continue;
    size_t n = (size_t)tensor_info_count (&info);
    float *t = twin_new (n, sizeof (float));
    must (stage_tensor_out (s, i, STAGE_VALUE, t));
    h = hash_bytes (t, n * sizeof (float), h);
    mem_free (&t);
  }
  return h;
}

/* Mean, root of the mean square, and largest magnitude of one tensor. */
static void
spread_is (struct stage *s, const char *name, double rms, double most)
{
  for (int i = 0; i < stage_tensors (s); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (s, i, &info, &head, &statistic);
    if (strcmp (info.name, name) != 0)
      continue;
    size_t n = (size_t)tensor_info_count (&info);
    float *t = twin_new (n, sizeof (float));
    double sum = 0.0, squares = 0.0, largest = 0.0;
    must (stage_tensor_out (s, i, STAGE_VALUE, t));
    for (size_t j = 0; j < n; j++) {
      sum += t[j];
      squares += (double)t[j] * t[j];
      largest = fmax (largest, fabs (t[j]));
    }
    double limit = 5.0 * rms / sqrt ((double)n);
    tap_near (sqrt (squares / (double)n), rms, limit, "spread of %s", name);
    tap_near (sum / (double)n, 0.0, limit, "mean of %s", name);
    tap_ok (largest <= most && largest > 0.8 * rms, "bound of %s", name);
    mem_free (&t);
    return;
  }
  tap_ok (false, "there is a tensor %s", name);
}

/* What ends in the residual stream, and what does not. */
static void
test_residual (bool scaled, bool llama)
{
  const char *const layer =
      llama ? "model.layers.%d.%s" : "transformer.h.%d.%s";
  static const char *const gpt2_names[] = {
      "attn.c_proj.weight", "mlp.c_proj.weight", "attn.c_attn.weight",
      "mlp.c_fc.weight", NULL};
  static const char *const llama_names[] = {
      "self_attn.o_proj.weight", "mlp.down_proj.weight",
      "self_attn.v_proj.weight", "mlp.up_proj.weight",
      "mlp.gate_proj.weight",    NULL};
  const char *const *names = llama ? llama_names : gpt2_names;
  enum { LAYERS = 8, UNITS = LAYERS + 2 };
  struct model_spec m = {.family = MODEL_TRANSFORMER,
                         .classes = 11,
                         .layers = LAYERS,
                         .d_model = 24,
                         .heads = 2,
                         .context = 4,
                         .mlp_ratio = 4,
                         .norm = llama ? MODEL_RMSNORM : MODEL_LAYERNORM,
                         .mlp = llama ? MODEL_SWIGLU : MODEL_GELU,
                         .residual_scaled = scaled};
  const double least = scaled ? 0.02 / 4 : 0.02; /* sqrt (2 x 8) */
  fixture_open (&f, m, 2, KERN_LAST);
  struct stage *s = make (2, 0, UNITS, 1, true);
  for (int i = 0; i < LAYERS; i += LAYERS - 1) {
    for (int j = 0; names[j]; j++) {
      char name[80];
      const double rms = j < 2 ? least : 0.02;
      snprintf (name, sizeof name, layer, i, names[j]);
      spread_is (s, name, rms, 5 * rms);
    }
  }
  spread_is (s, llama ? "model.embed_tokens.weight" : "transformer.wte.weight",
             0.02, 0.1);
  spread_is (s, "lm_head.weight", 0.02, 0.1);
  stage_destroy (&s);
  fixture_close (&f);
}

int
main (void)
{
  test_residual (false, false);
  test_residual (true, false);
  test_residual (true, true);
  fixture_open (&f, spec, 2, KERN_BLOCKED);
  const int units = network_units (f.net);
  struct stage *a = make (0, 0, 2, 1, true);
  spread_is (a, "layer1.0.conv2.weight", sqrt (2.0 / (32 * 9)), 1.0);
  spread_is (a, "layer1.0.conv3.weight", sqrt (2.0 / 128), 1.0);
  spread_is (a, "conv1.weight", sqrt (2.0 / (32 * 9)), 1.0);
  double bound = 1.0 / sqrt (128.0 * 9);
  spread_is (a, "0.weight", bound / sqrt (3.0), bound);
  spread_is (a, "0.bias", bound / sqrt (3.0), bound);
  bound = 1.0 / sqrt (48.0);
  spread_is (a, "2.weight", bound / sqrt (3.0), bound);
  struct stage *last = make (2, 2, units, 1, true);
  bound = 1.0 / sqrt (128.0);
  spread_is (last, "fc.weight", bound / sqrt (3.0), bound);

  struct stage *other = make (0, 0, 2, 2, true);
  tap_ok (values (a, "conv1.weight") != values (other, "conv1.weight"),
          "another seed, other values");
  stage_destroy (&other);
  other = make (1, 0, 2, 1, true);
  tap_ok (values (a, "conv1.weight") == values (other, "conv1.weight") &&
              values (a, "0.weight") != values (other, "0.weight"),
          "the head's values depend on its stage, the body's do not");
  stage_destroy (&other);
  other = make (0, 0, 2, 1, false);
  tap_ok (values (a, NULL) == values (other, NULL),
          "a stage for evaluation begins with the same");
  stage_destroy (&other);
  kern_tuning_layout_set (f.t, KERN_LAST);
  other = make (0, 0, 2, 1, true);
  tap_ok (values (a, NULL) == values (other, NULL),
          "and so does one in another layout");
  stage_destroy (&other);
  stage_destroy (&a);
  stage_destroy (&last);
  fixture_close (&f);
  return tap_done ();
}
