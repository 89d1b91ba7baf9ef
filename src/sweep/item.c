/* sweep/item.c -- from the lines of a sweep file to axes, ties and rules.
 *
 * Whatever is wrong is kept with its line, so that one try shows all of it.
 */
#include "sweep/sweep_impl.h"

#include "base/memory.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof (a) / sizeof *(a))

void
sweep_complain (struct sweep *s, int line, const char *fmt, ...)
{
  char what[1024];
  va_list args;
  va_start (args, fmt);
  vsnprintf (what, sizeof what, fmt, args);
  va_end (args);
  if (line > 0)
    text_add (&s->wrong, "%s:%d: %s\n", s->file, line, what);
  else
    text_add (&s->wrong, "%s: %s\n", s->file, what);
  s->n_wrong++;
}

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
sweep_init (struct sweep *s, const char *file, const struct sweep_door *door)
{
  *s = (struct sweep){.door = door, .pack = 1};
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

bool
sweep_next (const char **at, const char *separators, char **part)
{
  const char *from = *at;
  if (!from)
    return false;
  size_t n = strcspn (from, separators);
  *at = from[n] ? from + n + 1 : NULL;
  while (n > 0 && strchr (" \t", from[0])) {
    from++;
    n--;
  }
  while (n > 0 && strchr (" \t", from[n - 1]))
    n--;
  struct text t;
  text_init (&t);
  text_add (&t, "%.*s", (int)n, from);
  enum status e = mem_text (t.data, part);
  if (e != OK)
    status_end (e);
  text_clear (&t);
  return true;
}

static void
add_value (struct sweep *s, struct sweep_axis *a, const char *value)
{
  struct text t;
  text_init (&t);
  if (!s->door->value (s->door->context, a->key, value, &t)) {
    sweep_complain (s, a->line, "%s = %.80s: %s", a->key, value, t.data);
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
read_axis (struct sweep *s, int line, const char *key, const char *value,
           bool list)
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

static const char *const names[] = {"name",  "root",   "base",    "script",
                                    "ranks", "memory", "at_once", "pack",
                                    "zip",   "exclude"};

static void
read_text (struct sweep *s, int line, const char *name, const char *value,
           char **out)
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
             int *out)
{
  int64_t n;
  if (text_to_long (value, &n) && n >= 1 && n <= 1 << 20)
    *out = (int)n;
  else
    sweep_complain (s, line, "%s = %.80s: wanted an integer, 1 or more", name,
                    value);
}

/* "4G", "500 MB". */
static void
read_bytes (struct sweep *s, int line, const char *value)
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
    s->memory_bytes = v * unit;
  else
    sweep_complain (s, line, "memory = %.80s: wanted bytes, as in 4G", value);
}

/* A file name in the sweep file is seen from there. */
static void
read_base (struct sweep *s, int line, const char *value)
{
  const char *slash = strrchr (s->file, '/');
  struct text t;
  text_init (&t);
  if (value[0] != '/' && slash)
    text_add (&t, "%.*s", (int)(slash + 1 - s->file), s->file);
  text_add (&t, "%s", value);
  read_text (s, line, "base", value[0] ? t.data : "", &s->base);
  text_clear (&t);
}

static void
read_tie (struct sweep *s, int line, const char *value)
{
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
unknown (struct sweep *s, int line, const char *name, const char *near)
{
  const char *mine = text_nearest (name, names, COUNT (names));
  if (strchr (name, '.'))
    sweep_complain (s, line, "%s is not a key%s", name, near);
  else if (mine)
    sweep_complain (s, line, "[sweep] has no key %s; did you mean %s?", name,
                    mine);
  else
    sweep_complain (s, line, "[sweep] has no key %s%s", name, near);
}

void
sweep_item (struct sweep *s, int line, const char *name, const char *value)
{
  struct text near;
  bool list = false;
  text_init (&near);
  if (strcmp (name, "name") == 0)
    read_text (s, line, name, value, &s->name);
  else if (strcmp (name, "root") == 0)
    read_text (s, line, name, value, &s->root);
  else if (strcmp (name, "script") == 0)
    read_text (s, line, name, value, &s->script);
  else if (strcmp (name, "base") == 0)
    read_base (s, line, value);
  else if (strcmp (name, "ranks") == 0)
    read_number (s, line, name, value, &s->ranks);
  else if (strcmp (name, "at_once") == 0)
    read_number (s, line, name, value, &s->at_once);
  else if (strcmp (name, "pack") == 0)
    read_number (s, line, name, value, &s->pack);
  else if (strcmp (name, "memory") == 0)
    read_bytes (s, line, value);
  else if (strcmp (name, "zip") == 0)
    read_tie (s, line, value);
  else if (strcmp (name, "exclude") == 0)
    sweep_rule_read (s, line, value);
  else if (strcmp (name, KEY_NAME (dir)) == 0)
    sweep_complain (s, line, "%s is made for each run: give root instead",
                    name);
  else if (s->door->key (s->door->context, name, &list, &near))
    read_axis (s, line, name, value, list);
  else
    unknown (s, line, name, near.data);
  text_clear (&near);
}
