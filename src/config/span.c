/* config/span.c -- how far each stage sees, in words and numbers. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

static enum status
one_span (const char *word, int K, int *span)
{
  int64_t n;

  if (strcmp (word, "frozen") == 0) {
    *span = 0;
    return OK;
  }
  if (strcmp (word, "all") == 0 || strcmp (word, "e2e") == 0)
    n = K;
  else if (strcmp (word, "local") == 0)
    n = 1;
  else if (strcmp (word, "pairwise") == 0)
    n = 2;
  else if (!text_to_long (word, &n))
    return fail (E_CONFIG,
                 "strategy.span: \"%s\" is neither a number nor one of local, "
                 "pairwise, e2e, all, frozen",
                 word);
  if (n < 1 || n > K)
    return fail (E_CONFIG,
                 "strategy.span = %s does not fit %d stages: 1 to %d, or all",
                 word, K, K);
  *span = (int)n;
  return OK;
}

/* Of words with commas between. */
static bool
all_frozen (const char *words)
{
  static const char frozen[] = "frozen";
  for (const char *at = words;; at++) {
    if (strncmp (at, frozen, sizeof frozen - 1) != 0)
      return false;
    at += sizeof frozen - 1;
    if (*at != ',')
      return *at == '\0';
  }
}

enum status
config_span_parse (const char *words, int K, int k, int *span)
{
  char word[CONFIG_WORD];
  const char *at = words;
  int n = 1;
  for (const char *s = words; *s; s++)
    n += *s == ',';
  if (n != 1 && n != K)
    return fail (E_CONFIG,
                 "%s = %s has %d words where there are %d stages: one, or one "
                 "for each stage",
                 KEY_NAME (span), words, n, K);
  if (all_frozen (words))
    return fail (E_CONFIG,
                 "%s = %s: nothing would learn; frozen is for some of the "
                 "stages, as in frozen,2,all of three",
                 KEY_NAME (span), words);
  for (int i = 0; i < k && n > 1; i++)
    at += strcspn (at, ",") + 1;
  snprintf (word, sizeof word, "%.*s", (int)strcspn (at, ","), at);
  return one_span (word, K, span);
}

/* How far stage k sees: what lies behind the output is no reach. */
static int
clipped (int K, int k, int span)
{
  return span < K - k ? span : K - k;
}

enum status
config_span_show (const char *words, int K, struct text *out)
{
  bool uniform = true;
  int first = K, span;
  for (int k = 0; k < K; k++) {
    TRY (config_span_parse (words, K, k, &span));
    first = k == 0 ? span : first;
    uniform = uniform && clipped (K, k, span) == clipped (K, k, first);
  }
  for (int k = 0; k < (uniform ? 1 : K); k++) {
    TRY (config_span_parse (words, K, k, &span));
    if (span == 0)
      text_add (out, "%sfrozen", k ? "," : "");
    else
      text_add (out, "%s%d", k ? "," : "", clipped (K, k, span));
  }
  return OK;
}
