/* tests/model/fixture.h -- small networks, stages and data for the tests. */
#ifndef TESTS_MODEL_FIXTURE_H
#define TESTS_MODEL_FIXTURE_H

#include "tests/model/twin.h"

/* What normalises in the fixtures that are opened from now on. */
static enum kern_bn_way fixture_bn = KERN_BN_FUSED;

/* Everything a test needs, for one network. */
struct fixture {
  struct kern *k;
  struct kern_tuning *t;
  struct network *net;
  struct model_spec spec;
  int64_t n;
  float *images; /* n plain images */
  int32_t *labels;
  enum model_border border; /* of the stages that are made from now on */
};

static inline void
must (enum status s)
{
  CHECK (s == OK, "%s (%s)", fail_message (), fail_where ());
}

static inline void
random_floats (float *t, size_t n, uint64_t a)
{
  const struct random_key key = {77, RANDOM_TEST, a, 0};
  for (size_t i = 0; i < n; i++)
    t[i] = (float)random_normal (&key, i);
}

static inline void
fixture_open (struct fixture *f, struct model_spec spec, int64_t n,
              enum kern_layout l)
{
  *f = (struct fixture){.spec = spec, .n = n};
  size_t pixels = (size_t)(n * spec.channels * spec.height * spec.width_px);
  const struct random_key key = {77, RANDOM_TEST, 1, 0};
  must (kern_open (1, &f->k));
  must (kern_tuning_create (&f->t));
  kern_tuning_layout_set (f->t, l);
  kern_tuning_bn_set (f->t, fixture_bn);
  must (network_create (&spec, &f->net));
  must (MEM_NEW (pixels, &f->images, "images"));
  must (MEM_NEW ((size_t)n, &f->labels, "labels"));
  random_floats (f->images, pixels, 2);
  for (int64_t i = 0; i < n; i++)
    f->labels[i] =
        (int32_t)random_below (&key, (uint64_t)i, (uint64_t)spec.classes);
}

static inline void
fixture_close (struct fixture *f)
{
  network_destroy (&f->net);
  kern_tuning_destroy (&f->t);
  mem_free (&f->images);
  mem_free (&f->labels);
  kern_close (&f->k);
}

/* Stage k of K over units first..end-1; two slots, two pairs. */
static inline struct stage *
fixture_stage_as (struct fixture *f, int k, int K, int first, int end,
                  const char *head, enum stage_mode mode)
{
  struct stage *s;
  struct stage_spec spec = {.net = f->net,
                            .tuning = f->t,
                            .k = k,
                            .n_stages = K,
                            .unit_first = first,
                            .unit_end = end,
                            .head = head,
                            .border = f->border,
                            .smoothing = (float)twin_smoothing,
                            .n_samples = f->n,
                            .n_slots = 2,
                            .n_pairs = 2,
                            .mode = mode,
                            .seed = 5,
                            .optimizer = {.kind = OPTIMIZER_SGD,
                                          .momentum = 0.9,
                                          .weight_decay = 1e-3,
                                          .decay_all = true},
                            .training = true};
  must (stage_create (f->k, &spec, &s));
  must (kern_seal (f->k));
  return s;
}

static inline struct stage *
fixture_stage (struct fixture *f, int k, int K, int first, int end,
               const char *head)
{
  return fixture_stage_as (f, k, K, first, end, head, STAGE_LEARNS);
}

/* Move BatchNorm away from 1 and 0, and biases from small, so that a mix-up
 * would show. */
static inline void
fixture_shake (struct stage *s)
{
  for (int i = 0; i < stage_tensors (s); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (s, i, &info, &head, &statistic);
    if (info.n_dims != 1)
      continue;
    size_t n = (size_t)tensor_info_count (&info);
    float *t = twin_new (n, sizeof (float)), *r = twin_new (n, sizeof (float));
    must (stage_tensor_out (s, i, STAGE_VALUE, t));
    random_floats (r, n, 100 + (uint64_t)i);
    for (size_t j = 0; j < n; j++)
      t[j] += 0.3f * (statistic ? fabsf (r[j]) : r[j]);
    must (stage_tensor_in (s, i, STAGE_VALUE, t));
    mem_free (&t);
    mem_free (&r);
  }
  must (stage_refresh (s));
}

/* A block of floats of border size with header room. */
static inline float *
border_new (const struct tensor *t)
{
  return twin_new (t->bytes / sizeof (float), sizeof (float));
}

static const struct model_spec spec_basic = {.block = MODEL_BASIC,
                                             .stem = MODEL_STEM_CIFAR,
                                             .n_groups = 2,
                                             .width = {16, 32},
                                             .blocks = {1, 2},
                                             .classes = 5,
                                             .channels = 3,
                                             .height = 9,
                                             .width_px = 7};
/* Channels that divide by no block, a stem of another width, large images. */
static const struct model_spec spec_bottle = {.block = MODEL_BOTTLENECK,
                                              .stem = MODEL_STEM_IMAGENET,
                                              .n_groups = 2,
                                              .width = {4, 5},
                                              .blocks = {2, 1},
                                              .stem_width = 12,
                                              .classes = 7,
                                              .channels = 1,
                                              .height = 22,
                                              .width_px = 19};
/* Of order pre: an identity in the first block, and projections. */
static const struct model_spec spec_basic_pre = {.block = MODEL_BASIC,
                                                 .stem = MODEL_STEM_CIFAR,
                                                 .order = MODEL_PRE,
                                                 .n_groups = 2,
                                                 .width = {16, 32},
                                                 .blocks = {2, 2},
                                                 .classes = 5,
                                                 .channels = 3,
                                                 .height = 6,
                                                 .width_px = 7};
static const struct model_spec spec_bottle_pre = {.block = MODEL_BOTTLENECK,
                                                  .stem = MODEL_STEM_IMAGENET,
                                                  .order = MODEL_PRE,
                                                  .n_groups = 2,
                                                  .width = {4, 5},
                                                  .blocks = {2, 1},
                                                  .stem_width = 12,
                                                  .classes = 7,
                                                  .channels = 1,
                                                  .height = 22,
                                                  .width_px = 19};

#endif
