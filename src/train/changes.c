/* train/changes.c -- what a configuration changes against that of a checkpoint.
 *
 * A run directory is one experiment.  What would make another one of it (other
 * data, another order of samples, another update rule) is refused; what only
 * bends its course is said, and the receipt does not claim exactness.
 */
#include "train/train_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys that are not named here: all of a network, another run; of a run and its
 * checkpoints, none; others, other bits. */
static const struct {
  const char *section, *key;
  enum run_effect effect;
} effects[] = {
    {"model", "family", RUN_NETWORK},     {"model", "preset", RUN_NETWORK},
    {"model", "block", RUN_NETWORK},      {"model", "groups", RUN_NETWORK},
    {"model", "stem", RUN_NETWORK},       {"model", "stem_width", RUN_NETWORK},
    {"model", "layers", RUN_NETWORK},     {"model", "d_model", RUN_NETWORK},
    {"model", "mlp_ratio", RUN_NETWORK},  {"model", "tied", RUN_NETWORK},
    {"model", "dropout", RUN_OTHER_BITS}, {"stages", "count", RUN_STAGES},
    {"data", "file", RUN_CONTENT},        {"data", "train", RUN_ANOTHER},
    {"data", "valid", RUN_LOOK},          {"data", "test", RUN_LOOK},
    {"data", "order", RUN_ANOTHER},       {"data", "limit", RUN_ANOTHER},
    {"data", "stride", RUN_ANOTHER},      {"train", "batch", RUN_ANOTHER},
    {"train", "seed", RUN_ANOTHER},       {"train", "optimizer", RUN_ANOTHER},
    {"train", "init", RUN_CONTENT},       {"train", "steps", RUN_LENGTH},
    {"train", "epochs", RUN_LENGTH},      {"train", "tune", RUN_FREE},
    {"train", "init.fresh", RUN_ANOTHER}, {"train", "eval_every", RUN_FREE},
    {"train", "agreement", RUN_FREE},
};

enum run_effect
run_key_effect (const char *section, const char *key)
{
  for (size_t i = 0; i < sizeof effects / sizeof *effects; i++)
    if (strcmp (effects[i].section, section) == 0 &&
        strcmp (effects[i].key, key) == 0)
      return effects[i].effect;
  return strcmp (section, "model") == 0 ? RUN_ANOTHER
         : strcmp (section, "run") == 0 || strcmp (section, "checkpoint") == 0
             ? RUN_FREE
             : RUN_OTHER_BITS;
}

bool
changes_next (const char **at, struct change *c)
{
  for (const char *p = *at; *p;) {
    size_t n = strcspn (p, "\n");
    char line[CONFIG_PATH + 2 * CONFIG_WORD];
    snprintf (line, sizeof line, "%.*s", (int)n, p);
    p += n + (p[n] == '\n');
    char *equals = strstr (line, " =");
    if (line[0] == '[')
      snprintf (c->section, sizeof c->section, "%.*s",
                (int)strcspn (line + 1, "]"), line + 1);
    else if (line[0] != ';' && equals) {
      *equals = '\0';
      snprintf (c->key, sizeof c->key, "%s", line);
      snprintf (c->is, sizeof c->is, "%s", equals + 2 + (equals[2] == ' '));
      c->effect = run_key_effect (c->section, c->key);
      *at = p;
      return true;
    }
  }
  return false;
}

/* The next key that has another value in the text it was. */
static bool
next_change (const char **at, const char *was_text, struct change *c)
{
  while (changes_next (at, c))
    if (config_word (was_text, c->section, c->key, c->was, sizeof c->was) &&
        strcmp (c->was, c->is) != 0)
      return true;
  return false;
}

/* The table that the words of a configuration mean; K from the text. */
static enum status
route_of (const char *text, int *K, double **route)
{
  struct config c;
  char count[CONFIG_WORD];
  config_plain (&c);
  if (!config_word (text, "stages", "count", count, sizeof count) ||
      !config_word (text, "strategy", "span", c.span, sizeof c.span) ||
      !config_word (text, "strategy", "mix", c.mix, sizeof c.mix))
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
  char word[CONFIG_WORD];
  return config_word (text, "train", "schedule", word, sizeof word) &&
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
    char word[CONFIG_WORD];
    if (!config_word (text, names[i][0], names[i][1], word, sizeof word))
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
changes_say (struct text *out, const struct change *c)
{
  char name[2 * CONFIG_WORD + 4];
  snprintf (name, sizeof name, "%s.%s =", c->section, c->key);
  changes_add (out, name, c->is, c->was);
}

void
changes_network (const char *was_text, const char *is_text, struct text *out)
{
  struct change c = {.effect = RUN_FREE};
  for (const char *at = is_text; next_change (&at, was_text, &c);)
    if (strcmp (c.section, "model") == 0 && c.effect != RUN_OTHER_BITS)
      changes_say (out, &c);
}

/* Whether another value of a key is no change after all. */
static bool
is_same (const struct change *c, const char *was_text, const char *is_text)
{
  if (c->effect == RUN_LENGTH)
    return !follows_length (is_text);
  return strcmp (c->section, "strategy") == 0 &&
         (strcmp (c->key, "span") == 0 || strcmp (c->key, "mix") == 0) &&
         same_route (was_text, is_text);
}

void
changes_find (const char *was_text, const char *is_text, struct text *refused,
              struct text *bits)
{
  struct change c = {.effect = RUN_FREE};
  for (const char *at = is_text; next_change (&at, was_text, &c);) {
    if (c.effect != RUN_ANOTHER && c.effect != RUN_OTHER_BITS &&
        c.effect != RUN_LENGTH)
      continue;
    if (!is_same (&c, was_text, is_text))
      changes_say (c.effect == RUN_ANOTHER ? refused : bits, &c);
  }
  compare_samples (was_text, is_text, bits);
}

void
changes_experiment (const char *was_text, const char *is_text, bool network,
                    bool cut, struct text *out)
{
  struct change c = {.effect = RUN_FREE};
  for (const char *at = is_text; next_change (&at, was_text, &c);) {
    if (c.effect == RUN_FREE || c.effect == RUN_LENGTH ||
        c.effect == RUN_CONTENT || (c.effect == RUN_NETWORK && !network) ||
        (strcmp (c.section, "stages") == 0 && strcmp (c.key, "cut") == 0 &&
         !cut))
      continue;
    if (!is_same (&c, was_text, is_text))
      changes_say (out, &c);
  }
}
