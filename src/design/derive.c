/* design/derive.c -- from words of the configuration to what other rooms take,
 * and the words of a plain one. */
#include "design/design_impl.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof (a) / sizeof *(a))

/* Position of word among names, or -1 after fail () with the nearest. */
static int
choose (const char *key, const char *word, const char *const *names, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (strcmp (word, names[i]) == 0)
      return (int)i;
  const char *near = text_nearest (word, names, n);
  fail (E_CONFIG, "%s: \"%s\" is not known%s%s%s", key, word,
        near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
  return -1;
}

enum status
derive_route (const struct config *c, int K, double *route)
{
  int span;
  enum plan_mix mix;
  TRY (config_span_parse (c->span, K, &span));
  TRY (plan_mix_parse (c->mix, &mix));
  return plan_route (K, span, mix, route);
}

enum status
derive_order (const char *word, enum plan_order *out)
{
  static const char *const names[] = {"eager", "1f1b", "filldrain"};
  int i = choose ("run.schedule", word, names, COUNT (names));
  if (i < 0)
    return E_CONFIG;
  static const enum plan_order order[] = {PLAN_EAGER, PLAN_1F1B,
                                          PLAN_FILLDRAIN};
  *out = order[i];
  return OK;
}

enum status
derive_split (const char *word, enum data_split *out)
{
  static const char *const names[] = {"train", "valid", "test"};
  int i = choose ("data split", word, names, COUNT (names));
  if (i < 0)
    return E_CONFIG;
  *out = (enum data_split)i;
  return OK;
}

enum status
derive_augment (const char *word, int *out)
{
  static const char *const names[] = {"none", "flip", "crop4", "flip+crop4",
                                      "imagenet"};
  int i = choose ("data.augment", word, names, COUNT (names));
  if (i < 0)
    return E_CONFIG;
  static const int bits[] = {
      DATA_AUGMENT_NONE, DATA_AUGMENT_FLIP, DATA_AUGMENT_CROP4,
      DATA_AUGMENT_FLIP | DATA_AUGMENT_CROP4, DATA_AUGMENT_IMAGENET};
  *out = bits[i];
  return OK;
}

enum status
derive_optimizer (const struct config *c, struct optimizer *out)
{
  static const char *const names[] = {"sgd", "adamw"};
  int i = choose ("train.optimizer", c->optimizer, names, COUNT (names));
  if (i < 0)
    return E_CONFIG;
  struct optimizer o = {
      .kind = i == 0 ? OPTIMIZER_SGD : OPTIMIZER_ADAMW,
      .momentum = c->momentum,
      .nesterov = c->nesterov,
      .weight_decay = c->weight_decay,
      .beta1 = c->beta1,
      .beta2 = c->beta2,
      .eps = c->eps,
  };
  o.decay_all = c->decay[0] ? strcmp (c->decay, "all") == 0 : i == 0;
  if (o.nesterov && o.momentum <= 0)
    return fail (E_CONFIG, "train.nesterov = yes needs train.momentum > 0");
  *out = o;
  return OK;
}

/* "100, 150" in steps. */
static enum status
parse_milestones (const char *text, struct schedule *s)
{
  char copy[CONFIG_TEXT];
  snprintf (copy, sizeof copy, "%s", text);
  char *save = NULL;
  for (char *word = strtok_r (copy, ", ", &save); word;
       word = strtok_r (NULL, ", ", &save)) {
    int64_t n;
    if (s->n_milestones == SCHEDULE_MILESTONES)
      return fail (E_CONFIG, "train.milestones: more than %d",
                   SCHEDULE_MILESTONES);
    if (!text_to_long (word, &n) || n < 1 ||
        (s->n_milestones > 0 && n <= s->milestones[s->n_milestones - 1]))
      return fail (E_CONFIG,
                   "train.milestones: \"%s\" is not a step after the one "
                   "before it",
                   word);
    s->milestones[s->n_milestones++] = n;
  }
  return OK;
}

enum status
derive_schedule (const struct config *c, int64_t steps, struct schedule *out)
{
  static const char *const names[] = {"constant", "step", "cosine", "onecycle"};
  int i = choose ("train.schedule", c->schedule, names, COUNT (names));
  if (i < 0)
    return E_CONFIG;
  static const enum schedule_kind kinds[] = {
      SCHEDULE_CONSTANT, SCHEDULE_STEP, SCHEDULE_COSINE, SCHEDULE_ONECYCLE};
  struct schedule s = {
      .kind = kinds[i], .lr = c->lr, .steps = steps, .warmup = c->warmup};
  TRY (parse_milestones (c->milestones, &s));
  if (s.kind == SCHEDULE_STEP && s.n_milestones == 0)
    return fail (E_CONFIG, "train.schedule = step needs train.milestones");
  *out = s;
  return OK;
}

/* -- sizes --------------------------------------------------------------------
 */

enum status
derive_pipe (const struct config *c, int ranks, int *n_pipe)
{
  if (ranks % c->replicas != 0)
    return fail (E_CONFIG, "run.replicas = %lld does not divide %d ranks",
                 (long long)c->replicas, ranks);
  *n_pipe = ranks / (int)c->replicas;
  return OK;
}

enum status
derive_work (int n_pipe, int64_t K, int64_t R, const char *cure)
{
  if (n_pipe <= K)
    return OK;
  return fail (E_CONFIG,
               "%lld ranks for %lld stages x %lld replica%s: at most %lld "
               "ranks have work (%s)",
               (long long)(n_pipe * R), (long long)K, (long long)R,
               R == 1 ? "" : "s", (long long)(K * R), cure);
}

/* key: of the number of micro-batches, where it is that of the configuration.
 */
static enum status
divide (const struct config *c, int64_t micro, const char *key,
        int64_t *n_samples)
{
  const int64_t parts = micro * c->replicas;
  if (c->batch % parts != 0)
    return fail (E_CONFIG,
                 "train.batch = %lld does not divide into %s%lld micro-batches "
                 "x run.replicas = %lld",
                 (long long)c->batch, key, (long long)micro,
                 (long long)c->replicas);
  *n_samples = c->batch / parts;
  return OK;
}

enum status
derive_micro (const struct config *c, int64_t *n_samples)
{
  return divide (c, c->micro, "train.micro = ", n_samples);
}

enum status
derive_micro_of (const struct config *c, int64_t micro, int64_t *n_samples)
{
  return divide (c, micro, "", n_samples);
}

void
derive_sizes (const struct model_spec *preset, struct config *c)
{
  if (c->layers == 0)
    c->layers = preset->layers;
  if (c->d_model == 0)
    c->d_model = preset->d_model;
  if (c->heads == 0)
    c->heads = preset->heads;
  if (c->context == 0)
    c->context = preset->context;
  if (!(c->mlp_ratio > 0))
    c->mlp_ratio = preset->mlp_ratio;
}

/* Vocabulary of a plan without data: GPT-2's. */
#define VOCABULARY 50257

static enum status
derive_transformer (const struct config *c, const struct data_info *data,
                    struct model_spec *out)
{
  struct model_spec m = {.family = MODEL_TRANSFORMER};
  if (c->preset[0])
    TRY (model_spec_preset (c->preset, &m));
  if (m.family != MODEL_TRANSFORMER)
    return fail (E_CONFIG,
                 "model.preset = %s is a ResNet, model.family = transformer",
                 c->preset);
  struct config full = *c;
  derive_sizes (&m, &full);
  m.layers = (int)full.layers;
  m.d_model = (int)full.d_model;
  m.heads = (int)full.heads;
  m.context = (int)full.context;
  m.mlp_ratio = full.mlp_ratio;
  m.dropout = c->dropout;
  m.tied = c->tied;
  m.head_tokens = c->head_tokens;
  m.classes = data ? data->classes : VOCABULARY;
  *out = m;
  return OK;
}

enum status
derive_spec (const struct config *c, const struct data_info *data,
             struct model_spec *out)
{
  static const char *const stems[] = {"cifar", "imagenet"};
  static const char *const blocks[] = {"basic", "bottleneck"};
  struct model_spec m = {
      .classes = 10, .channels = 3, .height = 32, .width_px = 32};
  if (strcmp (c->family, "transformer") == 0)
    return derive_transformer (c, data, out);
  if (c->preset[0])
    TRY (model_spec_preset (c->preset, &m));
  if (m.family != MODEL_RESNET)
    return fail (E_CONFIG,
                 "model.preset = %s is a Transformer: model.family = "
                 "transformer goes with it",
                 c->preset);
  if (c->groups[0])
    TRY (model_spec_groups (c->groups, &m));
  if (c->block[0]) {
    int i = choose ("model.block", c->block, blocks, COUNT (blocks));
    if (i < 0)
      return E_CONFIG;
    m.block = i == 0 ? MODEL_BASIC : MODEL_BOTTLENECK;
  }
  if (c->stem[0]) {
    int i = choose ("model.stem", c->stem, stems, COUNT (stems));
    if (i < 0)
      return E_CONFIG;
    m.stem = i == 0 ? MODEL_STEM_CIFAR : MODEL_STEM_IMAGENET;
  }
  if (c->stem_width > 0)
    m.stem_width = (int)c->stem_width;
  if (data) {
    m.classes = data->classes;
    m.channels = data->channels;
    m.height = data->height;
    m.width_px = data->width;
  }
  *out = m;
  return OK;
}

/* -- threads ----------------------------------------------------------------
 */

#define MOST_THREADS 4096 /* as --threads */

enum status
derive_threads (struct wire *w, const struct config *c, int *out)
{
  enum status s = OK;
  double least, most;
  wire_cores (w, &least, &most);
  int threads = (int)(least + 1e-6);
  if (threads < 1)
    threads = 1;
  const char *env = getenv ("OMP_NUM_THREADS");
  int64_t n;
  int asked = c->threads;
  bool given = asked <= 0 && env && text_to_long (env, &n) && n >= 1;
  if (given && n > MOST_THREADS)
    s = fail (E_CONFIG, "OMP_NUM_THREADS is %s: a rank has at most %d threads",
              env, MOST_THREADS);
  TRY (wire_agree (w, s));
  if (given)
    asked = (int)n;
  if (asked > 0)
    threads = asked;
  static bool warned; /* one session after the other: once is enough */
  if (warned)
    ;
  else if ((double)threads > least + 1e-6)
    say (LOG_WARN,
         "%d thread%s on every rank but only %.2g core%s for the least of "
         "them: ranks share cores and wait for each other",
         threads, threads == 1 ? "" : "s", least, least > 1 ? "s" : "");
  else if (asked <= 0 && (double)threads <= most / 2)
    say (LOG_WARN,
         "%d thread%s on every rank where %.2g cores are there: cores stay "
         "idle (bind ranks to more cores, or use --threads)",
         threads, threads == 1 ? "" : "s", most);
  warned = true;
  *out = threads;
  return OK;
}
