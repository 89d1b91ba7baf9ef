/* ranks: 0 */
/* tests/report/pair.c -- which stage a tensor of a checkpoint belongs to: by
 * the names of torchvision and GPT-2 and a cut that counts blocks.
 */
#include "report/pair_impl.h"
#include "tests/tap.h"

static const char resnet[] =
    "/heads/0/0.weight\n"
    "/heads/2/2.bias\n"
    "/model/bn1.bias\n"
    "/model/conv1.weight\n"
    "/model/fc.bias\n"
    "/model/layer1.0.bn1.bias\n"
    "/model/layer1.0.conv1.weight\n"
    "/model/layer1.1.conv1.weight\n"
    "/model/layer2.0.conv1.weight\n"
    "/model/layer2.0.downsample.0.weight\n"
    "/model/layer2.1.conv2.weight\n"
    "/optimizer/momentum/model/layer1.1.conv1.weight\n";
/* Sorted as text, 10 comes before 2. */
static const char layers[] = "/model/transformer.h.0.ln_1.bias\n"
                             "/model/transformer.h.1.ln_1.bias\n"
                             "/model/transformer.h.10.ln_1.bias\n"
                             "/model/transformer.h.11.ln_1.bias\n"
                             "/model/transformer.h.2.ln_1.bias\n"
                             "/model/transformer.h.3.ln_1.bias\n"
                             "/model/transformer.h.4.ln_1.bias\n"
                             "/model/transformer.h.5.ln_1.bias\n"
                             "/model/transformer.h.6.ln_1.bias\n"
                             "/model/transformer.h.7.ln_1.bias\n"
                             "/model/transformer.h.8.ln_1.bias\n"
                             "/model/transformer.h.9.ln_1.bias\n"
                             "/model/transformer.ln_f.bias\n"
                             "/model/transformer.wpe.weight\n"
                             "/model/transformer.wte.weight\n";

static const struct {
  const char *config, *paths, *path;
  int stage;
} rows[] = {
#define RESNET "[stages]\ncount = 4\ncut = 2,1,1,2\n", resnet
    {RESNET, "/model/conv1.weight", 0},
    {RESNET, "/model/bn1.bias", 0},
    {RESNET, "/model/layer1.0.conv1.weight", 0},
    {RESNET, "/model/layer1.1.conv1.weight", 1},
    {RESNET, "/model/layer2.0.downsample.0.weight", 2},
    {RESNET, "/model/layer2.1.conv2.weight", 3},
    {RESNET, "/model/fc.bias", 3},
    {RESNET, "/heads/0/0.weight", 0},
    {RESNET, "/heads/2/2.bias", 2},
    {RESNET, "/optimizer/momentum/model/layer1.1.conv1.weight", 1},
    {RESNET, "/optimizer/momentum/heads/2/2.bias", 2},
#define LAYERS "[stages]\ncount = 3\ncut = 3,8,3\n", layers
    {LAYERS, "/model/transformer.wpe.weight", 0},
    {LAYERS, "/model/transformer.h.1.ln_1.bias", 0},
    {LAYERS, "/model/transformer.h.2.ln_1.bias", 1},
    {LAYERS, "/model/transformer.h.9.ln_1.bias", 1},
    {LAYERS, "/model/transformer.h.10.ln_1.bias", 2},
    {LAYERS, "/model/transformer.h.11.ln_1.bias", 2},
    {LAYERS, "/model/transformer.ln_f.bias", 2},
    /* The output's own where it has one. */
    {LAYERS, "/model/transformer.wte.weight", 2},
    {"[stages]\ncount = 2\ncut = 1,2\n",
     "/model/lm_head.weight\n/model/transformer.h.0.ln_1.bias\n"
     "/model/transformer.wte.weight\n",
     "/model/transformer.wte.weight", 0},
#define LLAMA                                      \
  "[stages]\ncount = 2\ncut = 2,2\n",              \
      "/model/model.embed_tokens.weight\n"         \
      "/model/model.layers.0.mlp.up_proj.weight\n" \
      "/model/model.layers.1.mlp.up_proj.weight\n/model/model.norm.weight\n"
    {LLAMA "/model/lm_head.weight\n", "/model/model.embed_tokens.weight", 0},
    {LLAMA, "/model/model.embed_tokens.weight", 1},
    {LLAMA, "/model/model.layers.0.mlp.up_proj.weight", 0},
    {LLAMA, "/model/model.layers.1.mlp.up_proj.weight", 1},
    {LLAMA, "/model/model.norm.weight", 1},
    /* Not told. */
    {"[stages]\ncount = 4\ncut = auto\n", resnet, "/model/conv1.weight", -1},
    {"", resnet, "/model/conv1.weight", -1},
};

int
main (void)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct pool p = {0};
    struct words config;
    words_read (&p, rows[i].config, &config);
    int stage = pair_stage (&config, rows[i].paths, rows[i].path);
    tap_ok (stage == rows[i].stage, "%s: stage %d, wanted %d", rows[i].path,
            stage, rows[i].stage);
    pool_clear (&p);
  }
  return tap_done ();
}
