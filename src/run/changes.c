/* run/changes.c -- what a configuration changes against that of a checkpoint.
 *
 * A run directory is one experiment.  What would make another one of it (other
 * data, another order of samples, another update rule) is refused; what only
 * bends its course is said, and the receipt does not claim exactness.
 */
#include "run/train_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
changes_word (const char *text, const char *section, const char *key, char *out,
              size_t size)
{
  size_t ns = strlen (section), nk = strlen (key);
  bool inside = false;
  for (const char *p = text; *p;) {
    size_t n = strcspn (p, "\n");
    if (*p == '[')
      inside = n == ns + 2 && strncmp (p + 1, section, ns) == 0;
    else if (inside && strncmp (p, key, nk) == 0 &&
             strncmp (p + nk, " =", 2) == 0) {
      const char *value = p + nk + 2;
      value += *value == ' ';
      size_t length = (size_t)(p + n - value);
      if (length >= size)
        length = size - 1;
      memcpy (out, value, length);
      out[length] = '\0';
      return true;
    }
    p += n + (p[n] == '\n');
  }
  return false;
}

enum effect {
  ANOTHER_RUN,
  OTHER_BITS,
  OTHER_COURSE /* of the learning rate */
};

static const struct {
  const char *section, *key;
  enum effect effect;
} watched[] = {
    {"model", "heads", ANOTHER_RUN},     {"model", "context", ANOTHER_RUN},
    {"model", "dropout", OTHER_BITS},    {"stages", "cut", OTHER_BITS},
    {"stages", "head", OTHER_BITS},      {"stages", "head_tokens", OTHER_BITS},
    {"strategy", "span", OTHER_BITS},    {"strategy", "mix", OTHER_BITS},
    {"strategy", "heads", OTHER_BITS},   {"data", "train", ANOTHER_RUN},
    {"data", "order", ANOTHER_RUN},      {"data", "limit", ANOTHER_RUN},
    {"data", "stride", ANOTHER_RUN},     {"data", "augment", OTHER_BITS},
    {"train", "batch", ANOTHER_RUN},     {"train", "seed", ANOTHER_RUN},
    {"train", "optimizer", ANOTHER_RUN}, {"train", "micro", OTHER_BITS},
    {"train", "lr", OTHER_BITS},         {"train", "momentum", OTHER_BITS},
    {"train", "nesterov", OTHER_BITS},   {"train", "weight_decay", OTHER_BITS},
    {"train", "betas", OTHER_BITS},      {"train", "eps", OTHER_BITS},
    {"train", "decay", OTHER_BITS},      {"train", "schedule", OTHER_BITS},
    {"train", "warmup", OTHER_BITS},     {"train", "milestones", OTHER_BITS},
    {"train", "clip", OTHER_BITS},       {"train", "precision", OTHER_BITS},
    {"train", "steps", OTHER_COURSE},    {"train", "epochs", OTHER_COURSE},
};

/* The table that the words of a configuration mean; K from the text. */
static enum status
route_of (const char *text, int *K, double **route)
{
  struct run_config c;
  char count[RUN_WORD];
  run_config_plain (&c);
  if (!changes_word (text, "stages", "count", count, sizeof count) ||
      !changes_word (text, "strategy", "span", c.span, sizeof c.span) ||
      !changes_word (text, "strategy", "mix", c.mix, sizeof c.mix))
    return fail (E_CONFIG, "a configuration without a strategy");
  *K = atoi (count);
  if (*K < 1)
    return fail (E_CONFIG, "stages.count = %s", count);
  TRY (MEM_NEW ((size_t)*K * (size_t)*K, route, "route"));
  return derive_route (&c, *K, *route);
}

/* Other words for the same table are no change. */
static bool
same_route (const char *was_text, const char *is_text)
{
  int K[2] = {0, 0};
  double *route[2] = {NULL, NULL};
  bool same = route_of (was_text, &K[0], &route[0]) == OK &&
              route_of (is_text, &K[1], &route[1]) == OK && K[0] == K[1];
  for (int i = 0; same && i < K[0] * K[0]; i++)
    same = route[0][i] == route[1][i];
  mem_free (&route[0]);
  mem_free (&route[1]);
  fail_clear ();
  return same;
}

/* Whether the learning rate of a step depends on how many there are. */
static bool
follows_length (const char *text)
{
  char word[RUN_WORD];
  return changes_word (text, "train", "schedule", word, sizeof word) &&
         strcmp (word, "constant") != 0 && strcmp (word, "step") != 0;
}

void
changes_add (struct text *out, const char *what, const char *is,
             const char *was)
{
  text_add (out, "%s%s %s, was %s", out->size ? "; " : "", what,
            is[0] ? is : "(none)", was[0] ? was : "(none)");
}

/* Samples of a micro-batch, over which BatchNorm takes its statistics; 0: not
 * told. */
static int
micro_samples (const char *text)
{
  static const char *const names[][2] = {
      {"train", "batch"}, {"train", "micro"}, {"run", "replicas"}};
  int n[3];
  for (int i = 0; i < 3; i++) {
    char word[RUN_WORD];
    if (!changes_word (text, names[i][0], names[i][1], word, sizeof word))
      return 0;
    n[i] = atoi (word);
  }
  return n[1] > 0 && n[2] > 0 ? n[0] / n[1] / n[2] : 0;
}

static void
compare_samples (const char *was_text, const char *is_text, struct text *bits)
{
  char was[32], is[32];
  snprintf (was, sizeof was, "%d", micro_samples (was_text));
  snprintf (is, sizeof is, "%d", micro_samples (is_text));
  if (was[0] != '0' && is[0] != '0' && strcmp (was, is) != 0)
    changes_add (bits, "samples of a micro-batch, for BatchNorm:", is, was);
}

void
changes_network (const char *was_text, const char *is_text, struct text *out)
{
  static const char *const keys[] = {
      "family", "preset",  "block", "groups",  "stem",      "stem_width",
      "layers", "d_model", "heads", "context", "mlp_ratio", "tied"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    char was[RUN_PATH], is[RUN_PATH], name[2 * RUN_WORD];
    if (!changes_word (was_text, "model", keys[i], was, sizeof was) ||
        !changes_word (is_text, "model", keys[i], is, sizeof is) ||
        strcmp (was, is) == 0)
      continue;
    snprintf (name, sizeof name, "model.%s =", keys[i]);
    changes_add (out, name, is, was);
  }
}

void
changes_find (const char *was_text, const char *is_text, struct text *refused,
              struct text *bits)
{
  for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
    char was[RUN_PATH], is[RUN_PATH], name[2 * RUN_WORD];
    const char *section = watched[i].section, *key = watched[i].key;
    if (!changes_word (was_text, section, key, was, sizeof was) ||
        !changes_word (is_text, section, key, is, sizeof is) ||
        strcmp (was, is) == 0)
      continue;
    if ((strcmp (key, "span") == 0 || strcmp (key, "mix") == 0) &&
        same_route (was_text, is_text))
      continue;
    if (watched[i].effect == OTHER_COURSE && !follows_length (is_text))
      continue;
    snprintf (name, sizeof name, "%s.%s =", section, key);
    changes_add (watched[i].effect == ANOTHER_RUN ? refused : bits, name, is,
                 was);
  }
  compare_samples (was_text, is_text, bits);
}
