/* model/head_words.c -- the words that heads are made of.
 *
 *   like-D     D blocks such as those behind the stage; only first
 *   convN[sM]  3x3 convolution to N channels, stride M (1), bias, then ReLU,
 *              or BatchNorm and ReLU where `bn` follows;  conv1xN  the same
 *              with one pixel
 *   bn         behind a convolution or fcN; or first, alone
 *   poolN      means over N x N windows
 *   gap        global average; everything behind it is linear
 *   fcN        linear with ReLU;  fc  linear to the classes
 *   rankN      linear alone, without bias, over rows only
 *   ln         the network's norm; over images LayerNorm without parameters,
 * and first shared     the output's matrix in place of an own one, over rows
 * only
 *
 * A family lists those it has; `fc` and `ln` are one word over images, another
 * over rows.
 */
#include "model/family.h"
#include "model/recipe_impl.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

#define NOT_LAST "the last word must be fc"
#define ROWS_ONLY                                                           \
  "heads of Transformers are made of ln, fcN, rankN, fc and shared, as in " \
  "ln-fc"

static bool
number (const char *digits, int64_t *out)
{
  const int64_t most = 1 << 20;
  if (digits[0] < '1' || digits[0] > '9')
    return false;
  return text_to_long (digits, out) && *out <= most;
}

/* Whether any word in front of the i-th is of the kind. */
static bool
behind (const struct head_said *w, int i, const struct head_word *kind)
{
  for (int j = 0; j < i; j++)
    if (w[j].is == kind)
      return true;
  return false;
}

/* Tensors are named by the index of their word: 0.weight. */
static void
name_of (int i, char name[RECIPE_NAME])
{
  snprintf (name, RECIPE_NAME, "%d", i);
}

/* -- over both ------------------------------------------------------------- */

static bool
like_numbers (const char *text, struct head_said *w)
{
  return number (text, &w->width) && w->width <= RECIPE_BLOCKS;
}

static const char *
like_objection (const struct head_said *w, int n, int i)
{
  (void)w, (void)n;
  return i > 0 ? "blocks of the network must be the first word" : NULL;
}

/* first + i rest / n, to the nearest whole number, of two the even one. */
static int
drawn (int first, int rest, int i, int n)
{
  const int whole = first + i * rest / n, left = i * rest % n;
  return whole + (2 * left > n || (2 * left == n && whole % 2 == 1));
}

/* "layer2.0.conv1" becomes "0.1.conv1": what all names of the recipe begin with
 * is replaced by the word and the place among its blocks. */
static void
rename_block (struct recipe *r, int place)
{
  const char *first = NULL;
  size_t same = 0;
  for (int i = 0; i < recipe_steps (r); i++) {
    const char *name = recipe_step_at (r, i)->name;
    if (!name[0])
      continue;
    size_t n = 0;
    while (first && n < same && name[n] == first[n])
      n++;
    same = first ? n : strlen (name);
    first = first ? first : name;
  }
  while (same > 0 && first[same - 1] != '.')
    same--;
  for (int i = 0; i < recipe_steps (r); i++) {
    struct recipe_step *s =
        i < r->n_path ? &r->path[i] : &r->skip[i - r->n_path];
    char rest[RECIPE_NAME];
    if (!s->name[0])
      continue;
    snprintf (rest, sizeof rest, "%s", s->name + same);
    snprintf (s->name, sizeof s->name, "0.%d.%.40s", place, rest);
  }
}

/* AugLocal: the i-th of n is the unit nearest to i / n of the way to the last
 * block; all where there are no more than n. */
static void
like_blocks (const struct head_said *w, const struct network *net, int after,
             struct recipe_row *row)
{
  const struct family *f = network_family (net);
  const int rest = network_units (net) - 2 - after;
  const int n = w->width < rest ? (int)w->width : rest;
  struct kern_dims in = network_recipe (net, after)->out;
  for (row->n = 0; row->n < n; row->n++) {
    struct recipe *r = &row->part[row->n];
    const struct recipe *unit =
        network_recipe (net, drawn (after, rest, row->n + 1, n));
    if (f->like)
      f->like (network_spec (net), unit, in, r);
    else
      *r = *unit;
    rename_block (r, row->n);
    in = r->out;
  }
}

const struct head_word head_like = {.text = "like-",
                                    .like = "like-3",
                                    .numbers = like_numbers,
                                    .objection = like_objection,
                                    .blocks = like_blocks};

/* -- over images, [B, C, H, W] --------------------------------------------- */

/* "128" or "64s2" behind "conv". */
static bool
conv_numbers (const char *text, struct head_said *w)
{
  char width[HEAD_WORD];
  size_t n = strcspn (text, "s");
  memcpy (width, text, n);
  width[n] = '\0';
  w->stride = 1;
  if (text[n] == 's' && (!number (text + n + 1, &w->stride) || w->stride > 16))
    return false;
  return number (width, &w->width);
}

static const char *
conv_objection (const struct head_said *w, int n, int i)
{
  return behind (w, i, &head_gap)  ? "a convolution cannot follow gap"
         : behind (w, i, &head_fc) ? "a convolution cannot follow fcN"
         : i == n - 1              ? NOT_LAST
                                   : NULL;
}

static bool
convolves (const struct head_said *w)
{
  return w->is == &head_conv || w->is == &head_point;
}

static void
conv_add (struct recipe *r, const struct head_said *w, int n, int i,
          const struct model_spec *spec)
{
  char name[RECIPE_NAME];
  (void)spec;
  name_of (i, name);
  recipe_conv (r, name, w[i].width, w[i].is == &head_point ? 1 : 3,
               (int)w[i].stride, true);
  if (i + 1 == n || w[i + 1].is != &head_bn)
    recipe_relu (r);
}

const struct head_word head_conv = {.text = "conv",
                                    .like = "conv64",
                                    .numbers = conv_numbers,
                                    .foreign = ROWS_ONLY,
                                    .objection = conv_objection,
                                    .add = conv_add};
const struct head_word head_point = {.text = "conv1x",
                                     .like = "conv1x64",
                                     .numbers = conv_numbers,
                                     .foreign = ROWS_ONLY,
                                     .objection = conv_objection,
                                     .add = conv_add};

static const char *
bn_objection (const struct head_said *w, int n, int i)
{
  return i > 0 && !convolves (&w[i - 1]) && w[i - 1].is != &head_like &&
                 w[i - 1].is != &head_fc
             ? "bn must follow a convolution or fcN, or be the first word"
         : i == n - 1 ? NOT_LAST
                      : NULL;
}

static void
bn_add (struct recipe *r, const struct head_said *w, int n, int i,
        const struct model_spec *spec)
{
  char name[RECIPE_NAME];
  (void)w, (void)n, (void)spec;
  name_of (i, name);
  recipe_bn (r, name, i > 0); /* at the entry it is the norm alone */
}

const struct head_word head_bn = {.text = "bn",
                                  .like = "bn",
                                  .foreign = ROWS_ONLY,
                                  .objection = bn_objection,
                                  .add = bn_add};

static bool
pool_numbers (const char *text, struct head_said *w)
{
  return number (text, &w->width);
}

static const char *
pool_objection (const struct head_said *w, int n, int i)
{
  return w[i].width > 64            ? "N of poolN is at most 64"
         : behind (w, i, &head_gap) ? "there is nothing to pool behind gap"
         : behind (w, i, &head_fc)  ? "there is nothing to pool behind fcN"
         : i == n - 1               ? NOT_LAST
                                    : NULL;
}

static void
pool_add (struct recipe *r, const struct head_said *w, int n, int i,
          const struct model_spec *spec)
{
  (void)n, (void)spec;
  recipe_mean (r, w[i].width);
}

const struct head_word head_pool = {.text = "pool",
                                    .like = "pool2",
                                    .numbers = pool_numbers,
                                    .foreign = ROWS_ONLY,
                                    .objection = pool_objection,
                                    .add = pool_add};

static const char *
gap_objection (const struct head_said *w, int n, int i)
{
  return behind (w, i, &head_gap)  ? "gap stands twice"
         : behind (w, i, &head_fc) ? "gap cannot follow fcN"
         : i == n - 1              ? NOT_LAST
                                   : NULL;
}

static void
gap_add (struct recipe *r, const struct head_said *w, int n, int i,
         const struct model_spec *spec)
{
  (void)w, (void)n, (void)i, (void)spec;
  recipe_gap (r);
}

const struct head_word head_gap = {.text = "gap",
                                   .like = "gap",
                                   .foreign = ROWS_ONLY,
                                   .objection = gap_objection,
                                   .add = gap_add};

static const char *
entry_objection (const struct head_said *w, int n, int i)
{
  (void)w;
  return i > 0    ? "over images ln must be the first word"
         : n == 1 ? NOT_LAST
                  : NULL;
}

/* Each image over its channels and pixels, as at a border. */
static void
entry_add (struct recipe *r, const struct head_said *w, int n, int i,
           const struct model_spec *spec)
{
  (void)w, (void)n, (void)i, (void)spec;
  recipe_normal (r, MODEL_BORDER_LN, false);
}

const struct head_word head_entry = {
    .text = "ln", .like = "ln", .objection = entry_objection, .add = entry_add};

/* -- linear, over both ----------------------------------------------------- */

static bool
fc_numbers (const char *text, struct head_said *w)
{
  return *text == '\0' || number (text, &w->width);
}

/* With a number it goes on, without one it is the end. */
static const char *
fc_place (const struct head_said *w, int n, int i)
{
  if (i == n - 1)
    return w[i].width ? "the last word must be fc, without a number" : NULL;
  return w[i].width ? NULL : "fc without a number must be the last word";
}

static const char *
fc_objection (const struct head_said *w, int n, int i)
{
  return behind (w, i, &head_gap) || behind (w, i, &head_pool)
             ? fc_place (w, n, i)
             : "a linear layer needs gap or poolN in front of it";
}

static void
fc_add (struct recipe *r, const struct head_said *w, int n, int i,
        const struct model_spec *spec)
{
  char name[RECIPE_NAME];
  name_of (i, name);
  recipe_linear (r, name, w[i].width ? w[i].width : spec->classes);
  if (i + 1 < n && w[i + 1].is != &head_bn)
    recipe_relu (r);
}

const struct head_word head_fc = {.text = "fc",
                                  .like = "fc",
                                  .numbers = fc_numbers,
                                  .objection = fc_objection,
                                  .add = fc_add};

/* -- over rows, [B, T, D] -------------------------------------------------- */

static void
project (struct recipe *r, const char *name, const struct model_spec *spec,
         bool shared)
{
  recipe_project (r, name, spec->classes, shared,
                  spec->head_tokens > 0 ? spec->head_tokens : 1);
}

static void
dense_add (struct recipe *r, const struct head_said *w, int n, int i,
           const struct model_spec *spec)
{
  char name[RECIPE_NAME];
  (void)n;
  name_of (i, name);
  if (w[i].width == 0) {
    project (r, name, spec, false);
    return;
  }
  recipe_dense (r, name, w[i].width);
  recipe_rectify (r);
}

const struct head_word head_dense = {.text = "fc",
                                     .like = "fc",
                                     .numbers = fc_numbers,
                                     .objection = fc_place,
                                     .add = dense_add};

static bool
rank_numbers (const char *text, struct head_said *w)
{
  return number (text, &w->width);
}

static const char *
rank_objection (const struct head_said *w, int n, int i)
{
  (void)w;
  return i == n - 1 ? "the last word must be fc" : NULL;
}

static void
rank_add (struct recipe *r, const struct head_said *w, int n, int i,
          const struct model_spec *spec)
{
  char name[RECIPE_NAME];
  (void)n, (void)spec;
  name_of (i, name);
  recipe_dense (r, name, w[i].width)->bias = false;
}

const struct head_word head_rank = {.text = "rank",
                                    .like = "rank64",
                                    .numbers = rank_numbers,
                                    .foreign = "rankN belongs to Transformers",
                                    .objection = rank_objection,
                                    .add = rank_add};

static const char *
ln_objection (const struct head_said *w, int n, int i)
{
  (void)w;
  return i == n - 1 ? "the last word must be fc or shared" : NULL;
}

static void
ln_add (struct recipe *r, const struct head_said *w, int n, int i,
        const struct model_spec *spec)
{
  char name[RECIPE_NAME];
  (void)w, (void)n;
  name_of (i, name);
  recipe_norm (r, spec, name);
}

const struct head_word head_ln = {
    .text = "ln", .like = "ln", .objection = ln_objection, .add = ln_add};

static const char *
shared_objection (const struct head_said *w, int n, int i)
{
  bool wide = false;
  for (int j = 0; j < i; j++)
    wide = wide || (w[j].width > 0 && !w[j].is->blocks);
  return i < n - 1 ? "shared must be the last word"
         : wide    ? "the shared matrix has the model's width, not that of fcN "
                     "or rankN"
                   : NULL;
}

static void
shared_add (struct recipe *r, const struct head_said *w, int n, int i,
            const struct model_spec *spec)
{
  (void)w, (void)n, (void)i;
  project (r, recipe_shared_name (spec), spec, true);
}

const struct head_word head_shared = {
    .text = "shared",
    .like = "shared",
    .foreign = "only Transformers share their output's matrix",
    .objection = shared_objection,
    .add = shared_add};

/* -- the table ------------------------------------------------------------- */

const char head_words_text[] =
    "like-D, convN, convNsM, conv1xN, bn, poolN, gap, fcN, rankN, fc, ln and "
    "shared";
const struct head_word *const head_words[] = {
    &head_like, &head_bn,     &head_gap,   &head_pool, &head_fc, &head_rank,
    &head_ln,   &head_shared, &head_point, &head_conv, NULL};
