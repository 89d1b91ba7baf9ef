/* ranks: 0 */
/* tests/model/head.c -- the grammar of heads: rows of good and bad words. */
#include "model/network.h"
#include "tests/tap.h"
#include <string.h>

static const struct good {
  const char *grammar;
  int64_t params; /* behind 16 channels of 8x8, 10 classes */
  double flops;
} good_rows[] = {
    {"gap-fc", 170, 2.0 * 160},
    {"conv8-gap-fc", 16 * 8 * 9 + 8 + 90, 2.0 * (16 * 8 * 9 * 64 + 80)},
    {"conv8-bn-gap-fc", 16 * 8 * 9 + 8 + 16 + 90, 2.0 * (16 * 8 * 9 * 64 + 80)},
    {"conv8s2-gap-fc", 16 * 8 * 9 + 8 + 90, 2.0 * (16 * 8 * 9 * 16 + 80)},
    {"conv8s3-gap-fc", 16 * 8 * 9 + 8 + 90, 2.0 * (16 * 8 * 9 * 9 + 80)},
    {"gap-fc20-fc", 17 * 20 + 210, 2.0 * (320 + 200)},
    {"gap-fc20-bn-fc", 17 * 20 + 40 + 210, 2.0 * (320 + 200)},
    {"pool2-fc", 16 * 4 * 10 + 10, 16 * 64 + 2.0 * 16 * 4 * 10},
    {"pool2-fc20-fc", 65 * 20 + 210, 16 * 64 + 2.0 * (64 * 20 + 200)},
    {"pool4-conv1x8-bn-gap-fc", 16 * 8 + 8 + 16 + 90,
     16 * 64 + 2.0 * (16 * 16 * 8 + 80)},
    {"conv1x8s2-pool3-fc", 17 * 8 + 730, 2.0 * 16 * 16 * 8 + 8 * 16 + 1440},
    {"bn-gap-fc", 32 + 170, 2.0 * 160},
    {"like-1", 2 * (16 * 16 * 9 + 32) + 170,
     2.0 * (2 * 16 * 16 * 9 * 64 + 160)},
    {"like-9-gap-fc20-fc", 2 * (16 * 16 * 9 + 32) + 17 * 20 + 210,
     2.0 * (2 * 16 * 16 * 9 * 64 + 320 + 200)},
    {"like-1-bn-gap-fc", 2 * (16 * 16 * 9 + 32) + 32 + 170,
     2.0 * (2 * 16 * 16 * 9 * 64 + 160)},
    {"ln-gap-fc", 170, 6 * 16 * 64 + 2.0 * 160},
    {"gap-fc+rec0.5", 170 + 16 * 12 * 9 + 12 + 24 + 12 * 3 * 9 + 3,
     2.0 * 160 + 8.0 * 16 * 64 + 2.0 * (16 * 12 * 9 + 12 * 3 * 9) * 64},
    {"conv128-bn-conv64-bn-gap-fc",
     16 * 128 * 9 + 128 + 256 + 128 * 64 * 9 + 64 + 128 + 650,
     2.0 * (16 * 128 * 9 * 64 + 128 * 64 * 9 * 64 + 640)},
};

static const struct bad {
  const char *grammar, *word;
} bad_rows[] = {
    {"", "empty word at character 1"},
    {"gap-", "empty word at character 5"},
    {"-gap-fc", "empty word"},
    {"gap--fc", "empty word"},
    {"gap", "the last word must be fc"},
    {"conv8", "the last word must be fc"},
    {"conv8-bn", "the last word must be fc"},
    {"fc", "needs gap"},
    {"conv8-fc", "needs gap"},
    {"conv8-fc12-gap-fc", "needs gap"},
    {"gap-fc12", "without a number"},
    {"gap-fc-fc", "must be the last word"},
    {"gap-gap-fc", "gap stands twice"},
    {"gap-conv8-fc", "cannot follow gap"},
    {"bn-bn-gap-fc", "word 2, \"bn\": bn must follow"},
    {"gap-bn-fc", "bn must follow"},
    {"bn", "the last word must be fc"},
    {"ln", "the last word must be fc"},
    {"gap-ln-fc", "word 2, \"ln\": over images ln must be the first word"},
    {"pool2", "the last word must be fc"},
    {"gap-pool2-fc", "nothing to pool behind gap"},
    {"pool2-fc8-pool2-fc", "nothing to pool behind fcN"},
    {"pool2-fc8-gap-fc", "gap cannot follow fcN"},
    {"pool2-fc8-conv1x8-fc", "word 3, \"conv1x8\": a convolution cannot"},
    {"gap-conv1x8-fc", "cannot follow gap"},
    {"gap-like-1",
     "word 2, \"like-1\": blocks of the network must be the first"},
    {"like-1-like-1", "word 2, \"like-1\": blocks of the network must be"},
    {"like-1-fc", "word 2, \"fc\": a linear layer needs gap"},
    {"like-1-gap", "the last word must be fc"},
    {"like-gap-fc", "unknown word \"like-gap\""},
    {"like", "did you mean \"like-3\""},
    {"like-0", "unknown word \"like-0\""},
    {"like-10", "unknown word \"like-10\""},
    {"like-1-", "empty word at character 8"},
    {"pool-fc", "unknown word \"pool\""},
    {"pool0-fc", "unknown word \"pool0\""},
    {"pool65-fc", "word 1, \"pool65\": N of poolN is at most 64"},
    {"pol2-fc", "did you mean \"pool2\""},
    {"conv1x-gap-fc", "unknown word \"conv1x\""},
    {"conv3x8-gap-fc", "unknown word \"conv3x8\""},
    {"gap-rank8-fc", "belongs to Transformers"},
    {"conv8-bn-bn-gap-fc", "bn must follow"},
    {"gap-fc12-fc8-bn-bn-fc", "word 5, \"bn\": bn must follow"},
    {"gap-fc12-bn", "the last word must be fc"},
    {"gap-fc-bn", "must be the last word"},
    {"ln-fc", "needs gap or poolN"},
    {"gap-shared", "Transformers"},
    {"conv-gap-fc", "unknown word \"conv\""},
    {"conv0-gap-fc", "unknown word \"conv0\""},
    {"conv8s-gap-fc", "unknown word \"conv8s\""},
    {"conv8s0-gap-fc", "unknown word \"conv8s0\""},
    {"conv8s2x-gap-fc", "unknown word"},
    {"conv-8-gap-fc", "unknown word"},
    {"convs2-gap-fc", "unknown word"},
    {"conv1e3-gap-fc", "unknown word"},
    {"gapp-fc", "did you mean \"gap\""},
    {"gap-fcx", "unknown word \"fcx\""},
    {"Gap-fc", "unknown word \"Gap\""},
    {"gap -fc", "unknown word"},
    {"conv99999999999999999999-gap-fc", "unknown word"},
    {"a-word-of-more-letters-than-any-known-word-could-ever-have-fc",
     "unknown word \"a\""},
    {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz-fc", "too long"},
    {"gap-fc+", "unknown suffix \"+\"; known is +recW"},
    {"gap-fc+record", "unknown suffix \"+record\""},
    {"gap-fc+rec0", "W a number above 0"},
    {"gap-fc+rec-1", "unknown suffix \"+rec-1\""},
    {"gap-fc+rec1001", "at most 1000"},
    {"gap-fc+recnan", "unknown suffix"},
    {"gap-fc+rec+rec", "unknown suffix"},
    {"gap+rec-fc", "the last word must be fc"},
    {"+rec", "empty word at character 1"},
    {"gap-+rec", "empty word at character 5"},
    {"conv8-conv8-conv8-conv8-conv8-conv8-conv8-conv8-conv8-conv8-conv8-conv8-"
     "conv8-conv8-conv8-conv8-conv8-conv8-conv8-conv8-conv8-gap-fc",
     "more than"},
};

/* -- heads of Transformers ---------------------------------------------------
 */

static const struct good token_rows[] = {
    {"fc", 12 * 50, 0},
    {"ln-fc", 24 + 12 * 50, 0},
    {"ln-shared", 24, 0},
    {"shared", 0, 0},
    {"ln-fc20-fc", 24 + 13 * 20 + 20 * 50, 0},
    {"fc20-ln-fc", 13 * 20 + 40 + 20 * 50, 0},
    {"ln-rank6-fc", 24 + 12 * 6 + 6 * 50, 0},
    {"like-2", 12 * 12 * 12 + 13 * 12 + 24 + 12 * 50, 0},
    {"like-1-ln-shared", 12 * 12 * 12 + 13 * 12 + 24, 0},
    {"rank20-rank6-ln-fc", 12 * 20 + 20 * 6 + 12 + 6 * 50, 0},
};

static const struct bad token_bad[] = {
    {"gap-fc", "made of ln"},
    {"conv8-gap-fc", "made of ln"},
    {"ln", "must be fc or shared"},
    {"ln-shared-fc", "shared must be the last"},
    {"ln-fc20-shared", "the model's width"},
    {"ln-fc20", "without a number"},
    {"ln-fc-fc", "must be the last word"},
    {"ln-share", "did you mean \"shared\""},
    {"pool2-fc", "made of ln"},
    {"conv1x8-fc", "made of ln"},
    {"ln-rank6", "the last word must be fc"},
    {"ln-rank6-shared", "the model's width"},
    {"ln-like-1", "word 2, \"like-1\": blocks of the network"},
    {"like-1-ln", "must be fc or shared"},
    {"ln-rank-fc", "unknown word \"rank\""},
    {"ln-fc+rec", "+rec makes images again: only ResNets have it"},
};

static void
tokens (void)
{
  struct model_spec spec = {.family = MODEL_TRANSFORMER,
                            .classes = 50,
                            .layers = 2,
                            .d_model = 12,
                            .heads = 2,
                            .context = 8,
                            .mlp_ratio = 4};
  struct network *net = NULL;
  struct network_unit u;
  if (network_create (&spec, &net) != OK) {
    tap_bail ("no network");
    return;
  }
  for (size_t i = 0; i < sizeof token_rows / sizeof token_rows[0]; i++) {
    const struct good *r = &token_rows[i];
    bool made = network_head (net, 1, r->grammar, &u) == OK;
    tap_ok (made && u.params == r->params && u.out.c == 50 && u.out.h == 8,
            "\"%s\" of a Transformer: %lld parameters", r->grammar,
            (long long)u.params);
  }
  for (size_t i = 0; i < sizeof token_bad / sizeof token_bad[0]; i++) {
    const struct bad *r = &token_bad[i];
    enum status s = network_head (net, 1, r->grammar, &u);
    tap_ok (s == E_CONFIG && strstr (fail_message (), r->word), "refused: %s",
            fail_message ());
    fail_clear ();
  }
  network_destroy (&net);
}

int
main (void)
{
  tokens ();
  struct model_spec spec = {.stem = MODEL_STEM_CIFAR,
                            .n_groups = 1,
                            .width = {16},
                            .blocks = {2},
                            .classes = 10,
                            .channels = 3,
                            .height = 8,
                            .width_px = 8};
  struct network *net = NULL;
  struct network_unit u;
  if (network_create (&spec, &net) != OK) {
    tap_bail ("no network");
    return tap_done ();
  }
  for (size_t i = 0; i < sizeof good_rows / sizeof good_rows[0]; i++) {
    const struct good *r = &good_rows[i];
    bool made = network_head (net, 1, r->grammar, &u) == OK;
    tap_ok (made && u.params == r->params && u.flops == r->flops &&
                u.out.c == 10 && u.out.h == 1,
            "\"%s\": %lld parameters, %.0f operations", r->grammar,
            (long long)u.params, u.flops);
  }
  for (size_t i = 0; i < sizeof bad_rows / sizeof bad_rows[0]; i++) {
    const struct bad *r = &bad_rows[i];
    enum status s = network_head (net, 1, r->grammar, &u);
    tap_ok (s == E_CONFIG && strstr (fail_message (), r->word), "refused: %s",
            fail_message ());
    fail_clear ();
  }
  network_destroy (&net);
  return tap_done ();
}
