/* probe/vocabulary.c -- makes few classes of many next tokens, and tells how
 * many bits that leaves open.
 *
 * A classifier of 50,000 classes would be too large.  So rare tokens share one
 * class.  With p(class) from the probe and q(token | class) from frequencies,
 * p q is a distribution over the whole vocabulary, and its bits per token may
 * be compared with those of a language model.
 */
#include "probe/probe_impl.h"

#include <math.h>
#include <stdlib.h>

struct word {
  int32_t id;
  int count;
};

static int
by_count (const void *a, const void *b)
{
  const struct word *x = a, *y = b;
  if (x->count != y->count)
    return x->count < y->count ? 1 : -1;
  return (x->id > y->id) - (x->id < y->id);
}

static enum status
count_words (const int32_t *label, int n_fit, int vocabulary, struct word **out)
{
  struct word *w = NULL;
  TRY (MEM_NEW ((size_t)vocabulary, &w, "counts of tokens"));
  for (int i = 0; i < vocabulary; i++)
    w[i].id = i;
  for (int i = 0; i < n_fit; i++)
    w[label[i]].count++;
  *out = w;
  return OK;
}

enum status
vocabulary_cut (int32_t *label, int n, int n_fit, int vocabulary, int most,
                int *classes, double *within)
{
  struct word *word = NULL;
  int32_t *of = NULL;
  int *count = NULL, kept = 0, others = n_fit;
  for (int i = 0; i < n; i++)
    within[i] = 0;
  *classes = vocabulary;
  if (vocabulary <= most)
    return OK;
  TRY (count_words (label, n_fit, vocabulary, &word));
  enum status e = MEM_NEW ((size_t)vocabulary, &of, "classes of tokens");
  if (e == OK)
    e = MEM_NEW ((size_t)vocabulary, &count, "counts of tokens");
  if (e == OK) {
    qsort (word, (size_t)vocabulary, sizeof *word, by_count);
    /* A token that no fitting sample has could not be learnt as a class. */
    while (kept < most - 1 && word[kept].count > 0)
      others -= word[kept++].count;
    for (int i = 0; i < vocabulary; i++) {
      of[word[i].id] = i < kept ? i : kept;
      count[word[i].id] = word[i].count;
    }
    for (int i = 0; i < n; i++) {
      int token = label[i];
      label[i] = of[token];
      if (label[i] == kept)
        within[i] = log2 ((double)others + (vocabulary - kept)) -
                    log2 (count[token] + 1.0);
    }
    *classes = kept + 1;
  }
  mem_free (&count);
  mem_free (&of);
  mem_free (&word);
  return e;
}
