/* model/head.c -- the grammar of heads: `conv128-bn-conv64s2-gap-fc`, `ln-fc`.
 *
 *   head = word { "-" word }
 *
 * Which words there are is in head_words.c, which of them a family has in its
 * own file.
 */
#include "model/family.h"
#include "model/recipe_impl.h"
#include "base/text.h"
#include <string.h>

#define WORDS 20 /* two steps each fit into a recipe */

/* Copy the piece in front of the next '-' (or the end) and step over it. */
static enum status
next_word (const char *grammar, const char **at, struct head_said *w)
{
  size_t n = strcspn (*at, "-");
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

/* *n words, those of the family and others; others are refused later, when all
 * have been read. */
static enum status
parse_words (const char *grammar, const struct family *f,
             struct head_said *words, int *n)
{
  const char *at = grammar;
  *n = 0;
  for (;;) {
    if (*n == WORDS)
      return fail (E_CONFIG, "head \"%.80s...\": more than %d words", grammar,
                   WORDS);
    struct head_said *w = &words[(*n)++];
    TRY (next_word (grammar, &at, w));
    w->own = find (f->words, w);
    if (!w->own && !find (head_words, w))
      return unknown (grammar, w);
    if (*at == '\0')
      return OK;
    at++;
  }
}

enum status
recipe_head (const char *grammar, struct kern_dims in,
             const struct model_spec *spec, struct recipe *out)
{
  struct head_said words[WORDS];
  int n;
  TRY (parse_words (grammar, family_at (spec->family), words, &n));
  recipe_init (out, "head", in);
  for (int i = 0; i < n; i++) {
    const struct head_said *w = &words[i];
    const char *why = w->own ? w->is->objection (words, n, i) : w->is->foreign;
    if (why)
      return fail (E_CONFIG, "head \"%s\": word %d, \"%s\": %s", grammar, i + 1,
                   w->text, why);
    w->is->add (out, words, n, i, spec);
  }
  return OK;
}
