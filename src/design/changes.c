/* design/changes.c -- what a configuration changes against that of a
 * checkpoint.
 *
 * A run directory is one experiment.  What would make another one of it (other
 * data, another order of samples, another update rule) is refused.  What
 * changes its course from here on is allowed and said, and the receipt does not
 * claim to be exact.
 */
#include "design/design_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A key with another value than it had. */
struct change {
  const struct key *key;
  const char *was; /* borrowed */
  struct text is;
};

/* One of those that together are the table. */
static bool
is_strategy (const struct key *k)
{
  return k->in_route || k == KEY_OF (route) || k == KEY_OF (dial);
}

/* What a version did that chose cuts by time, and no heads. */
static const char *
word_of_measured (const struct ini *was, const struct key *k, const char *word)
{
  const char *family = ini_get (was, KEY_NAME (family));
  const bool tokens = family && strcmp (family, "transformer") == 0;
  if (was->n == 0 || ini_get (was, KEY_NAME (head_cost)))
    return word;
  if (k == KEY_OF (cut) && (!word || strcmp (word, "auto") == 0))
    return "measured";
  if (k == KEY_OF (head) && !word)
    return tokens ? "ln-fc" : "conv128-bn-conv64-bn-gap-fc";
  return word;
}

/* The value that the text has of a key.  A version that did not know a key did
 * what is now its default; NULL: that cannot be told. */
static const char *
word_before (const struct ini *was, const struct key *k)
{
  const char *word = word_of_measured (was, k, ini_get (was, k->full));
  const char *route = ini_get (was, KEY_NAME (route));
  const char *dial = ini_get (was, KEY_NAME (dial));
  if (word || was->n == 0 || (k->in_route && route && route[0]) ||
      (k->in_dial && dial && dial[0]))
    return word;
  if (k->before)
    return k->before;
  return k->value || !is_strategy (k) ? k->value : "";
}

/* The next one from key *i on; false at the end.  What it was, where that is
 * told. */
static bool
next_change (size_t *i, const struct ini *was, const struct config *c,
             struct change *out)
{
  text_clear (&out->is);
  while (*i < key_count) {
    out->key = &key_table[(*i)++];
    out->was = word_before (was, out->key);
    if (!out->was || !key_applies (out->key, c))
      continue;
    key_get (out->key, c, &out->is);
    if (strcmp (out->is.data, out->was) != 0)
      return true;
    text_clear (&out->is);
  }
  return false;
}

bool
changes_key (const struct ini *was, const struct config *c, const struct key *k)
{
  struct text is;
  const char *word = ini_get (was, k->full);
  text_init (&is);
  key_get (k, c, &is);
  bool differs = word && strcmp (is.data, word) != 0;
  text_clear (&is);
  return differs;
}

/* Other words for the same tables are no change. */
static bool
same_route (const struct ini *was, const struct config *c)
{
  struct config before = *c;
  const char *count = ini_get (was, KEY_NAME (count));
  bool same = count && key_set (KEY_OF (count), count, &before);
  for (size_t i = 0; i < key_count; i++) {
    const struct key *k = &key_table[i];
    const char *word = is_strategy (k) ? word_before (was, k) : NULL;
    same = same && (!word || key_set (k, word, &before));
  }
  return same && before.count == c->count && c->count >= 1 &&
         dial_same (&before, c);
}

/* Whether the learning rate of a step, or its strategy, depends on how many
 * there are. */
static bool
follows_length (const struct config *c)
{
  return dial_follows_length (c) ||
         (c->schedule != CONFIG_CONSTANT && c->schedule != CONFIG_STEP);
}

void
changes_add (struct text *out, const char *what, const char *is,
             const char *was)
{
  text_add (out, "%s%s %s, was %s", out->size ? "; " : "", what,
            is[0] ? is : "(none)", was[0] ? was : "(none)");
}

void
changes_say (struct text *out, const struct key *k, const char *is,
             const char *was)
{
  enum { MOST = 80 }; /* of a table */
  char what[2 * CONFIG_WORD], a[MOST], b[MOST];
  snprintf (what, sizeof what, "%s =", k->full);
  if (k == KEY_OF (route) || k == KEY_OF (dial)) {
    snprintf (a, sizeof a, "%.70s%s", is, strlen (is) > 70 ? " ..." : "");
    snprintf (b, sizeof b, "%.70s%s", was, strlen (was) > 70 ? " ..." : "");
    is = a, was = b;
  }
  changes_add (out, what, is, was);
}

/* A number that the text tells; 0: it does not. */
static int64_t
number (const struct ini *was, const struct key *k)
{
  const char *word = ini_get (was, k->full);
  return word ? strtoll (word, NULL, 10) : 0;
}

/* Samples of a micro-batch, over which BatchNorm takes its statistics. */
static void
compare_samples (const struct ini *was, const struct config *c,
                 struct text *bits)
{
  int64_t batch = number (was, KEY_OF (batch)),
          micro = number (was, KEY_OF (micro)),
          replicas = number (was, KEY_OF (replicas));
  if (micro < 1 || replicas < 1)
    return;
  long long before = (long long)(batch / micro / replicas);
  long long now = (long long)(c->batch / c->micro / c->replicas);
  char a[32], b[32];
  snprintf (a, sizeof a, "%lld", before);
  snprintf (b, sizeof b, "%lld", now);
  if (before > 0 && now > 0 && before != now)
    changes_add (bits, "samples of a micro-batch, for BatchNorm:", b, a);
}

void
changes_network (const struct ini *was, const struct config *c,
                 struct text *out)
{
  struct change x = {.was = ""};
  text_init (&x.is);
  for (size_t i = 0; next_change (&i, was, c, &x);)
    if (strcmp (x.key->section, "model") == 0 &&
        x.key->resume != KEY_RESUME_OTHER_BITS &&
        x.key->resume != KEY_RESUME_BEGUN)
      changes_say (out, x.key, x.is.data, x.was);
}

/* Whether another value of a key is no change after all. */
static bool
is_same (const struct key *k, const struct ini *was, const struct config *c)
{
  if (k->resume == KEY_RESUME_LENGTH)
    return !follows_length (c);
  if (k == KEY_OF (head_cost)) /* of heads that are chosen */
    return !config_head_is_auto (c->head);
  return is_strategy (k) && same_route (was, c);
}

void
changes_find (const struct ini *was, const struct config *c,
              struct text *refused, struct text *bits)
{
  struct change x = {.was = ""};
  text_init (&x.is);
  for (size_t i = 0; next_change (&i, was, c, &x);) {
    enum key_resume means = x.key->resume;
    bool another = means == KEY_RESUME_OTHER_RUN;
    if ((another || means == KEY_RESUME_OTHER_BITS ||
         means == KEY_RESUME_LENGTH) &&
        !is_same (x.key, was, c))
      changes_say (another ? refused : bits, x.key, x.is.data, x.was);
  }
  compare_samples (was, c, bits);
}

/* -- the network and its cut -------------------------------------------------
 */

/* A preset and the groups that it stands for are one network; what cannot be
 * understood is another. */
static bool
same_network (const struct config *c, const struct ini *was)
{
  struct config before = *c;
  struct model_spec a, b;
  bool same = true;
  for (size_t i = 0; i < key_count; i++) {
    const struct key *k = &key_table[i];
    const char *word = word_before (was, k);
    if (k->resume == KEY_RESUME_NETWORK && word)
      same = same && key_set (k, word, &before);
  }
  same = same && derive_spec (c, NULL, &a) == OK &&
         derive_spec (&before, NULL, &b) == OK && a.family == b.family &&
         family_at (a.family)->same (&a, &b);
  fail_clear ();
  return same;
}

/* A cut that is chosen is the one that was chosen; "rest" is what it comes to.
 */
static bool
same_cut (const struct config *c, const struct ini *was)
{
  const char *before = ini_get (was, KEY_NAME (cut));
  struct model_spec spec;
  struct network *net = NULL;
  int *first = NULL, K = (int)c->count;
  if (config_cut_is_chosen (c) || !before)
    return true;
  bool same = derive_spec (c, NULL, &spec) == OK;
  same = same && network_create (&spec, &net) == OK &&
         MEM_NEW (2 * ((size_t)K + 1), &first, "cuts") == OK &&
         network_cut_parse (net, c->cut, K, first) == OK &&
         network_cut_parse (net, before, K, first + K + 1) == OK &&
         memcmp (first, first + K + 1, ((size_t)K + 1) * sizeof *first) == 0;
  fail_clear ();
  mem_free (&first);
  network_destroy (&net);
  return same;
}

/* Of heads that are chosen: whether they make images again as those did. */
static bool
same_suffix (const struct config *c, const char *before)
{
  return network_head_rebuilds (c->head) == network_head_rebuilds (before);
}

/* The same of heads. */
static bool
same_heads (const struct config *c, const struct ini *was)
{
  const char *before = word_before (was, KEY_OF (head));
  if (!before)
    return true;
  if (config_head_is_auto (c->head))
    return same_suffix (c, before);
  return config_head_same (c->head, before, (int)c->count);
}

/* Whether a cut or heads that the program chooses are those that were chosen
 * before. */
static bool
as_before (const struct key *k, const struct ini *was, const struct config *c)
{
  const char *word = word_before (was, k);
  struct text is;
  text_init (&is);
  key_get (k, c, &is);
  const bool same = word && strcmp (word, is.data) == 0;
  text_clear (&is);
  return same;
}

/* A cut and heads that the program chooses are those of the run, as long as
 * stages, cut and head_cost are what they were: another table of weights or of
 * heads does not change a run that has begun. */
static void
keep_stages (const struct ini *was, struct config *c)
{
  const char *cut = word_before (was, KEY_OF (cut));
  const char *head = word_before (was, KEY_OF (head));
  struct config before = *c;
  if (!as_before (KEY_OF (count), was, c) || !cut || !head)
    return;
  if (config_cut_is_chosen (c) && key_set (KEY_OF (cut), cut, &before))
    memcpy (c->cut, before.cut, sizeof c->cut);
  const bool same = as_before (KEY_OF (cut), was, c) || same_cut (c, was);
  if (config_head_is_auto (c->head) && as_before (KEY_OF (head_cost), was, c) &&
      (same || !config_head_is_list (head)) && same_suffix (c, head) &&
      key_set (KEY_OF (head), head, &before))
    memcpy (c->head, before.head, sizeof c->head);
}

void
changes_keep (const struct ini *was, struct config *c)
{
  struct change x = {.was = ""};
  text_init (&x.is);
  for (size_t i = 0; next_change (&i, was, c, &x);)
    if (x.key->resume == KEY_RESUME_BEGUN && key_set (x.key, x.was, c))
      say (LOG_INFO, "%s = %s, with which this run began; %s is without effect",
           x.key->full, x.was, x.is.data);
  keep_stages (was, c);
}

/* The length aside, what a run keeps, and what lies in files; words for the
 * network and the cut only where these are known to differ. */
void
design_compare (const struct config *c, const struct ini *was,
                struct text *other)
{
  bool network = !same_network (c, was), cuts = !same_cut (c, was),
       heads = !same_heads (c, was);
  struct change x = {.was = ""};
  text_init (&x.is);
  for (size_t i = 0; next_change (&i, was, c, &x);) {
    enum key_resume means = x.key->resume;
    if (means == KEY_RESUME_SAME_RUN || means == KEY_RESUME_BEGUN ||
        means == KEY_RESUME_LENGTH || means == KEY_RESUME_CONTENT ||
        (means == KEY_RESUME_NETWORK && !network) ||
        (x.key == KEY_OF (cut) && !cuts) ||
        (x.key == KEY_OF (head) && !heads) || is_same (x.key, was, c))
      continue;
    changes_say (other, x.key, x.is.data, x.was);
  }
}
