/* ranks: 0 */
/* The memory of attention grows with the context and not with its square: all
 * that a stage and its kernels hold is counted at contexts from 256 to 4096,
 * with training steps that run there; `plan` is told the same.  That attention
 * is right at such lengths is tests/kern/attention.c's. */
#include "base/memory.h"
#include "model/stage.h"
#include "tests/model/fixture.h"

#include <math.h>

enum { SHORT = 256, LONG = 4096, WORDS = 32 };

struct seen {
  double held; /* bytes of stage, scratchpad and lists while steps ran */
  double said; /* stage_estimate */
  double loss; /* of a position, before the first update */
  double size; /* least_gradient */
};

static size_t
bytes_now (void)
{
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  return bytes;
}

/* Of the position embedding's gradient: the smallest square of a position; not
 * a number where one is not. */
static double
least_gradient (struct stage *s, int64_t context, int64_t d)
{
  double least = INFINITY;
  for (int i = 0; i < stage_tensors (s); i++) {
    struct tensor_info info;
    bool head, statistic;
    float *g = NULL;
    stage_tensor (s, i, &info, &head, &statistic);
    if (!strstr (info.name, "wpe"))
      continue;
    must (MEM_NEW ((size_t)(context * d), &g, "gradient"));
    must (stage_tensor_out (s, i, STAGE_GRAD, g));
    for (int64_t t = 0; t < context; t++) {
      double sum = 0;
      for (int64_t j = 0; j < d; j++)
        sum += (double)g[t * d + j] * g[t * d + j];
      least = sum < least || isnan (sum) ? sum : least;
    }
    mem_free (&g);
  }
  return least;
}

static void
step (struct stage *s, int64_t context, const int32_t *label, struct seen *out)
{
  struct stage_loss loss;
  struct tensor in;
  must (stage_input (s, 0, &in));
  for (int64_t i = 0; i < context; i++)
    ((int32_t *)(void *)in.data)[i] = (int32_t)((i * 7 + i / 5) % WORDS);
  stage_moment (s, 0, 0, 0);
  must (stage_forward (s, 0, in.data));
  must (stage_head (s, 0, label, 1.0f / (float)context, false, &loss));
  must (stage_back_both (s, 0, stage_head_grad (s, 0), 0, NULL));
  must (stage_head_weights (s, 0));
  out->loss = loss.loss / (double)context;
}

/* mlp_ratio 2: for taller products the library packs its inputs into buffers
 * that grow with their rows up to some hundred kilobytes and no further. */
static void
look (int context, double dropout, struct seen *out)
{
  const struct model_spec m = {.family = MODEL_TRANSFORMER,
                               .classes = WORDS,
                               .layers = 2,
                               .d_model = 16,
                               .heads = 2,
                               .context = context,
                               .mlp_ratio = 2,
                               .dropout = dropout,
                               .tied = true};
  struct kern *k = NULL;
  struct kern_tuning *t = NULL;
  struct network *net = NULL;
  struct stage *s = NULL;
  static int32_t label[LONG];
  for (int i = 0; i < context; i++)
    label[i] = (i * 5) % WORDS;
  must (kern_open (2, &k));
  must (kern_tuning_create (&t));
  must (network_create (&m, &net));
  stage_tune_rule (k, net, t);
  struct stage_spec spec = {.net = net,
                            .tuning = t,
                            .n_stages = 1,
                            .unit_end = network_units (net),
                            .n_samples = 1,
                            .n_slots = 1,
                            .n_pairs = 1,
                            .seed = 5,
                            .optimizer = {.kind = OPTIMIZER_ADAMW},
                            .training = true};
  const size_t before = bytes_now ();
  must (stage_create (k, &spec, &s));
  must (kern_seal (k));
  step (s, context, label, out);
  out->held = (double)(bytes_now () - before);
  out->size = least_gradient (s, context, m.d_model);
  struct stage_bytes said;
  must (stage_estimate (&spec, true, &said));
  out->said = said.held + said.work;
  stage_destroy (&s);
  network_destroy (&net);
  kern_tuning_destroy (&t);
  kern_close (&k);
}

/* Of a fixed part and a part that grows, the latter 16 times as large: what is
 * fixed is what a line through the two shortest contexts leaves at 0. */
static double
growth (double at_256, double at_512, double at_4096)
{
  const double fixed = 2 * at_256 - at_512;
  return (at_4096 - fixed) / (at_256 - fixed);
}

/* The square would be 256 times; one T x T matrix of one head at 4096 is 67 MB,
 * three times of all that is held. */
static void
test_growth (double dropout)
{
  struct seen at[5] = {{0}};
  for (int i = 0; i < 5; i++)
    look (SHORT << i, dropout, &at[i]);
  bool doubles = true, runs = true;
  for (int i = 0; i < 5; i++) {
    doubles = doubles && (i == 0 || at[i].held < 2.05 * at[i - 1].held);
    runs = runs && fabs (at[i].loss - log (WORDS)) < 0.1 && at[i].size > 0;
  }
  const double grows = growth (at[0].held, at[1].held, at[4].held);
  const double says = growth (at[0].said, at[1].said, at[4].said);
  tap_ok (doubles && fabs (grows - 16) < 0.5,
          "dropout %g: %.2f MB at context 256, %.2f MB at 4096: what grows is "
          "%.2f times as much",
          dropout, at[0].held * 1e-6, at[4].held * 1e-6, grows);
  tap_ok (fabs (says - 16) < 0.5, "... and %.2f times in the estimate", says);
  tap_ok (runs, "... steps run at all of them, every position learns");
}

int
main (void)
{
  test_growth (0);
  test_growth (0.1);
  return tap_done ();
}
