/* sweep/item.c -- from the lines of a sweep file to axes, ties and rules.
 *
 * Whatever is wrong is kept with its line, so that one try shows all of it.
 */
#include "sweep/sweep_impl.h"

#include "base/memory.h"
#include <stdio.h>
#include <string.h>

/* The heap's failure is rare enough to be a complaint too. */
static void
note (struct sweep *s, int line, enum status e)
{
  if (e == OK)
    return;
  sweep_complain (s, line, "%s", fail_message ());
  fail_clear ();
}

/* -- the whole ------------------------------------------------------------- */

/* A copy of text without the folders before it and what is behind its last
 * dot. */
static enum status
stem (const char *path, char **out)
{
  const char *from = strrchr (path, '/');
  struct text t;
  text_init (&t);
  from = from ? from + 1 : path;
  const char *dot = strrchr (from, '.');
  size_t n = dot && dot > from ? (size_t)(dot - from) : strlen (from);
  text_add (&t, "%.*s", (int)n, from);
  enum status e = mem_text (t.data, out);
  text_clear (&t);
  return e;
}

enum status
sweep_init (struct sweep *s, const char *file)
{
  bool count = s->count;
  *s = (struct sweep){.count = count, .pack = 1};
  text_init (&s->wrong);
  TRY (mem_text (file, &s->file));
  return stem (file, &s->name);
}

static void
clear_list (char ***list, int n)
{
  for (int i = 0; *list && i < n; i++)
    mem_free (&(*list)[i]);
  mem_free (list);
}

void
sweep_clear (struct sweep *s)
{
  for (int i = 0; i < s->n_axes; i++) {
    mem_free (&s->axis[i].key);
    clear_list (&s->axis[i].value, s->axis[i].n);
    clear_list (&s->axis[i].word, s->axis[i].n);
  }
  for (int i = 0; i < s->n_rules; i++)
    sweep_rule_clear (&s->rule[i]);
  for (int i = 0; i < s->n_runs; i++) {
    mem_free (&s->run[i].id);
    mem_free (&s->run[i].dir);
    mem_free (&s->run[i].choice);
  }
  clear_list (&s->tie, s->n_ties);
  mem_free (&s->tie_line);
  mem_free (&s->axis);
  mem_free (&s->rule);
  mem_free (&s->run);
  mem_free (&s->file);
  mem_free (&s->name);
  mem_free (&s->root);
  mem_free (&s->base);
  mem_free (&s->script);
  text_clear (&s->wrong);
}

/* -- values ---------------------------------------------------------------- */

/* May the key have this value?  One that is known but not in this version is
 * said with the run it would give. */
static bool
may_be (const struct key *k, const char *value)
{
  struct config scratch = {.count = 0};
  return key_is_later (k, value) || key_set (k, value, &scratch);
}

static void
add_value (struct sweep *s, struct sweep_axis *a, const char *value)
{
  const struct key *k = key_named (a->key);
  struct text t;
  text_init (&t);
  if (!may_be (k, value)) {
    key_wanted (k, &t);
    sweep_complain (s, a->line, "%s = %.80s: wanted %s", a->key, value, t.data);
    text_clear (&t);
    return;
  }
  text_clear (&t);
  if (a->n == SWEEP_VALUES) {
    sweep_complain (s, a->line, "%s: more than %d values", a->key,
                    SWEEP_VALUES);
    a->n++; /* said once */
  }
  if (a->n > SWEEP_VALUES)
    return;
  text_add (&t, "%s=%s", a->key, value);
  note (s, a->line, mem_text (value, &a->value[a->n]));
  note (s, a->line, mem_text (t.data, &a->word[a->n]));
  a->n++;
  text_clear (&t);
}

/* "1..5" as five values; false when it is none. */
static bool
add_range (struct sweep *s, struct sweep_axis *a, const char *part)
{
  const char *dots = strstr (part, "..");
  char low[32] = "", number[32];
  int64_t from, to;
  if (!dots || dots - part >= (int)sizeof low)
    return false;
  memcpy (low, part, (size_t)(dots - part));
  if (!text_to_long (low, &from) || !text_to_long (dots + 2, &to))
    return false;
  if (to < from || to - from >= SWEEP_VALUES) {
    sweep_complain (s, a->line, "%s = %.80s: a range goes up, by less than %d",
                    a->key, part, SWEEP_VALUES);
    return true;
  }
  for (int64_t v = from; v <= to; v++) {
    snprintf (number, sizeof number, "%lld", (long long)v);
    add_value (s, a, number);
  }
  return true;
}

static void
read_axis (struct sweep *s, int line, const char *key, const char *value)
{
  for (int i = 0; i < s->n_axes; i++)
    if (strcmp (s->axis[i].key, key) == 0) {
      sweep_complain (s, line, "%s is given twice, first in line %d", key,
                      s->axis[i].line);
      return;
    }
  size_t n = (size_t)s->n_axes;
  enum status e =
      mem_grow (&s->axis, n, n + 1, sizeof *s->axis, "keys of a sweep");
  note (s, line, e);
  if (e != OK)
    return;
  struct sweep_axis *a = &s->axis[s->n_axes];
  *a = (struct sweep_axis){.line = line, .tied = s->n_axes};
  s->n_axes++;
  note (s, line, mem_text (key, &a->key));
  note (s, line, MEM_NEW (SWEEP_VALUES + 1, &a->value, "values"));
  note (s, line, MEM_NEW (SWEEP_VALUES + 1, &a->word, "values"));
  if (!a->key || !a->value || !a->word)
    return;
  /* Commas belong to the value where the key's values have them. */
  bool list = key_named (key)->kind == KEY_LIST;
  const char *separators = list || strchr (value, '|') ? "|" : ",";
  char *part;
  for (const char *at = value; sweep_next (&at, separators, &part);) {
    if (!add_range (s, a, part))
      add_value (s, a, part);
    mem_free (&part);
  }
  if (a->n > SWEEP_VALUES)
    a->n = SWEEP_VALUES;
}

/* -- the other keys -------------------------------------------------------- */

static void
read_text (struct sweep *s, int line, const char *name, const char *value,
           void *out)
{
  if (value[0] == '\0')
    sweep_complain (s, line, "%s: a value is missing", name);
  else {
    mem_free (out);
    note (s, line, mem_text (value, out));
  }
}

static void
read_number (struct sweep *s, int line, const char *name, const char *value,
             void *out)
{
  int64_t n;
  if (text_to_long (value, &n) && n >= 1 && n <= 1 << 20)
    *(int *)out = (int)n;
  else
    sweep_complain (s, line, "%s = %.80s: wanted an integer, 1 or more", name,
                    value);
}

/* "4G", "500 MB". */
static void
read_bytes (struct sweep *s, int line, const char *name, const char *value,
            void *out)
{
  static const char units[] = "KMGT";
  char digits[32] = "";
  size_t n = strspn (value, "0123456789.");
  double v, unit = 1;
  const char *rest = value + n + strspn (value + n, " ");
  const char *at = rest[0] ? strchr (units, rest[0]) : NULL;
  for (const char *u = units; at && u <= at; u++)
    unit *= 1024;
  rest += at != NULL;
  rest += rest[0] == 'B';
  if (n < sizeof digits)
    memcpy (digits, value, n);
  if (rest[0] == '\0' && text_to_double (digits, &v) && v > 0)
    *(double *)out = v * unit;
  else
    sweep_complain (s, line, "%s = %.80s: wanted bytes, as in 4G", name, value);
}

/* A file name in the sweep file is seen from there. */
static void
read_base (struct sweep *s, int line, const char *name, const char *value,
           void *out)
{
  const char *slash = strrchr (s->file, '/');
  struct text t;
  text_init (&t);
  if (value[0] != '/' && slash)
    text_add (&t, "%.*s", (int)(slash + 1 - s->file), s->file);
  text_add (&t, "%s", value);
  read_text (s, line, name, value[0] ? t.data : "", out);
  text_clear (&t);
}

static void
read_tie (struct sweep *s, int line, const char *name, const char *value,
          void *out)
{
  (void)name, (void)out;
  size_t n = (size_t)s->n_ties;
  enum status e = mem_grow (&s->tie, n, n + 1, sizeof *s->tie, "ties");
  if (e == OK)
    e = mem_grow (&s->tie_line, n, n + 1, sizeof *s->tie_line, "ties");
  if (e == OK)
    e = mem_text (value, &s->tie[n]);
  note (s, line, e);
  if (e != OK)
    return;
  s->tie_line[n] = line;
  s->n_ties++;
}

static void
read_rule (struct sweep *s, int line, const char *name, const char *value,
           void *out)
{
  (void)name, (void)out;
  sweep_rule_read (s, line, value);
}

static const struct item {
  const char *name;
  void (*read) (struct sweep *s, int line, const char *name, const char *value,
                void *out);
  size_t offset; /* of `out` in struct sweep */
} items[] = {
    {"name", read_text, offsetof (struct sweep, name)},
    {"root", read_text, offsetof (struct sweep, root)},
    {"base", read_base, offsetof (struct sweep, base)},
    {"script", read_text, offsetof (struct sweep, script)},
    {"ranks", read_number, offsetof (struct sweep, ranks)},
    {"memory", read_bytes, offsetof (struct sweep, memory_bytes)},
    {"at_once", read_number, offsetof (struct sweep, at_once)},
    {"pack", read_number, offsetof (struct sweep, pack)},
    {"zip", read_tie, 0},
    {"exclude", read_rule, 0},
};
#define ITEMS (sizeof items / sizeof *items)

static void
unknown (struct sweep *s, int line, const char *name)
{
  struct text near;
  const char *names[ITEMS];
  for (size_t i = 0; i < ITEMS; i++)
    names[i] = items[i].name;
  const char *mine = text_nearest (name, names, ITEMS);
  text_init (&near);
  key_suggest_for (name, &near);
  if (strchr (name, '.'))
    sweep_complain (s, line, "%s is not a key%s", name, near.data);
  else if (mine)
    sweep_complain (s, line, "[sweep] has no key %s; did you mean %s?", name,
                    mine);
  else
    sweep_complain (s, line, "[sweep] has no key %s%s", name, near.data);
  text_clear (&near);
}

void
sweep_item (struct sweep *s, int line, const char *name, const char *value)
{
  const struct item *known = NULL;
  for (size_t i = 0; i < ITEMS; i++)
    if (strcmp (items[i].name, name) == 0)
      known = &items[i];
  if (known)
    known->read (s, line, name, value, (char *)s + known->offset);
  else if (strcmp (name, KEY_NAME (dir)) == 0)
    sweep_complain (s, line, "%s is made for each run: give root instead",
                    name);
  else if (key_named (name))
    read_axis (s, line, name, value);
  else
    unknown (s, line, name);
}
