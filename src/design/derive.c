/* design/derive.c -- from choices of the configuration to what other rooms
 * take. */
#include "design/design_impl.h"

#include <stdlib.h>
#include <string.h>

bool
derive_narrow (const struct config *c)
{
  return c->precision == CONFIG_BF16;
}

int
derive_twins (const struct config *c)
{
  return c->share_optimizer && c->replicas > 1 ? (int)c->replicas : 0;
}

enum model_border
derive_border (const struct config *c)
{
  static const enum model_border borders[] = {
      [CONFIG_BORDER_NONE] = MODEL_BORDER_NONE,
      [CONFIG_BORDER_RMS] = MODEL_BORDER_RMS,
      [CONFIG_BORDER_LN] = MODEL_BORDER_LN};
  return borders[c->border];
}

enum stage_mode
derive_mode (const struct config *c, bool learns, bool through)
{
  if (learns)
    return STAGE_LEARNS;
  return through || c->agreement > 0 ? STAGE_HANDS_ON : STAGE_STILL;
}

enum plan_mix
derive_mix (const struct config *c)
{
  static const enum plan_mix mixes[] = {[CONFIG_FURTHEST] = PLAN_FURTHEST,
                                        [CONFIG_SUM] = PLAN_SUM,
                                        [CONFIG_MEAN] = PLAN_MEAN};
  return mixes[c->mix];
}

enum status
derive_check_shared (const struct config *c, int K, const double *route)
{
  const bool tied = c->tied && key_of_family (KEY_OF (tied), c);
  bool output = false;
  for (int k = 0; k < K; k++)
    output = output || route[k * K + K - 1] != 0;
  if (tied && plan_route_frozen (K, 0, route))
    return fail (E_CONFIG,
                 "the first stage is frozen, but with %s = yes its embedding "
                 "is the output's matrix, which learns: set %s = no",
                 KEY_NAME (tied), KEY_NAME (tied));
  if ((tied || network_head_shares (c->head)) && !output)
    return fail (E_CONFIG,
                 "no stage learns from the output, whose matrix %s shares "
                 "(%s): it would stay as it is",
                 tied ? "the embedding" : "the heads",
                 tied ? KEY_NAME (tied) : KEY_NAME (head));
  return OK;
}

enum status
derive_reach (const struct config *c, const char *words, double own, int K,
              double *route)
{
  struct plan_reach reach = {.mix = derive_mix (c), .own = own};
  for (int k = 0; k < K; k++) {
    TRY (config_span_parse (words, K, k, &reach.span));
    TRY (plan_route_row (K, k, &reach, route + k * K));
  }
  return derive_check_shared (c, K, route);
}

enum status
derive_route (const struct config *c, int K, double *route)
{
  if (!c->route[0])
    return derive_reach (c, c->span, c->own, K, route);
  TRY (route_parse (KEY_NAME (route), c->route, K, route));
  return derive_check_shared (c, K, route);
}

enum plan_order
derive_order (const struct config *c)
{
  static const enum plan_order orders[] = {[CONFIG_EAGER] = PLAN_EAGER,
                                           [CONFIG_1F1B] = PLAN_1F1B,
                                           [CONFIG_FILLDRAIN] = PLAN_FILLDRAIN};
  return orders[c->run_schedule];
}

enum data_split
derive_split (enum config_split split)
{
  static const enum data_split splits[] = {[CONFIG_SPLIT_TRAIN] = DATA_TRAIN,
                                           [CONFIG_SPLIT_VALID] = DATA_VALID,
                                           [CONFIG_SPLIT_TEST] = DATA_TEST};
  return splits[split];
}

enum status
derive_split_named (const char *word, enum data_split *out)
{
  const struct key *k = KEY_OF (test);
  int i = key_choice (k, word);
  const char *near = key_nearest (k, word);
  if (i < 0)
    return fail (E_CONFIG, "data split: \"%s\" is not known%s%s%s", word,
                 near ? "; did you mean \"" : "", near ? near : "",
                 near ? "\"?" : "");
  *out = derive_split ((enum config_split)i);
  return OK;
}

int
derive_augment (const struct config *c)
{
  static const int bits[] = {[CONFIG_AUGMENT_NONE] = DATA_AUGMENT_NONE,
                             [CONFIG_AUGMENT_FLIP] = DATA_AUGMENT_FLIP,
                             [CONFIG_AUGMENT_CROP4] = DATA_AUGMENT_CROP4,
                             [CONFIG_AUGMENT_FLIP_CROP4] =
                                 DATA_AUGMENT_FLIP | DATA_AUGMENT_CROP4,
                             [CONFIG_AUGMENT_IMAGENET] = DATA_AUGMENT_IMAGENET};
  return bits[c->augment];
}

enum optimizer_kind
derive_optimizer_kind (const struct config *c)
{
  return c->optimizer == CONFIG_ADAMW ? OPTIMIZER_ADAMW : OPTIMIZER_SGD;
}

enum status
derive_optimizer (const struct config *c, struct optimizer *out)
{
  struct optimizer o = {
      .kind = derive_optimizer_kind (c),
      .momentum = c->momentum,
      .nesterov = c->nesterov,
      .weight_decay = c->weight_decay,
      .beta1 = c->beta1,
      .beta2 = c->beta2,
      .eps = c->eps,
  };
  o.decay_all = c->decay == CONFIG_DECAY_NOT_GIVEN
                    ? o.kind == OPTIMIZER_SGD
                    : c->decay == CONFIG_DECAY_ALL;
  if (o.nesterov && o.momentum <= 0)
    return fail (E_CONFIG, "%s = yes needs %s > 0", KEY_NAME (nesterov),
                 KEY_NAME (momentum));
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
      return fail (E_CONFIG, "%s: more than %d", KEY_NAME (milestones),
                   SCHEDULE_MILESTONES);
    if (!text_to_long (word, &n) || n < 1 ||
        (s->n_milestones > 0 && n <= s->milestones[s->n_milestones - 1]))
      return fail (E_CONFIG,
                   "%s: \"%s\" is not a step after the one "
                   "before it",
                   KEY_NAME (milestones), word);
    s->milestones[s->n_milestones++] = n;
  }
  return OK;
}

enum status
derive_schedule (const struct config *c, int64_t steps, struct schedule *out)
{
  static const enum schedule_kind kinds[] = {
      [CONFIG_CONSTANT] = SCHEDULE_CONSTANT,
      [CONFIG_STEP] = SCHEDULE_STEP,
      [CONFIG_COSINE] = SCHEDULE_COSINE,
      [CONFIG_ONECYCLE] = SCHEDULE_ONECYCLE};
  struct schedule s = {.kind = kinds[c->schedule],
                       .lr = c->lr,
                       .steps = steps,
                       .warmup = c->warmup};
  TRY (parse_milestones (c->milestones, &s));
  if (s.kind == SCHEDULE_STEP && s.n_milestones == 0)
    return fail (E_CONFIG, "%s = %s needs %s", KEY_NAME (schedule),
                 key_word (KEY_OF (schedule), c), KEY_NAME (milestones));
  *out = s;
  return OK;
}

/* -- sizes --------------------------------------------------------------------
 */

enum status
derive_pipe (const struct config *c, int ranks, int *n_pipe)
{
  if (ranks % c->replicas != 0)
    return fail (E_CONFIG, "%s = %lld does not divide %d ranks",
                 KEY_NAME (replicas), (long long)c->replicas, ranks);
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
    return fail (
        E_CONFIG,
        "%s = %lld does not divide into %s%lld micro-batches x %s = %lld",
        KEY_NAME (batch), (long long)c->batch, key, (long long)micro,
        KEY_NAME (replicas), (long long)c->replicas);
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

/* -- from a configuration to a network, by family -------------------------- */

static void
transformer_sizes (const struct model_spec *preset, struct config *c)
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
  if (c->norm == CONFIG_NORM_NOT_GIVEN)
    c->norm = preset->norm == MODEL_RMSNORM ? CONFIG_RMSNORM : CONFIG_LAYERNORM;
  if (c->mlp == CONFIG_MLP_NOT_GIVEN)
    c->mlp = preset->mlp == MODEL_SWIGLU ? CONFIG_SWIGLU : CONFIG_GELU;
  if (c->positions == CONFIG_POSITIONS_NOT_GIVEN)
    c->positions =
        preset->positions == MODEL_ROPE ? CONFIG_ROPE : CONFIG_LEARNED;
  if (c->stride == 0)
    c->stride = c->context;
}

/* Vocabulary of a plan without data: GPT-2's. */
#define VOCABULARY 50257

static enum status
transformer_spec (const struct config *c, const struct data_info *data,
                  struct model_spec *m)
{
  struct config full = *c;
  transformer_sizes (m, &full);
  m->layers = (int)full.layers;
  m->d_model = (int)full.d_model;
  m->heads = (int)full.heads;
  m->context = (int)full.context;
  m->mlp_ratio = full.mlp_ratio;
  m->norm = full.norm == CONFIG_RMSNORM ? MODEL_RMSNORM : MODEL_LAYERNORM;
  m->mlp = full.mlp == CONFIG_SWIGLU ? MODEL_SWIGLU : MODEL_GELU;
  m->positions = full.positions == CONFIG_ROPE ? MODEL_ROPE : MODEL_LEARNED;
  if (c->kv_heads > 0)
    m->kv_heads = (int)c->kv_heads;
  m->qk_norm = c->qk_norm;
  m->dropout = c->dropout;
  m->tied = c->tied;
  m->residual_scaled = c->residual_scaled;
  m->head_tokens = c->head_tokens;
  m->classes = data ? data->classes : VOCABULARY;
  return OK;
}

static enum status
resnet_spec (const struct config *c, const struct data_info *data,
             struct model_spec *m)
{
  if (c->groups[0])
    TRY (model_spec_groups (c->groups, m));
  if (c->block != CONFIG_BLOCK_NOT_GIVEN)
    m->block = c->block == CONFIG_BASIC ? MODEL_BASIC : MODEL_BOTTLENECK;
  if (c->stem != CONFIG_STEM_NOT_GIVEN)
    m->stem =
        c->stem == CONFIG_STEM_CIFAR ? MODEL_STEM_CIFAR : MODEL_STEM_IMAGENET;
  if (c->model_order != CONFIG_MODEL_ORDER_NOT_GIVEN)
    m->order = c->model_order == CONFIG_PRE ? MODEL_PRE : MODEL_POST;
  if (c->stem_width > 0)
    m->stem_width = (int)c->stem_width;
  const int usual = m->stem == MODEL_STEM_IMAGENET ? 224 : 32;
  m->classes = data ? data->classes : 10;
  m->channels = data ? data->channels : 3;
  m->height = data ? data->height : usual;
  m->width_px = data ? data->width : usual;
  return OK;
}

/* spec: what is said, over the preset's; sizes: the preset's into the
 * configuration, where nothing is said (NULL: they are not shown). */
static const struct {
  enum model_family family;
  enum status (*spec) (const struct config *c, const struct data_info *data,
                       struct model_spec *m);
  void (*sizes) (const struct model_spec *preset, struct config *c);
} ways[] = {
    [CONFIG_RESNET] = {MODEL_RESNET, resnet_spec, NULL},
    [CONFIG_TRANSFORMER] = {MODEL_TRANSFORMER, transformer_spec,
                            transformer_sizes},
};

const struct family *
derive_family (const struct config *c)
{
  return family_at (ways[c->family].family);
}

void
derive_sizes (struct config *c)
{
  const enum model_family family = ways[c->family].family;
  struct model_spec preset = {.family = family};
  if (!ways[c->family].sizes)
    return;
  if (model_spec_preset (c->preset, &preset) != OK || preset.family != family) {
    fail_clear (); /* the check says it */
    preset = (struct model_spec){.family = family};
  }
  ways[c->family].sizes (&preset, c);
}

enum status
derive_spec (const struct config *c, const struct data_info *data,
             struct model_spec *out)
{
  const enum model_family family = ways[c->family].family;
  struct model_spec m = {.family = family};
  if (c->preset[0])
    TRY (model_spec_preset (c->preset, &m));
  const struct family *has = family_at (m.family);
  if (m.family != family && c->family == 0) /* the default: it was not said */
    return fail (E_CONFIG, "%s = %s is %s: %s = %s goes with it",
                 KEY_NAME (preset), c->preset, has->called, KEY_NAME (family),
                 has->name);
  if (m.family != family)
    return fail (E_CONFIG, "%s = %s is %s, %s = %s", KEY_NAME (preset),
                 c->preset, has->called, KEY_NAME (family),
                 key_word (KEY_OF (family), c));
  TRY (ways[c->family].spec (c, data, &m));
  *out = m;
  return OK;
}

/* -- threads ----------------------------------------------------------------
 */

#define MOST_THREADS 4096 /* as --threads */

int64_t
derive_asked (const struct config *c)
{
  const char *env = getenv ("OMP_NUM_THREADS");
  int64_t n;
  if (c->threads > 0)
    return c->threads;
  return env && text_to_long (env, &n) && n >= 1 ? n : 0;
}

int
derive_threads_known (const struct design *d)
{
  const int64_t asked = d->threads > 0 ? d->threads : derive_asked (&d->config);
  return asked >= 1 && asked <= MOST_THREADS ? (int)asked : 1;
}

enum status
derive_threads (struct wire *w, const struct config *c, int *out)
{
  enum status s = OK;
  double least, most;
  wire_cores (w, &least, &most);
  int threads = (int)(least + 1e-6);
  if (threads < 1)
    threads = 1;
  const int64_t asked = derive_asked (c);
  if (asked > MOST_THREADS)
    s = fail (E_CONFIG,
              "OMP_NUM_THREADS is %lld: a rank has at most %d threads",
              (long long)asked, MOST_THREADS);
  TRY (wire_agree (w, s));
  if (asked > 0)
    threads = (int)asked;
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
