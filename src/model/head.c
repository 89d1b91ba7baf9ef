/* model/head.c -- the grammar of heads: `conv128-bn-conv64s2-gap-fc`, `ln-fc`.
 *
 *   head  = word { "-" word }, the last word is `fc` or `shared`
 *   convN[sM]  3x3 convolution to N channels, stride M (1), bias, then ReLU,
 *              or BatchNorm and ReLU where `bn` follows
 *   bn         only behind a convolution
 *   gap        global average; everything behind it is linear
 *   fcN        linear with ReLU;  fc  linear to the classes
 *   ln         LayerNorm, for Transformers only
 *   shared     the output's matrix in place of an own one, for Transformers
 *
 * Tensors are named by the index of their word: 0.weight, 1.running_mean.
 */
#include "model/recipe_impl.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

#define WORD 32
#define WORDS 20 /* two steps each fit into a recipe */

enum word_kind { WORD_CONV, WORD_BN, WORD_GAP, WORD_FC, WORD_LN, WORD_SHARED };
struct word {
  enum word_kind kind;
  int64_t width;  /* N of convN and fcN; 0: none given */
  int64_t stride; /* M of convNsM */
  char text[WORD];
};

/* Copy the piece in front of the next '-' (or the end) and step over it. */
static enum status
next_word (const char *grammar, const char **at, struct word *w)
{
  size_t n = strcspn (*at, "-");
  if (n == 0)
    return fail (E_CONFIG, "head \"%s\": an empty word at character %zu",
                 grammar, (size_t)(*at - grammar) + 1);
  if (n >= WORD)
    return fail (E_CONFIG, "head \"%s\": the word \"%.*s\" is too long",
                 grammar, (int)n, *at);
  memcpy (w->text, *at, n);
  w->text[n] = '\0';
  *at += n;
  return OK;
}

static bool
number (const char *digits, int64_t *out)
{
  const int64_t most = 1 << 20;
  if (digits[0] < '1' || digits[0] > '9')
    return false;
  return text_to_long (digits, out) && *out <= most;
}

/* "128" or "64s2" behind "conv". */
static bool
conv_numbers (const char *text, struct word *w)
{
  char width[WORD];
  size_t n = strcspn (text, "s");
  memcpy (width, text, n);
  width[n] = '\0';
  w->stride = 1;
  if (text[n] == 's' && (!number (text + n + 1, &w->stride) || w->stride > 16))
    return false;
  return number (width, &w->width);
}

static enum status
parse_word (const char *grammar, struct word *w)
{
  static const char *const known[] = {"bn", "gap",    "fc",
                                      "ln", "shared", "conv64"};
  w->width = 0;
  if (strncmp (w->text, "conv", 4) == 0 && conv_numbers (w->text + 4, w)) {
    w->kind = WORD_CONV;
    return OK;
  }
  if (strcmp (w->text, "bn") == 0)
    w->kind = WORD_BN;
  else if (strcmp (w->text, "gap") == 0)
    w->kind = WORD_GAP;
  else if (strcmp (w->text, "ln") == 0)
    w->kind = WORD_LN;
  else if (strcmp (w->text, "shared") == 0)
    w->kind = WORD_SHARED;
  else if (strcmp (w->text, "fc") == 0 ||
           (strncmp (w->text, "fc", 2) == 0 && number (w->text + 2, &w->width)))
    w->kind = WORD_FC;
  else {
    const char *near = text_nearest (w->text, known, 6);
    return fail (E_CONFIG,
                 "head \"%s\": unknown word \"%s\"%s%s%s; known are convN, "
                 "convNsM, bn, gap, fcN, fc, ln and shared",
                 grammar, w->text, near ? " (did you mean \"" : "",
                 near ? near : "", near ? "\"?)" : "");
  }
  return OK;
}

static enum status
parse_words (const char *grammar, struct word *words, int *n)
{
  const char *at = grammar;
  *n = 0;
  for (;;) {
    if (*n == WORDS)
      return fail (E_CONFIG, "head \"%.80s...\": more than %d words", grammar,
                   WORDS);
    TRY (next_word (grammar, &at, &words[*n]));
    TRY (parse_word (grammar, &words[*n]));
    ++*n;
    if (*at == '\0')
      return OK;
    at++;
  }
}

/* What may not stand at place i; NULL when all is well. */
static const char *
objection (const struct word *w, int n, int i, bool flat)
{
  bool last = i == n - 1;
  switch (w[i].kind) {
  case WORD_LN:
    return "LayerNorm heads belong to Transformers";
  case WORD_SHARED:
    return "only Transformers share their output's matrix";
  case WORD_CONV:
    return flat   ? "a convolution cannot follow gap"
           : last ? "the last word must be fc"
                  : NULL;
  case WORD_BN:
    return i == 0 || w[i - 1].kind != WORD_CONV ? "bn must follow a convolution"
           : last                               ? "the last word must be fc"
                                                : NULL;
  case WORD_GAP:
    return flat ? "gap stands twice" : last ? "the last word must be fc" : NULL;
  case WORD_FC:
    if (!flat)
      return "a linear layer needs gap in front of it";
    if (last)
      return w[i].width ? "the last word must be fc, without a number" : NULL;
    return w[i].width ? NULL : "fc without a number must be the last word";
  }
  return NULL;
}

static void
add_word (struct recipe *r, const struct word *w, int n, int i, int classes)
{
  char name[RECIPE_NAME];
  snprintf (name, sizeof name, "%d", i);
  switch (w[i].kind) {
  case WORD_CONV:
    recipe_conv (r, name, w[i].width, 3, (int)w[i].stride, true);
    if (i + 1 == n || w[i + 1].kind != WORD_BN)
      recipe_relu (r);
    break;
  case WORD_BN:
    recipe_bn (r, name, true);
    break;
  case WORD_GAP:
    recipe_gap (r);
    break;
  case WORD_FC:
    recipe_linear (r, name, w[i].width ? w[i].width : classes);
    if (w[i].width)
      recipe_relu (r);
    break;
  case WORD_LN:
  case WORD_SHARED:
    break;
  }
}

/* -- heads of Transformers --------------------------------------------------
 */

static const char *
token_objection (const struct word *w, int n, int i)
{
  bool last = i == n - 1, wide = false;
  for (int j = 0; j < i; j++)
    wide = wide || w[j].width > 0;
  switch (w[i].kind) {
  case WORD_CONV:
  case WORD_BN:
  case WORD_GAP:
    return "heads of Transformers are made of ln, fcN, fc and shared, as in "
           "ln-fc";
  case WORD_LN:
    return last ? "the last word must be fc or shared" : NULL;
  case WORD_SHARED:
    return !last  ? "shared must be the last word"
           : wide ? "the shared matrix has the model's width, not that of fcN"
                  : NULL;
  case WORD_FC:
    if (last)
      return w[i].width ? "the last word must be fc, without a number" : NULL;
    return w[i].width ? NULL : "fc without a number must be the last word";
  }
  return NULL;
}

static void
add_token_word (struct recipe *r, const struct word *w, int i,
                const struct model_spec *spec)
{
  const double share = spec->head_tokens > 0 ? spec->head_tokens : 1;
  char name[RECIPE_NAME];
  snprintf (name, sizeof name, "%d", i);
  if (w->kind == WORD_LN)
    recipe_norm (r, name);
  else if (w->width > 0) {
    recipe_dense (r, name, w->width);
    recipe_rectify (r);
  } else
    recipe_project (r,
                    w->kind == WORD_SHARED ? recipe_shared_name (spec) : name,
                    spec->classes, w->kind == WORD_SHARED, share);
}

enum status
recipe_head (const char *grammar, struct kern_dims in,
             const struct model_spec *spec, struct recipe *out)
{
  const bool tokens = spec->family == MODEL_TRANSFORMER;
  struct word words[WORDS];
  int n;
  bool flat = false;
  TRY (parse_words (grammar, words, &n));
  recipe_init (out, "head", in);
  for (int i = 0; i < n; i++) {
    const char *why =
        tokens ? token_objection (words, n, i) : objection (words, n, i, flat);
    if (why)
      return fail (E_CONFIG, "head \"%s\": word %d, \"%s\": %s", grammar, i + 1,
                   words[i].text, why);
    flat = flat || words[i].kind == WORD_GAP;
    if (tokens)
      add_token_word (out, &words[i], i, spec);
    else
      add_word (out, words, n, i, spec->classes);
  }
  return OK;
}
