/* sweep/rule.c -- combinations that are left out: `exclude = A > B and C = D`.
 *
 * A side is a section.key, which stands for its value in the resolved
 * configuration (defaults included), or, on the right, a value.  Two numbers
 * compare as numbers, everything else as text.
 */
#include "sweep/sweep_impl.h"

#include "base/memory.h"
#include <string.h>

static const struct {
  const char *sign;
  enum sweep_compare compare;
} signs[] = {
    {"!=", SWEEP_UNEQUAL}, {"<=", SWEEP_AT_MOST}, {">=", SWEEP_AT_LEAST},
    {"==", SWEEP_EQUAL},   {"=", SWEEP_EQUAL},    {"<", SWEEP_LESS},
    {">", SWEEP_GREATER},
};

static void
skip_blanks (const char **at)
{
  *at += strspn (*at, " \t");
}

/* The word at *at, up to a blank or a sign; owned by the caller. */
static char *
take_word (const char **at)
{
  struct text t;
  char *word = NULL;
  size_t n = strcspn (*at, " \t=<>!");
  text_init (&t);
  text_add (&t, "%.*s", (int)n, *at);
  enum status e = mem_text (t.data, &word);
  if (e != OK)
    status_end (e);
  text_clear (&t);
  *at += n;
  skip_blanks (at);
  return word;
}

static bool
take_sign (const char **at, enum sweep_compare *out)
{
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
    size_t n = strlen (signs[i].sign);
    if (strncmp (*at, signs[i].sign, n) == 0) {
      *out = signs[i].compare;
      *at += n;
      skip_blanks (at);
      return true;
    }
  }
  return false;
}

/* A text with a dot that is no number is meant as a key. */
static bool
looks_like_key (const char *word)
{
  double v;
  return strchr (word, '.') && !strchr (word, '/') &&
         !text_to_double (word, &v);
}

static bool
known (struct sweep *s, int line, const char *name)
{
  struct text near;
  if (key_named (name))
    return true;
  text_init (&near);
  key_suggest_for (name, &near);
  sweep_complain (s, line, "exclude: %.80s is not a key%s", name, near.data);
  text_clear (&near);
  return false;
}

static bool
take_condition (struct sweep *s, int line, const char **at,
                struct sweep_condition *c)
{
  *c = (struct sweep_condition){.left = take_word (at)};
  bool good = take_sign (at, &c->compare);
  c->right = take_word (at);
  if (!good || !c->left[0] || !c->right[0]) {
    sweep_complain (s, line,
                    "exclude: wanted section.key, one of = != < <= > >=, and a "
                    "value or another key; several are joined by `and`");
    return false;
  }
  c->right_is_key = looks_like_key (c->right);
  good = known (s, line, c->left);
  return (!c->right_is_key || known (s, line, c->right)) && good;
}

void
sweep_rule_read (struct sweep *s, int line, const char *text)
{
  struct sweep_rule r = {.n = 0};
  const char *at = text;
  skip_blanks (&at);
  bool good = true;
  while (good) {
    if (r.n == SWEEP_CONDITIONS) {
      sweep_complain (s, line, "exclude: more than %d conditions",
                      SWEEP_CONDITIONS);
      good = false;
      break;
    }
    good = take_condition (s, line, &at, &r.condition[r.n++]);
    if (!good || *at == '\0')
      break;
    if (strncmp (at, "and", 3) != 0 || !strchr (" \t", at[3])) {
      sweep_complain (s, line, "exclude: wanted `and` before \"%.80s\"", at);
      good = false;
      break;
    }
    at += 3;
    skip_blanks (&at);
  }
  size_t n = (size_t)s->n_rules;
  if (good && mem_grow (&s->rule, n, n + 1, sizeof *s->rule, "rules") == OK)
    s->rule[s->n_rules++] = r;
  else
    sweep_rule_clear (&r);
}

void
sweep_rule_clear (struct sweep_rule *r)
{
  for (int i = 0; i < r->n; i++) {
    mem_free (&r->condition[i].left);
    mem_free (&r->condition[i].right);
  }
  r->n = 0;
}

/* -- asking ---------------------------------------------------------------- */

/* Below, equal or above: -1, 0, 1; *ordered: both are numbers. */
static int
compare (const char *a, const char *b, bool *ordered)
{
  double x, y;
  *ordered = text_to_double (a, &x) && text_to_double (b, &y);
  if (*ordered)
    return x < y ? -1 : x > y;
  return strcmp (a, b) == 0 ? 0 : 1;
}

static bool
condition_holds (const struct sweep *s, const struct sweep_condition *c)
{
  struct text left, right;
  bool ordered;
  text_init (&left);
  text_init (&right);
  sweep_get (s, c->left, NULL, &left);
  if (c->right_is_key)
    sweep_get (s, c->right, NULL, &right);
  else
    sweep_get (s, c->left, c->right, &right);
  int order = compare (left.data, right.data, &ordered);
  text_clear (&left);
  text_clear (&right);
  switch (c->compare) {
  case SWEEP_EQUAL:
    return order == 0;
  case SWEEP_UNEQUAL:
    return order != 0;
  case SWEEP_LESS:
    return ordered && order < 0;
  case SWEEP_AT_MOST:
    return order == 0 || (ordered && order < 0);
  case SWEEP_GREATER:
    return ordered && order > 0;
  case SWEEP_AT_LEAST:
    return order == 0 || (ordered && order > 0);
  }
  return false;
}

bool
sweep_rule_holds (const struct sweep *s, const struct sweep_rule *r)
{
  for (int i = 0; i < r->n; i++)
    if (!condition_holds (s, &r->condition[i]))
      return false;
  return true;
}
