/* tests/run/reference.h -- training as the table of a strategy defines it,
 * slowly: one walk through the uncut chain per loss, and plain sums.
 *
 *   gradient of stage k   = sum over h of route[k][h] dL_h / d (stage k)
 *   gradient of head h    = dL_h / d (head h)
 *   L_h                   = cross-entropy, and of a head `+recW` W times that
 * of the images that it makes again a matrix that stages share: the sum over
 * its uses, each as above strategy.grow = W     = of an inner stage that
 * learns: W d(mean square of its output in the batch) / d (stage k) besides
 *   window h              = the stages with route[k][h] != 0, and head h
 *   clipping              = a stage obeys the strictest of its windows
 *   a row of zeros        = the stage computes as in evaluation, and stays
 *
 * No plan, no messages, no sums of cotangents: each loss goes back alone, from
 * its head to the first stage, and its gradients are weighted in double.  Every
 * use of a shared matrix is a tensor of its own here; they are added and kept
 * equal by hand.
 */
#ifndef TESTS_RUN_REFERENCE_H
#define TESTS_RUN_REFERENCE_H

#include "base/place.h"
#include "tests/run/rig.h"
#include <math.h>

struct ref_tensor {
  int k;
  bool head; /* of an inner head, as files see it */
  bool own;  /* follows the stage's own loss alone */
  bool use;  /* of the matrix that stages share */
  char name[96];
  size_t n;
  float *first, *value; /* n: before the first step, now */
  double *grad;         /* n */
};

#define REF_TENSORS 2048
#define REF_STAGES 80
#define REF_PHASES 4
struct ref {
  const struct config *config; /* of the run */
  const double *route;         /* of the step */
  int n_phases;
  const double *phase[REF_PHASES]; /* their tables */
  struct config plain; /* the same network, every matrix by itself */
  struct session s;    /* data, network, cut; never stepped */
  int n, K;
  struct ref_tensor tensor[REF_TENSORS];
  char *image[2]; /* cotangents: borders with a header */
  size_t room;
};

RIG_FN bool
ref_drives (const struct ref *r, int h)
{
  for (int k = 0; k <= h; k++)
    if (r->route[k * r->K + h] != 0)
      return true;
  return false;
}

/* Whether head h is computed in this step. */
RIG_FN bool
ref_has (const struct ref *r, int h)
{
  return r->config->heads_all || ref_drives (r, h);
}

/* Whether it is in any. */
RIG_FN bool
ref_ever_has (struct ref *r, int h)
{
  const double *now = r->route;
  bool has = false;
  for (int i = 0; i < r->n_phases; i++) {
    r->route = r->phase[i];
    has = has || ref_has (r, h);
  }
  r->route = now;
  return has;
}

/* No loss moves the stage. */
RIG_FN bool
ref_frozen (const struct ref *r, int k)
{
  for (int h = k; h < r->K; h++)
    if (r->route[k * r->K + h] != 0)
      return false;
  return true;
}

RIG_FN bool
ref_heads_share (const struct ref *r)
{
  const char *dash = strrchr (r->config->head, '-');
  return dash && strcmp (dash, "-shared") == 0;
}

/* -- stages ------------------------------------------------------------------
 */

/* Stage k, with a head or without. */
RIG_FN struct stage *
ref_stage (struct ref *r, int k, bool head)
{
  struct stage *stage = NULL;
  struct stage_spec spec = {
      .net = r->s.design->net,
      .k = k,
      .n_stages = r->K,
      .unit_first = r->s.design->first[k],
      .unit_end = r->s.design->first[k + 1],
      .head = head && k < r->K - 1 ? r->plain.head : NULL,
      .border = derive_border (r->config),
      .n_samples = r->s.design->n_samples,
      .n_slots = 1,
      .n_pairs = 1,
      .seed = (uint64_t)r->config->seed,
      .optimizer = r->s.design->optimizer,
      .training = true,
  };
  rig_must (kernels_stage (r->s.design->kernels, &spec, &stage));
  return stage;
}

RIG_FN struct ref_tensor *
ref_find (struct ref *r, int k, bool head, const char *name)
{
  for (int i = 0; i < r->n; i++) {
    struct ref_tensor *t = &r->tensor[i];
    if (t->k == k && t->head == head && strcmp (t->name, name) == 0)
      return t;
  }
  return NULL;
}

RIG_FN bool
ref_is_output (const char *name)
{
  return strncmp (name, "fc.", 3) == 0 || strncmp (name, "bn.", 3) == 0 ||
         strncmp (name, "transformer.ln_f.", 17) == 0 ||
         strncmp (name, "lm_head.", 8) == 0;
}

/* The matrix of a head of tokens is its last word's. */
RIG_FN bool
ref_is_use (const struct ref *r, int k, bool head,
            const struct tensor_info *info)
{
  const struct model_spec *m = network_spec (r->s.design->net);
  if (m->family != MODEL_TRANSFORMER || info->n_dims != 2 ||
      info->dims[0] != m->classes)
    return false;
  if (strcmp (info->name, "lm_head.weight") == 0)
    return true;
  return k == 0 && !head ? r->config->tied : head && ref_heads_share (r);
}

/* The tensors of stage k and their values, as the seed makes them. */
RIG_FN void
ref_list (struct ref *r, int k)
{
  struct stage *stage = ref_stage (r, k, ref_ever_has (r, k));
  for (int i = 0; i < stage_tensors (stage); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (stage, i, &info, &head, &statistic);
    if (statistic)
      continue;
    CHECK (r->n < REF_TENSORS, "more tensors than expected");
    struct ref_tensor *t = &r->tensor[r->n++];
    t->k = k;
    t->head = head;
    t->own = head || (k == r->K - 1 && ref_is_output (info.name));
    t->use = ref_is_use (r, k, head, &info);
    snprintf (t->name, sizeof t->name, "%.95s", info.name);
    t->n = (size_t)tensor_info_count (&info);
    rig_must (MEM_NEW (t->n, &t->first, "reference"));
    rig_must (MEM_NEW (t->n, &t->value, "reference"));
    rig_must (MEM_NEW (t->n, &t->grad, "reference"));
    rig_must (stage_tensor_out (stage, i, STAGE_VALUE, t->value));
    memcpy (t->first, t->value, t->n * sizeof *t->value);
  }
  stage_destroy (&stage);
}

/* All uses begin as the embedding does where it is tied, else as the output. */
RIG_FN void
ref_unite (struct ref *r)
{
  struct ref_tensor *from =
      r->config->tied ? ref_find (r, 0, false, "transformer.wte.weight")
                      : ref_find (r, r->K - 1, false, "lm_head.weight");
  for (int i = 0; from && i < r->n; i++)
    if (r->tensor[i].use) {
      memcpy (r->tensor[i].value, from->value, from->n * sizeof (float));
      memcpy (r->tensor[i].first, from->value, from->n * sizeof (float));
    }
}

/* -- one loss ----------------------------------------------------------------
 */

RIG_FN void
ref_put (struct ref *r, int k, struct stage *stage)
{
  for (int i = 0; i < stage_tensors (stage); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (stage, i, &info, &head, &statistic);
    if (!statistic)
      rig_must (stage_tensor_in (stage, i, STAGE_VALUE,
                                 ref_find (r, k, head, info.name)->value));
  }
  rig_must (stage_refresh (stage));
}

/* h -1: of the penalty. */
RIG_FN void
ref_add (struct ref *r, int k, int h, struct stage *stage)
{
  for (int i = 0; i < stage_tensors (stage); i++) {
    struct tensor_info info;
    bool head, statistic;
    float *g = NULL;
    stage_tensor (stage, i, &info, &head, &statistic);
    if (statistic)
      continue;
    struct ref_tensor *t = ref_find (r, k, head, info.name);
    const double weight = h < 0    ? !t->own
                          : t->own ? k == h
                                   : r->route[k * r->K + h];
    rig_must (MEM_NEW (t->n, &g, "reference"));
    rig_must (stage_tensor_out (stage, i, STAGE_GRAD, g));
    /* A witness has no part in a shared matrix. */
    for (size_t j = 0;
         j < t->n && !(t->own && t->use && k < r->K - 1 && !ref_drives (r, k));
         j++)
      t->grad[j] += weight * (double)g[j];
    mem_free (&g);
  }
}

RIG_FN float *
ref_border (struct ref *r, int which)
{
  return (float *)(r->image[which] + TENSOR_HEADER);
}

/* Forward of a micro-batch to head h, and that loss back to the first stage. */
RIG_FN void
ref_walk (struct ref *r, struct stage **stage, int h, int64_t step, int micro,
          const float *x, const int32_t *labels)
{
  const double *mean, *std;
  struct stage_loss loss;
  data_normal (r->s.design->data, &mean, &std);
  stage_picture (stage[h], 0, x, mean, std);
  for (int k = 0; k <= h; k++) {
    struct tensor y;
    stage_moment (stage[k], 0, step, micro * r->s.design->n_samples);
    rig_must (stage_forward (stage[k], 0, x));
    stage_output (stage[k], 0, &y);
    x = y.data;
  }
  rig_must (stage_head (
      stage[h], 0, labels,
      1.0f / (float)(r->s.design->batch * r->s.design->length), false, &loss));
  const float *cotangent = stage_head_grad (stage[h], 0);
  for (int k = h; k >= 0; k--) {
    float *d_x = k > 0 ? ref_border (r, k % 2) : NULL;
    rig_must (
        stage_back_data (stage[k], 0, cotangent, !ref_frozen (r, k), 0, d_x));
    if (!ref_frozen (r, k))
      rig_must (stage_back_weights (stage[k], 0, 0));
    cotangent = d_x;
  }
  rig_must (stage_head_weights (stage[h], 0));
}

RIG_FN void
ref_loss (struct ref *r, int h, int64_t step, float *const *x,
          const int32_t *labels)
{
  struct stage *stage[REF_STAGES] = {NULL};
  for (int k = 0; k <= h; k++) {
    stage[k] = ref_stage (r, k, k == h);
    ref_put (r, k, stage[k]);
    if (ref_frozen (r, k))
      stage_set_mode (stage[k], STAGE_HANDS_ON);
  }
  for (int m = 0; m < r->s.design->M; m++)
    ref_walk (r, stage, h, step, m, x[m],
              labels + m * r->s.design->n_samples * r->s.design->length);
  for (int k = 0; k <= h; k++) {
    ref_add (r, k, h, stage[k]);
    stage_destroy (&stage[k]);
  }
}

/* The penalty on what stage k hands on: its own parameters alone learn. */
RIG_FN void
ref_penalty (struct ref *r, int k, int64_t step, float *const *x)
{
  struct stage *stage[REF_STAGES] = {NULL};
  const struct design *d = r->s.design;
  for (int i = 0; i <= k; i++) {
    stage[i] = ref_stage (r, i, false);
    ref_put (r, i, stage[i]);
    if (ref_frozen (r, i))
      stage_set_mode (stage[i], STAGE_HANDS_ON);
  }
  for (int m = 0; m < d->M; m++) {
    const float *input = x[m];
    struct tensor y = {0};
    for (int i = 0; i <= k; i++) {
      stage_moment (stage[i], 0, step, m * d->n_samples);
      rig_must (stage_forward (stage[i], 0, input));
      stage_output (stage[i], 0, &y);
      input = y.data;
    }
    const size_t n = y.bytes / sizeof (float);
    float *cotangent = ref_border (r, 0);
    for (size_t i = 0; i < n; i++)
      cotangent[i] =
          (float)(2 * r->config->grow * (double)input[i] / (double)n / d->M);
    rig_must (stage_back_data (stage[k], 0, cotangent, true, 0, NULL));
    rig_must (stage_back_weights (stage[k], 0, 0));
  }
  ref_add (r, k, -1, stage[k]);
  for (int i = 0; i <= k; i++)
    stage_destroy (&stage[i]);
}

/* -- one step ----------------------------------------------------------------
 */

/* The gradient of every use becomes their sum. */
RIG_FN void
ref_share (struct ref *r)
{
  struct ref_tensor *owner = ref_find (r, r->K - 1, false, "lm_head.weight");
  for (int i = 0; owner && i < r->n; i++)
    for (size_t j = 0;
         r->tensor[i].use && &r->tensor[i] != owner && j < owner->n; j++)
      owner->grad[j] += r->tensor[i].grad[j];
  for (int i = 0; owner && i < r->n; i++)
    if (r->tensor[i].use && &r->tensor[i] != owner)
      memcpy (r->tensor[i].grad, owner->grad, owner->n * sizeof (double));
}

/* What clipping leaves of window h.  A shared matrix counts once, with the last
 * head. */
RIG_FN double
ref_factor (const struct ref *r, int h)
{
  double squares = 0;
  for (int i = 0; i < r->n; i++) {
    const struct ref_tensor *t = &r->tensor[i];
    bool in = t->use   ? t->k == r->K - 1 && h == r->K - 1
              : t->own ? t->k == h
                       : r->route[t->k * r->K + h] != 0;
    for (size_t j = 0; in && j < t->n; j++)
      squares += t->grad[j] * t->grad[j];
  }
  const double clip = r->config->clip, norm = sqrt (squares);
  return clip > 0 && norm > clip ? clip / norm : 1;
}

RIG_FN void
ref_update (struct ref *r)
{
  double factor[REF_STAGES];
  for (int h = 0; h < r->K; h++)
    factor[h] = ref_factor (r, h);
  for (int i = 0; i < r->n; i++) {
    struct ref_tensor *t = &r->tensor[i];
    double f = t->own ? factor[t->k] : 1;
    for (int h = t->k; !t->own && h < r->K; h++)
      if (r->route[t->k * r->K + h] != 0)
        f = fmin (f, factor[h]);
    if (t->use)
      f = factor[r->K - 1];
    for (size_t j = 0; j < t->n; j++) {
      t->value[j] = (float)(t->value[j] - r->config->lr * f * t->grad[j]);
      t->grad[j] = 0;
    }
  }
}

RIG_FN void
ref_step (struct ref *r, int64_t step)
{
  const size_t n = (size_t)(r->s.design->batch * r->s.design->length);
  float *x[16] = {NULL};
  int32_t *labels = NULL;
  struct tensor in, out;
  stage_border (r->s.local[0].stage, &in, &out);
  rig_must (MEM_NEW (n, &labels, "labels"));
  rig_must (data_take_labels (r->s.design->data, r->s.design->train, r->s.order,
                              step, 0, r->s.design->batch, labels));
  for (int m = 0; m < r->s.design->M; m++) {
    rig_must (MEM_NEW (in.bytes / sizeof (float), &x[m], "samples"));
    rig_must (data_take (r->s.loader, step, m, x[m]));
  }
  for (int h = 0; h < r->K; h++)
    if (ref_has (r, h))
      ref_loss (r, h, step, x, labels);
  for (int k = 0; k < r->K - 1; k++)
    if (r->config->grow > 0 && !ref_frozen (r, k))
      ref_penalty (r, k, step, x);
  ref_share (r);
  ref_update (r);
  for (int m = 0; m < r->s.design->M; m++)
    mem_free (&x[m]);
  mem_free (&labels);
}

/* -- open and close ----------------------------------------------------------
 */

/* On every rank by itself: n phases of so many steps each.  c, tables:
 * borrowed. */
RIG_FN void
ref_run_phases (struct ref *r, const struct config *c, int n,
                const double *const *route, int64_t each)
{
  const int64_t steps = n * each;
  struct wire *alone = NULL;
  const struct session_spec spec = {.design = {.guess_costs = true}};
  const int rank = place_rank (), size = place_size ();
  memset (r, 0, sizeof *r);
  r->config = c;
  r->route = route[0];
  r->n_phases = n;
  for (int i = 0; i < n; i++)
    r->phase[i] = route[i];
  r->K = (int)c->count;
  r->plain = *c;
  r->plain.tied = false;
  r->plain.heads_all = true; /* data and cut: the strategy is not asked */
  r->plain.clip = 0;
  if (ref_heads_share (r))
    snprintf (r->plain.head, CONFIG_TEXT, "ln-fc");
  rig_must (wire_open_alone (&alone));
  rig_must (session_open (alone, &r->plain, &spec, &r->s));
  for (int k = 0; k < r->K; k++) {
    struct tensor in, out;
    stage_border (r->s.local[k].stage, &in, &out);
    r->room = out.bytes > r->room ? out.bytes : r->room;
    ref_list (r, k);
  }
  ref_unite (r);
  for (int i = 0; i < 2; i++)
    rig_must (MEM_NEW (TENSOR_HEADER + r->room, &r->image[i], "borders"));
  rig_must (session_begin (&r->s, 0, steps));
  for (int64_t step = 0; step < steps; step++) {
    r->route = route[step / each];
    ref_step (r, step);
  }
  rig_must (session_end (&r->s));
  session_close (&r->s);
  wire_close (&alone);
  place_rank_set (rank, size);
}

RIG_FN void
ref_run (struct ref *r, const struct config *c, const double *route,
         int64_t steps)
{
  ref_run_phases (r, c, 1, &route, steps);
}

RIG_FN void
ref_clear (struct ref *r)
{
  for (int i = 0; i < r->n; i++) {
    mem_free (&r->tensor[i].first);
    mem_free (&r->tensor[i].value);
    mem_free (&r->tensor[i].grad);
  }
  mem_free (&r->image[0]);
  mem_free (&r->image[1]);
}

#endif
