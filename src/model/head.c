/* model/head.c -- the grammar of heads: `conv128-bn-conv64s2-gap-fc`, `ln-fc`.
 *
 *   head = word { "-" word } [ "+rec" [ weight ] ]
 *
 * Which words there are is in head_words.c, which of them a family has in its
 * own file.
 */
#include "model/family.h"
#include "model/recipe_impl.h"
#include "base/text.h"
#include <string.h>

#define WORDS 20 /* two steps each fit into a recipe */

/* Up to the next '-' or '+' (or the end) that is no part of a word. */
static size_t
word_length (const char *at)
{
  size_t in_word = 0;
  for (int i = 0; head_words[i]; i++) {
    const char *text = head_words[i]->text;
    const size_t n = strlen (text);
    if (text[n - 1] == '-' && strncmp (at, text, n) == 0)
      in_word = n;
  }
  return in_word + strcspn (at + in_word, "-+");
}

/* Copy the next word and step over it. */
static enum status
next_word (const char *grammar, const char **at, struct head_said *w)
{
  size_t n = word_length (*at);
  if (n == 0)
    return fail (E_CONFIG, "head \"%s\": an empty word at character %zu",
                 grammar, (size_t)(*at - grammar) + 1);
  if (n >= HEAD_WORD)
    return fail (E_CONFIG, "head \"%s\": the word \"%.*s\" is too long",
                 grammar, (int)n, *at);
  memcpy (w->text, *at, n);
  w->text[n] = '\0';
  *at += n;
  return OK;
}

/* Whether w is one of these words; then it is, with its numbers. */
static bool
find (const struct head_word *const *words, struct head_said *w)
{
  for (; *words; words++) {
    const size_t n = strlen ((*words)->text);
    w->width = 0;
    if (strncmp (w->text, (*words)->text, n) != 0 ||
        ((*words)->numbers ? !(*words)->numbers (w->text + n, w)
                           : w->text[n] != '\0'))
      continue;
    w->is = *words;
    return true;
  }
  return false;
}

static enum status
unknown (const char *grammar, const struct head_said *w)
{
  const char *like[WORDS];
  size_t n = 0;
  for (; head_words[n]; n++)
    like[n] = head_words[n]->like;
  const char *near = text_nearest (w->text, like, n);
  return fail (E_CONFIG, "head \"%s\": unknown word \"%s\"%s%s%s; known are %s",
               grammar, w->text, near ? " (did you mean \"" : "",
               near ? near : "", near ? "\"?)" : "", head_words_text);
}

/* Words behind the *n that are there, those of the family and others; others
 * are refused later, when all have been read. */
static enum status
parse_words (const char *grammar, const struct family *f,
             struct head_said *words, int *n)
{
  const char *at = grammar;
  for (;;) {
    if (*n == WORDS)
      return fail (E_CONFIG, "head \"%.80s...\": more than %d words", grammar,
                   WORDS);
    struct head_said *w = &words[(*n)++];
    TRY (next_word (grammar, &at, w));
    w->own = find (f->words, w);
    if (!w->own && !find (head_words, w))
      return unknown (grammar, w);
    if (*at == '\0' || *at == '+')
      return OK;
    at++;
  }
}

/* Attention looks at whole windows. */
static enum status
refuse_share (const char *grammar, const struct network *net,
              const struct recipe_row *row)
{
  const struct model_spec *spec = network_spec (net);
  struct network_unit u = {0};
  recipe_row_cost (row, &u);
  if (u.mixes && network_positions (net, true) < spec->context)
    return fail (E_CONFIG,
                 "head \"%s\": its blocks look at all positions: "
                 "stages.head_tokens must be 1",
                 grammar);
  return OK;
}

/* The decoder, where the grammar asks for one, beside what is in the row. */
static enum status
add_decoder (const char *grammar, const struct network *net, int after,
             struct recipe_row *out)
{
  const char *said = strchr (grammar, '+');
  out->n_beside = 0;
  if (!said)
    return OK;
  out->rebuilt = network_head_rebuilds (grammar);
  if (!(out->rebuilt > 0))
    return fail (E_CONFIG,
                 "head \"%s\": unknown suffix \"%s\"; known is +recW, W a "
                 "number above 0, at most 1000 (+rec: 1)",
                 grammar, said);
  if (network_family (net)->rows)
    return fail (E_CONFIG,
                 "head \"%s\": %s makes images again: only ResNets have it",
                 grammar, said);
  out->n_beside = 1;
  recipe_decoder (&out->part[out->n], network_spec (net),
                  network_recipe (net, after)->out);
  return OK;
}

/* Blocks into the row, or a step into the recipe behind them. */
static void
add_word (const struct head_said *words, int n, int i,
          const struct network *net, int after, struct recipe_row *row)
{
  const struct head_word *is = words[i].is;
  struct recipe *r = &row->part[row->n - 1];
  if (!is->blocks) {
    is->add (r, words, n, i, network_spec (net));
    return;
  }
  is->blocks (&words[i], net, after, row);
  r = &row->part[row->n++];
  recipe_init (r, "head",
               row->n > 1 ? r[-1].out : network_recipe (net, after)->out);
}

enum status
recipe_head (const char *grammar, const struct network *net, int after,
             struct recipe_row *out)
{
  const struct family *f = network_family (net);
  struct head_said words[WORDS];
  int n = 0;
  TRY (parse_words (grammar, f, words, &n));
  if (words[n - 1].is->blocks)
    TRY (parse_words (f->ending (network_spec (net)), f, words, &n));
  out->n = 1;
  recipe_init (&out->part[0], "head", network_recipe (net, after)->out);
  for (int i = 0; i < n; i++) {
    const struct head_said *w = &words[i];
    const char *why = w->own ? w->is->objection (words, n, i) : w->is->foreign;
    if (why)
      return fail (E_CONFIG, "head \"%s\": word %d, \"%s\": %s", grammar, i + 1,
                   w->text, why);
    add_word (words, n, i, net, after, out);
  }
  TRY (add_decoder (grammar, net, after, out));
  return refuse_share (grammar, net, out);
}
