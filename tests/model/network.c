/* ranks: 0 */
/* tests/model/network.c -- counts of parameters as published, names and shapes
 * of units, written cuts, and specs that must be refused.
 */
#include "model/network.h"
#include "tests/tap.h"
#include <stdlib.h>
#include <string.h>

static struct network *
made (const char *preset, bool cifar, int classes, int size)
{
  struct model_spec spec = {
      .classes = classes, .channels = 3, .height = size, .width_px = size};
  struct network *net = NULL;
  if (model_spec_preset (preset, &spec) != OK)
    return NULL;
  if (cifar)
    spec.stem = MODEL_STEM_CIFAR;
  return network_create (&spec, &net) == OK ? net : NULL;
}

/* Those of torchvision's and of the papers' networks.  The narrow ones are He
 * et al.'s with 1x1 convolutions in the two shortcuts: 2752 more than with
 * parameter-free ones (0.269722, 0.464154, ... million).  Those of order pre:
 * 1.7 and 10.2 million in "Identity mappings", 36.5 in "Wide Residual
 * Networks". */
static void
counts (void)
{
  static const struct row {
    const char *preset;
    bool cifar;
    int classes;
    int64_t params;
    int units;
  } rows[] = {
      {"resnet20", true, 10, 269722 + 2752, 11},
      {"resnet32", true, 10, 466906, 17},
      {"resnet44", true, 10, 658586 + 2752, 23},
      {"resnet56", true, 10, 853018 + 2752, 29},
      {"resnet110", true, 10, 1727962 + 2752, 56},
      {"resnet34", true, 10, 21282122, 18},
      {"resnet164", true, 10, 1703258, 56},
      {"resnet1001", true, 10, 10327706, 335},
      {"wrn-28-10", true, 10, 36479194, 14},
      {"resnet18", false, 1000, 11689512, 10},
      {"resnet34", false, 1000, 21797672, 18},
      {"resnet50", false, 1000, 25557032, 18},
      {"resnet101", false, 1000, 44549160, 35},
      {"resnet152", false, 1000, 60192808, 52},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct network *net = made (rows[i].preset, rows[i].cifar, rows[i].classes,
                                rows[i].cifar ? 32 : 224);
    if (!tap_ok (net != NULL, "%s is made", rows[i].preset))
      continue;
    tap_ok (network_params (net) == rows[i].params &&
                network_units (net) == rows[i].units,
            "%s has %lld parameters in %d units", rows[i].preset,
            (long long)network_params (net), network_units (net));
    network_destroy (&net);
  }
}

static void
unit_is (const struct network *net, int i, const char *name, int64_t c,
         int64_t size, int64_t params)
{
  struct network_unit u;
  network_unit (net, i, &u);
  tap_ok (strcmp (u.name, name) == 0 && u.out.c == c && u.out.h == size &&
              u.out.w == size && u.out.n == 1 && u.params == params,
          "unit %d is %s, %lldx%lldx%lld, %lld parameters", i, u.name,
          (long long)u.out.c, (long long)u.out.h, (long long)u.out.w,
          (long long)u.params);
}

static void
units (void)
{
  struct network *net = made ("resnet32", true, 10, 32);
  struct network_unit a, b, c;
  unit_is (net, 0, "stem", 16, 32, 3 * 16 * 9 + 32);
  unit_is (net, 1, "layer1.0", 16, 32, 2 * (16 * 16 * 9 + 32));
  unit_is (net, 6, "layer2.0", 32, 16,
           16 * 32 * 9 + 32 * 32 * 9 + 16 * 32 + 3 * 64);
  unit_is (net, 15, "layer3.4", 64, 8, 2 * (64 * 64 * 9 + 128));
  unit_is (net, 16, "output", 10, 1, 64 * 10 + 10);
  network_unit (net, 1, &a);
  network_unit (net, 5, &b);
  network_unit (net, 6, &c);
  tap_ok (a.alike == b.alike && a.alike != c.alike,
          "blocks of one group are alike, across groups they are not");
  tap_near (a.flops, 2.0 * 2.0 * 16 * 16 * 9 * 32 * 32, 0.5,
            "forward operations of a block");
  tap_ok (network_head (net, 5, "conv128-bn-gap-fc", &c) == OK &&
              c.params == 16 * 128 * 9 + 128 + 256 + 1290 && c.out.c == 10,
          "a head's parameters are counted");
  network_destroy (&net);
  net = made ("resnet50", false, 1000, 224);
  unit_is (net, 0, "stem", 64, 56, 3 * 64 * 49 + 128);
  unit_is (net, 1, "layer1.0", 256, 56,
           64 * 64 + 64 * 64 * 9 + 64 * 256 * 2 + 2 * 128 + 2 * 512);
  unit_is (net, 4, "layer2.0", 512, 28,
           256 * 128 + 128 * 128 * 9 + 128 * 512 + 256 * 512 + 2 * 256 +
               2 * 1024);
  network_destroy (&net);
}

static void
cuts (void)
{
  static const struct row {
    const char *text;
    int K;
    int first[6]; /* first[0] = -1: to be refused */
    const char *word;
  } rows[] = {
      {"2,1,1,rest", 4, {0, 2, 3, 4, 11}, ""},
      {"rest,1", 2, {0, 10, 11}, ""},
      {"11", 1, {0, 11}, ""},
      {"4,rest,1", 3, {0, 4, 10, 11}, ""},
      {"5,5,1", 3, {0, 5, 10, 11}, ""},
      {"5,5,2", 3, {-1}, "12 units"},
      {"5,5", 2, {-1}, "10 units"},
      {"5,5,1", 4, {-1}, "3 stages"},
      {"5,5,1", 2, {-1}, "more than"},
      {"5,0,6", 3, {-1}, "\"0\""},
      {"5,,6", 3, {-1}, "no number"},
      {"5,6,", 3, {-1}, "no number"},
      {"10,1,rest", 3, {-1}, "leaves nothing"},
      {"rest,rest", 2, {-1}, "\"rest\""},
      {"5,x6", 2, {-1}, "\"x6\""},
      {"measred", 2, {-1}, "auto or measured"},
      {"", 1, {-1}, "no number"},
  };
  struct network *net = made ("resnet20", true, 10, 32);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int first[8];
    enum status s = network_cut_parse (net, rows[i].text, rows[i].K, first);
    if (rows[i].first[0] < 0)
      tap_ok (s == E_CONFIG && strstr (fail_message (), rows[i].word),
              "cut \"%s\" into %d is refused: %s", rows[i].text, rows[i].K,
              fail_message ());
    else
      tap_ok (s == OK && memcmp (first, rows[i].first,
                                 (size_t)(rows[i].K + 1) * sizeof (int)) == 0,
              "cut \"%s\" into %d", rows[i].text, rows[i].K);
    fail_clear ();
  }
  network_destroy (&net);
}

static void
groups (void)
{
  struct model_spec spec = {0};
  tap_ok (model_spec_groups ("16x5,32x4,64x3", &spec) == OK &&
              spec.n_groups == 3 && spec.width[1] == 32 && spec.blocks[2] == 3,
          "groups are read");
  static const char *const bad[] = {"",
                                    "16",
                                    "16x",
                                    "x5",
                                    "16x0",
                                    "0x5",
                                    "16x5,",
                                    "16x5,32y2",
                                    "-1x5",
                                    "16x5 ,2x1",
                                    "1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct model_spec kept = spec;
    tap_ok (model_spec_groups (bad[i], &spec) == E_CONFIG &&
                memcmp (&kept, &spec, sizeof spec) == 0,
            "groups \"%s\" are refused: %s", bad[i], fail_message ());
    fail_clear ();
  }
  tap_ok (model_spec_preset ("resnet33", &spec) == E_CONFIG &&
              strstr (fail_message (), "resnet3"),
          "an unknown preset: %s", fail_message ());
  fail_clear ();
}

static void
refused (void)
{
  struct model_spec good = {.block = MODEL_BASIC,
                            .stem = MODEL_STEM_CIFAR,
                            .n_groups = 3,
                            .width = {16, 32, 64},
                            .blocks = {1, 1, 1},
                            .classes = 10,
                            .channels = 3,
                            .height = 4,
                            .width_px = 4};
  struct network *net = NULL;
  tap_ok (network_create (&good, &net) == OK, "the smallest images that fit");
  network_destroy (&net);
  struct model_spec bad[6] = {good, good, good, good, good, good};
  bad[0].width_px = 3;
  bad[1].stem = MODEL_STEM_IMAGENET;
  bad[1].height = bad[1].width_px = 16;
  bad[2].classes = 0;
  bad[3].n_groups = 0;
  bad[4].blocks[1] = 0;
  bad[5].stem_width = -2;
  for (int i = 0; i < 6; i++) {
    tap_ok (network_create (&bad[i], &net) == E_CONFIG, "refused: %s",
            fail_message ());
    fail_clear ();
  }
  bad[1].height = bad[1].width_px = 17;
  tap_ok (network_create (&bad[1], &net) == OK,
          "one pixel more and the imagenet stem fits");
  network_destroy (&net);
}

/* -- Transformers ------------------------------------------------------------
 */

static void
transformers (void)
{
  struct model_spec spec = {.classes = 50257};
  struct network *net = NULL;
  struct network_unit u, h;
  tap_ok (model_spec_preset ("gpt2", &spec) == OK &&
              network_create (&spec, &net) == OK &&
              network_params (net) == 124439808 && network_units (net) == 14,
          "gpt2 has 124,439,808 parameters in 14 units");
  network_unit (net, 1, &u);
  /* 12 D^2 T multiply-adds, and half of all pairs twice; the rest is small. */
  double products = 2.0 * 1024 * (12.0 * 768 * 768 + 1025.0 * 768);
  tap_ok (u.flops > products && u.flops < 1.01 * products &&
              strcmp (u.name, "h.0") == 0 && u.out.c == 768 && u.out.h == 1024,
          "a layer of gpt2: %.0f operations", u.flops);
  tap_ok (network_head (net, 1, "ln-fc", &u) == OK &&
              u.params == 50257 * 768 + 2 * 768 &&
              network_head (net, 1, "ln-shared", &h) == OK &&
              h.params == 2 * 768 && u.flops == h.flops,
          "a head with and without a matrix of its own");
  tap_ok (network_shares (net, NULL) && network_shares (net, "ln-fc"),
          "a tied matrix is shared");
  struct network_unit rms, ln;
  network_border (net, 2, MODEL_BORDER_RMS, &rms);
  network_border (net, 2, MODEL_BORDER_LN, &ln);
  tap_ok (rms.flops == 3.0 * 768 * 1024 && ln.flops == 2 * rms.flops &&
              rms.params == 0 && rms.act_bytes == 4.0 * (768 + 1) * 1024 &&
              ln.act_bytes == rms.act_bytes,
          "a border has no parameters and keeps its output");
  network_border (net, 0, MODEL_BORDER_LN, &ln);
  network_border (net, 2, MODEL_BORDER_NONE, &rms);
  tap_ok (ln.flops + ln.act_bytes + rms.flops + rms.act_bytes == 0,
          "there is none before the first stage, and none where not asked for");
  network_destroy (&net);
  spec.tied = false;
  spec.head_tokens = 0.25;
  tap_ok (network_create (&spec, &net) == OK &&
              network_params (net) == 124439808 + 50257 * 768,
          "untied, it has one matrix more");
  tap_ok (network_head (net, 1, "ln-fc", &h) == OK &&
              h.flops < 0.26 * u.flops &&
              network_positions (net, true) == 256 &&
              network_positions (net, false) == 1024,
          "a head on a quarter of the positions costs a quarter");
  tap_ok (!network_shares (net, NULL) && !network_shares (net, "ln-fc") &&
              network_shares (net, "ln-shared"),
          "untied, only a shared head shares");
  network_destroy (&net);
  tap_ok (model_spec_preset ("gpt3", &spec) == E_CONFIG &&
              strstr (fail_message (), "gpt2"),
          "unknown preset: %s", fail_message ());
  fail_clear ();
}

/* Those of karpathy/llama2.c with Llama 2's vocabulary: a hidden width that is
 * off by one shows. */
static void
llamas (void)
{
  static const struct {
    const char *preset;
    int64_t params;
    int units;
  } rows[] = {{"llama-15m", 15191712, 8},
              {"llama-42m", 41689600, 10},
              {"llama-110m", 109529856, 14}};
  struct network *net = NULL;
  struct network_unit u, h;
  for (int i = 0; i < 3; i++) {
    struct model_spec spec = {.classes = 32000};
    tap_ok (model_spec_preset (rows[i].preset, &spec) == OK &&
                network_create (&spec, &net) == OK &&
                network_params (net) == rows[i].params &&
                network_units (net) == rows[i].units,
            "%s has %lld parameters", rows[i].preset,
            (long long)rows[i].params);
    network_destroy (&net);
  }
  struct model_spec spec = {.classes = 256};
  /* q and o of 128 x 128, k and v of 64 x 128, three of 352 x 128, two gains.
   */
  const int64_t layer = 2 * 128 * 128 + 2 * 64 * 128 + 3 * 352 * 128 + 2 * 128;
  tap_ok (model_spec_preset ("llama-nano", &spec) == OK &&
              network_create (&spec, &net) == OK,
          "llama-nano");
  network_unit (net, 1, &u);
  const double T = 256;
  double products = 2 * T * (double)(layer - 2 * 128) + 2 * T * (T + 1) * 128;
  tap_ok (u.params == layer && strcmp (u.name, "layers.0") == 0 &&
              network_params (net) == 4 * layer + 256 * 128 + 128 &&
              u.flops > products && u.flops < 1.02 * products,
          "a layer of llama-nano: %lld parameters, %.0f operations",
          (long long)u.params, u.flops);
  tap_ok (
      network_head (net, 1, "ln-fc", &h) == OK && h.params == 256 * 128 + 128 &&
          strcmp (network_shared_name (net), "model.embed_tokens.weight") == 0,
      "its heads' norm has no shift; its table has Llama's name");
  network_destroy (&net);
  spec.qk_norm = true;
  tap_ok (network_create (&spec, &net) == OK &&
              network_params (net) == 4 * (layer + 2 * 32) + 256 * 128 + 128,
          "qk_norm: two gains of a head's width in each layer");
  network_destroy (&net);
}

static void
transformers_refused (void)
{
  const struct model_spec good = {.family = MODEL_TRANSFORMER,
                                  .classes = 256,
                                  .layers = 2,
                                  .d_model = 64,
                                  .heads = 4,
                                  .context = 16,
                                  .mlp_ratio = 4};
  struct network *net = NULL;
  struct model_spec bad[9];
  for (int i = 0; i < 9; i++)
    bad[i] = good;
  tap_ok (network_create (&good, &net) == OK, "a small Transformer");
  network_destroy (&net);
  bad[0].heads = 5;
  bad[1].heads = 0;
  bad[2].context = 0;
  bad[3].dropout = 1;
  bad[4].head_tokens = 1.5;
  bad[5].mlp_ratio = 0;
  bad[6].classes = 0;
  bad[7].kv_heads = 3;
  bad[8].d_model = 60;
  bad[8].positions = MODEL_ROPE;
  for (int i = 0; i < 9; i++) {
    tap_ok (network_create (&bad[i], &net) == E_CONFIG, "refused: %s",
            fail_message ());
    fail_clear ();
  }
}

int
main (void)
{
  transformers ();
  llamas ();
  transformers_refused ();
  counts ();
  units ();
  cuts ();
  groups ();
  refused ();
  return tap_done ();
}
