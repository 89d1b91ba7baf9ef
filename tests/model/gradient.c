/* ranks: 0 */
/* tests/model/gradient.c -- forward and gradients of whole stages against the
 * twin: logits, losses, every parameter tensor, and the gradient at a border.
 */
#include "tests/model/fixture.h"

static struct fixture f;
static struct twin twin;

static struct act
images (void)
{
  struct act x = act_new (f.n, f.spec.channels, f.spec.height, f.spec.width_px);
  for (int64_t i = 0; i < x.n * x.c * x.h * x.w; i++)
    x.v[i] = f.images[i];
  return x;
}

/* By which images are taken for normalised where a head makes them again, and,
 * planted, its weight over the one that is said. */
static const double image_mean[] = {0.4, 0.5, 0.6};
static const double image_std[] = {0.3, 0.2, 0.25};
static double heavier = 1;

/* Loss of the network up to unit `end` and a head behind it (NULL: the output
 * unit is among the units). */
static double
loss_of (int end, int k, const char *head)
{
  struct act x = images ();
  for (int i = 0; i < end; i++)
    x = twin_unit (&twin, x, i);
  const double weight = head ? heavier * network_head_rebuilds (head) : 0;
  double rebuilt = 0;
  if (weight > 0)
    rebuilt = twin_rebuilt (&twin, twin_copy (&x), k, f.images, image_mean,
                            image_std);
  if (head)
    x = twin_head (&twin, x, k, head);
  return twin_loss (x, f.labels) + weight * rebuilt;
}

/* The loss moved by eps along the direction of one tensor. */
static double
moved (struct twin_tensor *q, double eps, int end, int k, const char *head)
{
  for (int64_t j = 0; j < q->n; j++)
    q->v[j] += eps * q->dir[j];
  double l = loss_of (end, k, head);
  for (int64_t j = 0; j < q->n; j++)
    q->v[j] -= eps * q->dir[j];
  return l;
}

/* Largest relative deviation over the tensors of s.  Each is tried along its
 * gradient, where nothing cancels, plus a random direction, so that a part that
 * is missing shows as well. */
static double
worst_slope (struct stage *s, int from, int end, int k, const char *head,
             char *name)
{
  double worst = 0.0;
  for (int i = 0; i < stage_tensors (s); i++) {
    struct twin_tensor *q = &twin.t[from + i];
    double length = 0.0;
    if (q->statistic)
      continue;
    float *g = twin_new ((size_t)q->n, sizeof (float));
    must (stage_tensor_out (s, i, STAGE_GRAD, g));
    for (int64_t j = 0; j < q->n; j++)
      length += (double)g[j] * g[j];
    length = sqrt (length);
    /* A bias ahead of a normalisation has no gradient but noise. */
    double scale = length > 1e-3 ? length : 1.0;
    const struct random_key key = {78, RANDOM_TEST, (uint64_t)i, 0};
    for (int64_t j = 0; j < q->n; j++)
      q->dir[j] = g[j] / scale +
                  random_normal (&key, (uint64_t)j) / sqrt ((double)q->n);
    double want = (moved (q, 1e-6, end, k, head) -
                   moved (q, -1e-6, end, k, head)) /
                  2e-6,
           got = 0.0;
    for (int64_t j = 0; j < q->n; j++)
      got += q->dir[j] * g[j];
    double off = fabs (got - want) / (length > 1e-2 ? length : 1e-2);
    if (!(off <= worst)) {
      worst = off;
      snprintf (name, TENSOR_NAME, "%s", q->name);
    }
    mem_free (&g);
  }
  return worst;
}

/* The largest deviation, over 1 or the largest logit. */
static double
logits_off (const struct stage *s, int slot, struct act want)
{
  const float *z = stage_logits (s, slot);
  double worst = 0.0, largest = 1.0;
  for (int64_t i = 0; i < want.n * want.c; i++) {
    worst = fmax (worst, fabs (z[i] - want.v[i]));
    largest = fmax (largest, fabs (want.v[i]));
  }
  mem_free (&want.v);
  return worst / largest;
}

static struct act
twin_logits (int end, int k, const char *head)
{
  struct act x = images ();
  for (int i = 0; i < end; i++)
    x = twin_unit (&twin, x, i);
  return head ? twin_head (&twin, x, k, head) : x;
}

/* The whole network as one stage, or its first units with a head. */
static void
whole (const struct model_spec *spec, enum kern_layout l, int end,
       const char *head, const char *title)
{
  struct stage_loss loss;
  char name[TENSOR_NAME] = "";
  fixture_open (&f, *spec, 3, l);
  if (end == 0)
    end = network_units (f.net);
  struct stage *s = fixture_stage (&f, 0, head ? 2 : 1, 0, end, head);
  fixture_shake (s);
  twin = (struct twin){
      .spec = &f.spec, .train = true, .eps = 1e-5, .after = end - 1};
  twin_load (&twin, s, 0);

  const double weight = head ? network_head_rebuilds (head) : 0;

  must (stage_eval (s, f.images));
  stage_picture (s, STAGE_EVAL, f.images, image_mean, image_std);
  must (stage_head_eval (s, f.labels, &loss));
  twin.train = false;
  const double smoothing = twin_smoothing;
  twin_smoothing = 0;
  const double judged = loss_of (end, 0, head);
  twin_smoothing = smoothing;
  tap_near (loss.loss + weight * loss.rebuilt, judged,
            twin_reach (s, TWIN_FORWARD) * (judged + (double)f.n),
            "%s: evaluation loss, of labels as they are", title);
  tap_near (logits_off (s, STAGE_EVAL, twin_logits (end, 0, head)), 0.0,
            twin_reach (s, TWIN_FORWARD), "%s: evaluation logits", title);
  twin.train = true;

  must (stage_forward (s, 1, f.images));
  stage_picture (s, 1, f.images, image_mean, image_std);
  must (stage_head (s, 1, f.labels, 1.0f, false, &loss));
  twin_kink = INFINITY;
  tap_near (logits_off (s, 1, twin_logits (end, 0, head)), 0.0,
            twin_reach (s, TWIN_FORWARD), "%s: training logits", title);
  /* The limits are ten times what rounding typically does. */
  tap_ok (twin_kink > 0.2 * twin_reach (s, TWIN_FORWARD),
          "%s: no ReLU is so near its kink that rounding decides", title);
  double want = loss_of (end, 0, head);
  tap_near (loss.loss + weight * loss.rebuilt, want,
            twin_reach (s, TWIN_FORWARD) * (want + (double)f.n), "%s: loss",
            title);
  must (stage_back_data (s, 1, stage_head_grad (s, 1), true, 1, NULL));
  must (stage_back_weights (s, 1, 1));
  must (stage_head_weights (s, 1));
  tap_near (worst_slope (s, 0, end, 0, head, name), 0.0,
            twin_reach (s, TWIN_GRADIENT),
            "%s: gradient of every tensor (worst: %s)", title, name);
  twin_clear (&twin);
  stage_destroy (&s);
  fixture_close (&f);
}

/* The running statistics after one forward, from the twin's batch ones. */
static void
running (void)
{
  fixture_open (&f, spec_basic, 3, KERN_LAST);
  struct stage *s = fixture_stage (&f, 0, 2, 0, 1, NULL);
  twin = (struct twin){.spec = &f.spec, .train = true, .eps = 1e-5};
  twin_load (&twin, s, 0);
  must (stage_forward (s, 0, f.images));
  struct act x = twin_conv (&twin, images (), "conv1", 3, 1, false);
  double count = (double)(x.n * x.h * x.w), worst = 0.0;
  /* A convolution of 3 x 3 x 3 terms, then moments of all pixels; the squares
   * among them are twice as far off. */
  const double reach = rounding_of_result (27) + rounding (count + 4);
  for (int i = 0; i < stage_tensors (s); i++) {
    struct tensor_info info;
    bool head, statistic;
    float got[16];
    stage_tensor (s, i, &info, &head, &statistic);
    if (!statistic)
      continue;
    must (stage_tensor_out (s, i, STAGE_VALUE, got));
    for (int64_t c = 0; c < 16; c++) {
      double mean, var;
      twin_moments (&x, c, &mean, &var);
      bool first = strcmp (info.name, "bn1.running_mean") == 0;
      double want =
          first ? 0.1 * mean : 0.9 + 0.1 * var * count / (count - 1.0);
      double size = first ? 0.1 * (fabs (mean) + sqrt (var)) : 0.9 + 0.2 * var;
      worst = fmax (worst, fabs (got[c] - want) / size);
    }
  }
  tap_near (worst, 0.0, reach, "running statistics after one forward");
  mem_free (&x.v);
  twin_clear (&twin);
  stage_destroy (&s);
  fixture_close (&f);
}

/* The gradient at the input of a stage in the middle, by reordering a direction
 * into the twin's input.  frozen: the stage works with its running statistics,
 * and a twin that does not must be noticed. */
static void
border (const struct model_spec *spec, enum kern_layout l,
        enum model_border kind, int cut, bool frozen, const char *title)
{
  fixture_open (&f, *spec, 3, l);
  const int units = network_units (f.net);
  f.border = kind;
  cut = cut < 0 ? units + cut : cut;
  struct stage *a = fixture_stage (&f, 0, 2, 0, cut, NULL);
  struct stage *b = fixture_stage (&f, 1, 2, cut, units, NULL);
  struct tensor y, in, out;
  struct stage_loss loss;
  fixture_shake (b);
  twin = (struct twin){
      .spec = &f.spec, .train = !frozen, .frozen = frozen, .eps = 1e-5};
  twin_load (&twin, b, 1);
  stage_set_mode (b, frozen ? STAGE_HANDS_ON : STAGE_LEARNS);
  must (stage_forward (a, 0, f.images));
  stage_output (a, 0, &y);
  stage_border (b, &in, &out);
  float *d_x = border_new (&in);
  must (stage_forward (b, 0, y.data));
  must (stage_head (b, 0, f.labels, 1.0f, false, &loss));
  must (stage_back_data (b, 0, stage_head_grad (b, 0), false, 0, d_x));

  struct kern_dims d = {in.dims[0], in.dims[1], in.dims[2], in.dims[3]};
  int64_t n = d.n * d.c * d.h * d.w;
  float *x0 = twin_new ((size_t)n, sizeof (float));
  float *g = twin_new ((size_t)n, sizeof (float));
  must (kern_reorder (f.k, d, l, KERN_PLAIN, y.data, x0));
  must (kern_reorder (f.k, d, l, KERN_PLAIN, d_x, g));
  double side[2], length = 0.0;
  for (int64_t i = 0; i < n; i++)
    length += (double)g[i] * g[i];
  length = sqrt (length);
  for (int j = 0; j < 2; j++) {
    struct act x = act_new (d.n, d.c, d.h, d.w);
    for (int64_t i = 0; i < n; i++)
      x.v[i] = x0[i] + (j ? 1e-6 : -1e-6) * g[i] / length;
    if (kind != MODEL_BORDER_NONE)
      twin_normal (&x, kind == MODEL_BORDER_LN);
    for (int i = cut; i < units; i++)
      x = twin_unit (&twin, x, i);
    side[j] = twin_loss (x, f.labels);
  }
  tap_near (loss.loss, (side[0] + side[1]) / 2,
            twin_reach (b, TWIN_FORWARD) * (loss.loss + (double)f.n),
            "%s: loss behind the border", title);
  tap_near ((side[1] - side[0]) / 2e-6 / length, 1.0,
            twin_reach (b, TWIN_GRADIENT), "%s: gradient at the border", title);
  if (frozen) {
    twin.train = true;
    struct act x = act_new (d.n, d.c, d.h, d.w);
    for (int64_t i = 0; i < n; i++)
      x.v[i] = x0[i];
    for (int i = cut; i < units; i++)
      x = twin_unit (&twin, x, i);
    tap_ok (fabs (twin_loss (x, f.labels) - loss.loss) > 1e-2,
            "%s: statistics of the batch are noticed", title);
  }
  mem_free (&x0);
  mem_free (&g);
  mem_free (&d_x);
  twin_clear (&twin);
  stage_destroy (&a);
  stage_destroy (&b);
  fixture_close (&f);
}

/* Channels that do not fill their blocks: a tuning file of another network. */
static void
unblocked (void)
{
  struct stage *s = NULL;
  fixture_open (&f, spec_bottle, 3, KERN_BLOCKED);
  const struct stage_spec spec = {.net = f.net,
                                  .tuning = f.t,
                                  .k = 1,
                                  .n_stages = 2,
                                  .unit_first = 1,
                                  .unit_end = network_units (f.net),
                                  .border = MODEL_BORDER_RMS,
                                  .n_samples = 3,
                                  .n_slots = 1,
                                  .n_pairs = 1};
  tap_ok (stage_create (f.k, &spec, &s) == E_UNSUPPORTED && !s,
          "a border of padded blocks is refused: %s", fail_message ());
  fail_clear ();
  fixture_close (&f);
}

/* A twin with a wrong epsilon, and a gradient off by one per cent, must be
 * noticed by the limits above. */
static void
planted (void)
{
  struct stage_loss loss;
  char name[TENSOR_NAME];
  fixture_open (&f, spec_basic, 3, KERN_LAST);
  int units = network_units (f.net);
  struct stage *s = fixture_stage (&f, 0, 1, 0, units, NULL);
  twin = (struct twin){.spec = &f.spec, .train = true, .eps = 1e-3};
  twin_load (&twin, s, 0);
  must (stage_forward (s, 0, f.images));
  must (stage_head (s, 0, f.labels, 1.0f, false, &loss));
  tap_ok (logits_off (s, 0, twin_logits (units, 0, NULL)) >
              twin_reach (s, TWIN_FORWARD),
          "a twin with another epsilon is noticed");
  twin.eps = 1e-5;
  must (stage_back_data (s, 0, stage_head_grad (s, 0), true, 0, NULL));
  must (stage_back_weights (s, 0, 0));
  must (stage_head_weights (s, 0));
  float *block;
  size_t n;
  stage_gradients (s, STAGE_BODY, &block, &n);
  for (size_t i = 0; i < n; i++)
    block[i] *= 1.01f;
  tap_ok (worst_slope (s, 0, units, 0, NULL, name) >
              twin_reach (s, TWIN_GRADIENT),
          "gradients off by one per cent are noticed");
  twin_clear (&twin);
  stage_destroy (&s);
  fixture_close (&f);
}

/* A head that makes images again: a twin with another weight, and one whose
 * interpolation does not align corners, must be noticed by the same limits. */
static void
planted_rebuilt (void)
{
  static const char *const head = "gap-fc+rec2";
  struct stage_loss loss;
  char name[TENSOR_NAME];
  double off[3];
  fixture_open (&f, spec_basic, 3, KERN_LAST);
  struct stage *s = fixture_stage (&f, 0, 2, 0, 3, head);
  twin = (struct twin){.spec = &f.spec, .train = true, .eps = 1e-5};
  twin_load (&twin, s, 0);
  must (stage_forward (s, 0, f.images));
  stage_picture (s, 0, f.images, image_mean, image_std);
  must (stage_head (s, 0, f.labels, 1.0f, false, &loss));
  must (stage_back_data (s, 0, stage_head_grad (s, 0), true, 0, NULL));
  must (stage_back_weights (s, 0, 0));
  must (stage_head_weights (s, 0));
  off[0] = worst_slope (s, 0, 3, 0, head, name);
  heavier = 1.01;
  off[1] = worst_slope (s, 0, 3, 0, head, name);
  heavier = 1;
  twin_corners = false;
  off[2] = worst_slope (s, 0, 3, 0, head, name);
  twin_corners = true;
  const double reach = twin_reach (s, TWIN_GRADIENT);
  tap_ok (off[0] <= reach && off[1] > reach && off[2] > reach,
          "images made again with a weight off by one per cent, or with "
          "corners that are not aligned, are noticed");
  twin_clear (&twin);
  stage_destroy (&s);
  fixture_close (&f);
}

/* Of the literature; images behind unit 1 are 16 channels of 9 x 7. */
static const char *const heads[] = {
    "pool4-conv1x16-conv1x16-bn-pool2-fc24-fc24-fc",
    "pool2-fc24-bn-fc10-bn-fc",
    "conv1x7-bn-pool3-fc",
    "pool12-conv8s2-gap-fc",
    "bn-gap-fc",
    "bn-conv1x16s2-gap-fc12-fc",
    "ln-gap-fc",
    "ln-conv8-bn-pool2-fc",
};

/* Three groups of two blocks, so that strides come late. */
static const struct model_spec spec_deep = {.block = MODEL_BASIC,
                                            .stem = MODEL_STEM_CIFAR,
                                            .n_groups = 3,
                                            .width = {8, 16, 24},
                                            .blocks = {2, 2, 2},
                                            .classes = 5,
                                            .channels = 3,
                                            .height = 11,
                                            .width_px = 8};

int
main (void)
{
  whole (&spec_basic, KERN_BLOCKED, 0, NULL, "basic, blocked");
  whole (&spec_basic, KERN_LAST, 0, NULL, "basic, channels last");
  whole (&spec_bottle, KERN_BLOCKED, 0, NULL, "bottleneck, blocked, padded");
  whole (&spec_bottle, KERN_LAST, 0, NULL, "bottleneck, channels last");
  whole (&spec_basic_pre, KERN_BLOCKED, 0, NULL, "basic, pre, blocked");
  whole (&spec_basic_pre, KERN_LAST, 0, NULL, "basic, pre, channels last");
  whole (&spec_bottle_pre, KERN_BLOCKED, 0, NULL,
         "bottleneck, pre, blocked, padded");
  whole (&spec_bottle_pre, KERN_LAST, 0, NULL,
         "bottleneck, pre, channels last");
  whole (&spec_basic_pre, KERN_BLOCKED, 4, "conv16-bn-conv32-bn-gap-fc",
         "pre, blocked, a head on the stream");
  whole (&spec_basic_pre, KERN_LAST, 1, "gap-fc",
         "pre, channels last, a head on the stem");
  whole (&spec_basic, KERN_BLOCKED, 2, "conv16-bn-conv32-bn-gap-fc",
         "head with normalisation, blocked");
  whole (&spec_basic, KERN_LAST, 2, "conv12s2-conv7-bn-gap-fc11-fc",
         "head of every word, channels last");
  whole (&spec_basic, KERN_BLOCKED, 2, "conv12s2-conv7-bn-gap-fc11-fc",
         "head of every word, blocked, padded");
  whole (&spec_bottle, KERN_LAST, 2, "gap-fc", "smallest head");
  twin_smoothing = 0.125;
  whole (&spec_basic, KERN_LAST, 0, NULL, "smoothed labels");
  whole (&spec_basic, KERN_LAST, 2, "conv8-bn-gap-fc", "smoothed, a head");
  twin_smoothing = 0;
  whole (&spec_basic, KERN_BLOCKED, 2, "conv8-bn-gap-fc+rec",
         "images made again, blocked");
  whole (&spec_basic, KERN_LAST, 3, "ln-gap-fc+rec0.5",
         "images made again of smaller ones, half");
  whole (&spec_bottle, KERN_LAST, 2, "gap-fc+rec3",
         "images made again of odd channels");
  whole (&spec_bottle, KERN_BLOCKED, 2, "gap-fc+rec",
         "images made again of padded channels");
  whole (&spec_deep, KERN_BLOCKED, 2, "like-2+rec10",
         "blocks beside a decoder");
  planted_rebuilt ();
  for (int l = KERN_BLOCKED; l <= KERN_LAST; l++) {
    const char *const layout = kern_layout_name ((enum kern_layout)l);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
      char title[80];
      snprintf (title, sizeof title, "%s, %s", heads[i], layout);
      whole (&spec_basic, (enum kern_layout)l, 2, heads[i], title);
    }
  }
  whole (&spec_deep, KERN_BLOCKED, 2, "like-1", "the last block");
  whole (&spec_deep, KERN_LAST, 2, "like-2", "two of five blocks");
  whole (&spec_deep, KERN_BLOCKED, 3, "like-3-conv8-bn-pool2-fc9-fc",
         "three of four blocks, and words");
  whole (&spec_deep, KERN_LAST, 1, "like-9-gap-fc", "all blocks");
  struct model_spec pre = spec_deep;
  pre.order = MODEL_PRE;
  whole (&pre, KERN_LAST, 3, "like-2", "two blocks that normalise first");
  whole (&pre, KERN_BLOCKED, 2, "like-3", "three blocks that normalise first");
  whole (&spec_basic, KERN_LAST, 4, "like-2", "no block is left");
  whole (&spec_bottle, KERN_LAST, 2, "like-1", "a bottleneck, odd channels");
  whole (&spec_bottle, KERN_LAST, 3, "ln-pool4-conv1x6-fc9-fc",
         "odd channels, channels last");
  border (&spec_basic, KERN_BLOCKED, MODEL_BORDER_NONE, 2, false,
          "basic, blocked");
  border (&spec_bottle, KERN_LAST, MODEL_BORDER_NONE, 2, false,
          "bottleneck, channels last");
  border (&spec_basic, KERN_BLOCKED, MODEL_BORDER_RMS, 2, false,
          "basic, blocked, rms");
  border (&spec_basic, KERN_BLOCKED, MODEL_BORDER_LN, 2, false,
          "basic, blocked, ln");
  border (&spec_bottle, KERN_LAST, MODEL_BORDER_RMS, 2, false,
          "bottleneck, channels last, rms");
  border (&spec_bottle, KERN_LAST, MODEL_BORDER_LN, -1, false,
          "bottleneck, the output alone, ln");
  border (&spec_basic, KERN_BLOCKED, MODEL_BORDER_NONE, 1, true,
          "frozen: basic, blocked");
  border (&spec_basic, KERN_LAST, MODEL_BORDER_NONE, 1, true,
          "frozen: basic, channels last");
  border (&spec_bottle, KERN_BLOCKED, MODEL_BORDER_NONE, 1, true,
          "frozen: bottleneck, blocked, padded");
  border (&spec_bottle, KERN_LAST, MODEL_BORDER_RMS, 1, true,
          "frozen: bottleneck, channels last, rms");
  border (&spec_basic_pre, KERN_BLOCKED, MODEL_BORDER_NONE, 2, false,
          "basic, pre, blocked");
  border (&spec_basic_pre, KERN_LAST, MODEL_BORDER_RMS, 3, false,
          "basic, pre, channels last, rms");
  border (&spec_bottle_pre, KERN_LAST, MODEL_BORDER_NONE, 1, false,
          "bottleneck, pre, channels last");
  border (&spec_bottle_pre, KERN_BLOCKED, MODEL_BORDER_NONE, -1, false,
          "pre, blocked, padded, the output alone");
  border (&spec_basic_pre, KERN_BLOCKED, MODEL_BORDER_NONE, 1, true,
          "frozen: basic, pre, blocked");
  border (&spec_bottle_pre, KERN_LAST, MODEL_BORDER_RMS, 1, true,
          "frozen: bottleneck, pre, channels last, rms");
  unblocked ();
  running ();
  planted ();
  fixture_bn = KERN_BN_LIBRARY;
  whole (&spec_basic, KERN_BLOCKED, 0, NULL, "the library's, blocked");
  whole (&spec_bottle, KERN_LAST, 2, "conv8-bn-gap-fc",
         "the library's, channels last");
  border (&spec_basic, KERN_BLOCKED, MODEL_BORDER_NONE, 2, false,
          "the library's, a border");
  border (&spec_basic, KERN_LAST, MODEL_BORDER_NONE, 1, true,
          "the library's, frozen");
  return tap_done ();
}
