/* model/network.c -- specs, presets and the row of units of a network.
 *
 * A network is its spec and one recipe per unit; it holds no weights.  Cutting
 * by cost is plan's affair, only a written cut is read here.
 */
#include "model/recipe_impl.h"
#include "base/memory.h"
#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct network {
  struct model_spec spec;
  int n;               /* units */
  struct recipe *unit; /* n, owned */
};

double
network_border_bytes (struct kern_dims d, double n)
{
  return (double)(d.c * d.h * d.w) * n *
         (double)tensor_bytes (NETWORK_BORDER, 1);
}

double
network_param_bytes (double n)
{
  return n * (double)tensor_bytes (NETWORK_PARAM, 1);
}

/* -- specs ----------------------------------------------------------------- */

struct token_preset {
  const char *name;
  int layers, d_model, heads, context;
};
static const struct token_preset token_presets[] = {
    {"gpt-nano", 6, 256, 8, 256},
    {"gpt2", 12, 768, 12, 1024},
};
#define TOKEN_PRESETS (sizeof token_presets / sizeof token_presets[0])

struct preset {
  const char *name;
  enum model_block block;
  enum model_stem stem;
  int n_groups;
  int width[4], blocks[4];
};

/* clang-format off */
static const struct preset presets[] = {
  { "resnet20",  MODEL_BASIC, MODEL_STEM_CIFAR, 3, { 16, 32, 64 }, { 3, 3, 3 } },
  { "resnet32",  MODEL_BASIC, MODEL_STEM_CIFAR, 3, { 16, 32, 64 }, { 5, 5, 5 } },
  { "resnet44",  MODEL_BASIC, MODEL_STEM_CIFAR, 3, { 16, 32, 64 }, { 7, 7, 7 } },
  { "resnet56",  MODEL_BASIC, MODEL_STEM_CIFAR, 3, { 16, 32, 64 }, { 9, 9, 9 } },
  { "resnet110", MODEL_BASIC, MODEL_STEM_CIFAR, 3, { 16, 32, 64 },
    { 18, 18, 18 } },
  { "resnet18",  MODEL_BASIC, MODEL_STEM_IMAGENET, 4, { 64, 128, 256, 512 },
    { 2, 2, 2, 2 } },
  { "resnet34",  MODEL_BASIC, MODEL_STEM_IMAGENET, 4, { 64, 128, 256, 512 },
    { 3, 4, 6, 3 } },
  { "resnet50",  MODEL_BOTTLENECK, MODEL_STEM_IMAGENET, 4,
    { 64, 128, 256, 512 }, { 3, 4, 6, 3 } },
  { "resnet101", MODEL_BOTTLENECK, MODEL_STEM_IMAGENET, 4,
    { 64, 128, 256, 512 }, { 3, 4, 23, 3 } },
  { "resnet152", MODEL_BOTTLENECK, MODEL_STEM_IMAGENET, 4,
    { 64, 128, 256, 512 }, { 3, 8, 36, 3 } },
};
/* clang-format on */
#define PRESETS (sizeof presets / sizeof presets[0])

static bool
token_preset (const char *preset, struct model_spec *spec)
{
  for (size_t i = 0; i < TOKEN_PRESETS; i++) {
    const struct token_preset *p = &token_presets[i];
    if (strcmp (preset, p->name) != 0)
      continue;
    spec->family = MODEL_TRANSFORMER;
    spec->layers = p->layers;
    spec->d_model = p->d_model;
    spec->heads = p->heads;
    spec->context = p->context;
    spec->mlp_ratio = 4;
    spec->dropout = 0;
    spec->tied = true;
    return true;
  }
  return false;
}

enum status
model_spec_preset (const char *preset, struct model_spec *spec)
{
  const char *names[PRESETS + TOKEN_PRESETS];
  if (token_preset (preset, spec))
    return OK;
  for (size_t i = 0; i < PRESETS; i++) {
    const struct preset *p = &presets[i];
    names[i] = p->name;
    if (strcmp (preset, p->name) != 0)
      continue;
    spec->family = MODEL_RESNET;
    spec->block = p->block;
    spec->stem = p->stem;
    spec->n_groups = p->n_groups;
    for (int g = 0; g < MODEL_GROUPS; g++) {
      spec->width[g] = g < p->n_groups ? p->width[g] : 0;
      spec->blocks[g] = g < p->n_groups ? p->blocks[g] : 0;
    }
    return OK;
  }
  for (size_t i = 0; i < TOKEN_PRESETS; i++)
    names[PRESETS + i] = token_presets[i].name;
  const char *near = text_nearest (preset, names, PRESETS + TOKEN_PRESETS);
  return fail (E_CONFIG, "unknown preset \"%s\"%s%s%s", preset,
               near ? " (did you mean \"" : "", near ? near : "",
               near ? "\"?)" : "");
}

/* Copy the piece in front of the next comma into word and step over both; false
 * when it does not fit or is empty. */
static bool
next_word (const char **at, char *word, size_t room)
{
  size_t n = strcspn (*at, ",");
  if (n == 0 || n >= room)
    return false;
  memcpy (word, *at, n);
  word[n] = '\0';
  *at += n;
  return true;
}

/* "16x5" */
static bool
group_word (char *word, int *width, int *blocks)
{
  const int64_t most = 1 << 16;
  int64_t w, b;
  char *x = strchr (word, 'x');
  if (!x)
    return false;
  *x = '\0';
  bool good = text_to_long (word, &w) && text_to_long (x + 1, &b) && w >= 1 &&
              b >= 1 && w <= most && b <= 1024;
  *x = 'x';
  if (good) {
    *width = (int)w;
    *blocks = (int)b;
  }
  return good;
}

enum status
model_spec_groups (const char *groups, struct model_spec *spec)
{
  int width[MODEL_GROUPS] = {0}, blocks[MODEL_GROUPS] = {0}, n = 0;
  const char *at = groups;
  for (;; at++) {
    char word[32];
    if (n == MODEL_GROUPS)
      return fail (E_CONFIG, "groups \"%s\": more than %d groups", groups,
                   MODEL_GROUPS);
    if (!next_word (&at, word, sizeof word) ||
        !group_word (word, &width[n], &blocks[n]))
      return fail (E_CONFIG,
                   "groups \"%s\": group %d is not WIDTHxBLOCKS, as in 16x5",
                   groups, n + 1);
    n++;
    if (*at == '\0')
      break;
  }
  spec->n_groups = n;
  memcpy (spec->width, width, sizeof width);
  memcpy (spec->blocks, blocks, sizeof blocks);
  return OK;
}

/* -- networks -------------------------------------------------------------- */

static enum status
check_tokens (const struct model_spec *s)
{
  if (s->layers < 1 || s->d_model < 1 || s->heads < 1 || s->context < 1 ||
      s->classes < 1)
    return fail (E_CONFIG,
                 "a Transformer of %d layers, d_model %d, %d heads, context "
                 "%d and %d words: all must be at least 1",
                 s->layers, s->d_model, s->heads, s->context, s->classes);
  if (s->d_model % s->heads != 0)
    return fail (E_CONFIG,
                 "model.heads = %d does not divide model.d_model = %d",
                 s->heads, s->d_model);
  if (!(s->mlp_ratio * s->d_model >= 1) || !(s->mlp_ratio <= 1024))
    return fail (E_CONFIG, "model.mlp_ratio = %g is out of range",
                 s->mlp_ratio);
  if (!(s->dropout >= 0 && s->dropout < 1))
    return fail (E_CONFIG, "model.dropout = %g is not from 0 to below 1",
                 s->dropout);
  if (!(s->head_tokens >= 0 && s->head_tokens <= 1))
    return fail (E_CONFIG, "stages.head_tokens = %g is not in 0 .. 1",
                 s->head_tokens);
  return OK;
}

static enum status
check_spec (const struct model_spec *s)
{
  if (s->family == MODEL_TRANSFORMER)
    return check_tokens (s);
  if (s->n_groups < 1 || s->n_groups > MODEL_GROUPS)
    return fail (E_CONFIG, "a network needs 1 to %d groups, not %d",
                 MODEL_GROUPS, s->n_groups);
  for (int g = 0; g < s->n_groups; g++)
    if (s->width[g] < 1 || s->blocks[g] < 1)
      return fail (E_CONFIG,
                   "group %d: width %d and %d blocks: both must be "
                   "at least 1",
                   g + 1, s->width[g], s->blocks[g]);
  if (s->stem_width < 0)
    return fail (E_CONFIG, "stem_width %d is negative", s->stem_width);
  if (s->classes < 1 || s->channels < 1)
    return fail (E_CONFIG,
                 "%d classes and %d image channels: both must be at "
                 "least 1",
                 s->classes, s->channels);
  /* Every stride must have something to halve, or whole groups would convolve
   * one pixel with zeros; the ImageNet stem is meant for larger images. */
  const bool imagenet = s->stem == MODEL_STEM_IMAGENET;
  const int least = (1 << (s->n_groups - 1)) * (imagenet ? 4 : 1) + imagenet;
  const int side = s->height < s->width_px ? s->height : s->width_px;
  if (side < least)
    return fail (
        E_CONFIG,
        "images of %dx%d are too small for the %s stem with %d groups: "
        "at least %d pixels are needed%s",
        s->height, s->width_px, imagenet ? "imagenet" : "cifar", s->n_groups,
        least, imagenet ? " (stem=cifar is made for small images)" : "");
  return OK;
}

static void
fill_units (struct network *net)
{
  const struct model_spec *s = &net->spec;
  int i = 0;
  if (s->family == MODEL_TRANSFORMER) {
    recipe_embedding (&net->unit[0], s);
    for (; i < s->layers; i++)
      recipe_layer (&net->unit[i + 1], s, i, net->unit[i].out);
    recipe_token_output (&net->unit[i + 1], s, net->unit[i].out);
    return;
  }
  recipe_stem (&net->unit[i], s);
  for (int g = 0; g < s->n_groups; g++)
    for (int b = 0; b < s->blocks[g]; b++, i++)
      recipe_block (&net->unit[i + 1], s, g, b, net->unit[i].out);
  recipe_output (&net->unit[i + 1], s, net->unit[i].out);
  CHECK (i + 2 == net->n, "%d units made, %d announced", i + 2, net->n);
}

enum status
network_create (const struct model_spec *spec, struct network **out)
{
  struct network *net = NULL;
  enum status s;
  TRY (check_spec (spec));
  TRY (MEM_NEW (1, &net, "network"));
  net->spec = *spec;
  net->n = 2 + (spec->family == MODEL_TRANSFORMER ? spec->layers : 0);
  for (int g = 0; spec->family == MODEL_RESNET && g < spec->n_groups; g++)
    net->n += spec->blocks[g];
  TRY_GOTO (MEM_NEW ((size_t)net->n, &net->unit, "units"), bad);
  fill_units (net);
  *out = net;
  return OK;
bad:
  network_destroy (&net);
  return s;
}

void
network_destroy (struct network **net)
{
  if (!*net)
    return;
  mem_free (&(*net)->unit);
  mem_free (net);
}

const struct model_spec *
network_spec (const struct network *net)
{
  return &net->spec;
}

int
network_units (const struct network *net)
{
  return net->n;
}

const struct recipe *
network_recipe (const struct network *net, int i)
{
  CHECK (i >= 0 && i < net->n, "unit %d of %d", i, net->n);
  return &net->unit[i];
}

void
network_unit (const struct network *net, int i, struct network_unit *out)
{
  const struct recipe *r = network_recipe (net, i);
  recipe_cost (r, out);
  out->name = r->name;
}

int64_t
network_params (const struct network *net)
{
  int64_t sum = 0;
  for (int i = 0; i < net->n; i++) {
    struct network_unit u;
    network_unit (net, i, &u);
    sum += u.params;
  }
  return sum;
}

enum status
network_head (const struct network *net, int after, const char *grammar,
              struct network_unit *out)
{
  struct recipe r;
  CHECK (after < net->n - 1, "a head behind the output unit");
  TRY (recipe_head (grammar, network_recipe (net, after)->out, &net->spec, &r));
  recipe_cost (&r, out);
  out->name = "head";
  return OK;
}

int64_t
network_positions (const struct network *net, bool inner)
{
  const struct model_spec *s = &net->spec;
  if (s->family != MODEL_TRANSFORMER)
    return 1;
  if (!inner || s->head_tokens <= 0)
    return s->context;
  int64_t taken = llround (s->head_tokens * (double)s->context);
  return taken < 1 ? 1 : taken;
}

bool
network_head_shares (const char *head)
{
  const size_t n = strlen (head), word = strlen ("shared");
  return n >= word && strcmp (head + n - word, "shared") == 0;
}

bool
network_shares (const struct network *net, const char *head)
{
  return net->spec.family == MODEL_TRANSFORMER &&
         (net->spec.tied || (head && network_head_shares (head)));
}

/* -- written cuts ---------------------------------------------------------- */

/* Units of each stage into size[0..n_stages-1]; the place of `rest` into *rest
 * (-1: none). */
static enum status
cut_words (const char *text, int n_stages, int *size, int *rest)
{
  const char *at = text;
  int n = 0;
  *rest = -1;
  for (;; at++) {
    char word[32];
    int64_t units = 0;
    if (!next_word (&at, word, sizeof word))
      return fail (E_CONFIG, "cut \"%s\": stage %d has no number", text, n);
    if (n == n_stages)
      return fail (E_CONFIG,
                   "cut \"%s\" names more than the %d stages asked "
                   "for",
                   text, n_stages);
    if (strcmp (word, "rest") == 0 && *rest < 0)
      *rest = n;
    else if (!text_to_long (word, &units) || units < 1 || units > 1 << 20)
      return fail (E_CONFIG,
                   "cut \"%s\": \"%s\" for stage %d is not a number "
                   "of units (1 or more; \"rest\" once)",
                   text, word, n);
    size[n++] = (int)units;
    if (*at == '\0')
      break;
  }
  if (n != n_stages)
    return fail (E_CONFIG, "cut \"%s\" names %d stages, %d are asked for", text,
                 n, n_stages);
  return OK;
}

enum status
network_cut_parse (const struct network *net, const char *text, int n_stages,
                   int *first)
{
  int rest, sum = 0;
  CHECK (n_stages >= 1, "%d stages", n_stages);
  TRY (cut_words (text, n_stages, first + 1, &rest));
  for (int k = 1; k <= n_stages; k++)
    sum += first[k];
  if (rest >= 0 && sum < net->n) {
    first[rest + 1] = net->n - sum;
    sum = net->n;
  } else if (rest >= 0)
    return fail (E_CONFIG,
                 "cut \"%s\" leaves nothing for stage %d: the "
                 "network has %d units",
                 text, rest, net->n);
  if (sum != net->n)
    return fail (E_CONFIG, "cut \"%s\" adds up to %d units, the network has %d",
                 text, sum, net->n);
  first[0] = 0;
  for (int k = 1; k <= n_stages; k++)
    first[k] += first[k - 1];
  return OK;
}
