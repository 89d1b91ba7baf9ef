/* sweep/expand.c -- makes runs of axes, like an odometer over the values whose
 * last wheel turns fastest; keys that `zip` ties together share a wheel.
 *
 * A run is known by a hash of its resolved configuration.  So runs that are
 * there stay the same runs when lines are swapped, when another base file means
 * the same, or when a list of values gets longer.  settle.c finds their
 * directories.
 */
#include "sweep/sweep_impl.h"

#include "base/hash.h"
#include "base/memory.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ID_NAME 100 /* characters of the readable part */

/* -- ties ------------------------------------------------------------------ */

static int
find_axis (const struct sweep *s, const char *key)
{
  for (int i = 0; i < s->n_axes; i++)
    if (strcmp (s->axis[i].key, key) == 0)
      return i;
  return -1;
}

static void
tie (struct sweep *s, int line, const char *text)
{
  int first = -1, n = 0;
  char *key;
  for (const char *at = text; sweep_next (&at, ", ", &key); mem_free (&key)) {
    if (key[0] == '\0')
      continue;
    n++;
    int i = find_axis (s, key);
    if (i < 0)
      sweep_complain (s, line, "zip: %.80s is not swept in this file", key);
    else if (s->axis[i].tied != i || i == first)
      sweep_complain (s, line, "zip: %.80s is tied twice", key);
    else if (first < 0)
      first = i;
    else if (s->axis[i].n != s->axis[first].n)
      sweep_complain (s, line, "zip: %s has %d values and %s has %d",
                      s->axis[first].key, s->axis[first].n, s->axis[i].key,
                      s->axis[i].n);
    else
      s->axis[i].tied = first;
  }
  if (n < 2)
    sweep_complain (s, line, "zip: wanted two or more keys of this file");
}

/* -- one run --------------------------------------------------------------- */

/* "K4", "span2", "mix-mean"; a preset by its name alone, a table or a dial
 * without. */
static void
add_label (struct text *out, const char *key, const char *value)
{
  const char *name = strchr (key, '.');
  const char *base = strrchr (value, '/');
  struct text label;
  name = name ? name + 1 : key;
  value = base ? base + 1 : value;
  text_init (&label);
  if (strcmp (key, KEY_NAME (count)) == 0)
    text_add (&label, "K%s", value);
  else if (strcmp (key, KEY_NAME (preset)) == 0)
    text_add (&label, "%s", value);
  else if (strcmp (key, KEY_NAME (route)) == 0 ||
           strcmp (key, KEY_NAME (dial)) == 0)
    text_add (&label, "%s", name);
  else
    text_add (&label, "%s%s%s", name,
              isdigit ((unsigned char)value[0]) ? "" : "-", value);
  for (char *p = label.data; *p; p++)
    if (!isalnum ((unsigned char)*p) && !strchr ("._+-", *p))
      *p = '_';
  if (out->size + label.size + 1 <= ID_NAME)
    text_add (out, "%s%s", out->size ? "-" : "", label.data);
  text_clear (&label);
}

static void
make_id (const struct sweep *s, const int *choice, struct text *out)
{
  struct text all;
  char digest[33];
  text_init (&all);
  for (int i = 0; i < s->n_axes; i++) {
    sweep_get (s, s->axis[i].key, NULL, &all);
    add_label (out, s->axis[i].key,
               all.size ? all.data : s->axis[i].value[choice[i]]);
    text_clear (&all);
  }
  sweep_canonical (s, &all);
  hash_digest (all.data, all.size, digest);
  text_add (out, "%s%.8s", out->size ? "-" : "run-", digest);
  text_clear (&all);
}

/* The hash alone, behind the last dash: runs are the same or not, whatever
 * their names. */
bool
sweep_same_id (const char *a, const char *b)
{
  const char *x = strrchr (a, '-'), *y = strrchr (b, '-');
  return x && y && strlen (x) == 9 && strcmp (x, y) == 0;
}

static bool
is_there (const struct sweep *s, const char *id)
{
  for (int i = 0; i < s->n_runs; i++)
    if (sweep_same_id (s->run[i].id, id))
      return true;
  return false;
}

static enum status
add_run (struct sweep *s, const int *choice, const char *id)
{
  struct sweep_run *r = &s->run[s->n_runs++];
  struct text dir;
  *r = (struct sweep_run){0};
  text_init (&dir);
  text_add (&dir, "%s/%s", s->root, id);
  enum status e = mem_text (id, &r->id);
  if (e == OK)
    e = mem_text (dir.data, &r->dir);
  if (e == OK)
    e = MEM_NEW ((size_t)s->n_axes + 1, &r->choice, "a run");
  if (e == OK)
    memcpy (r->choice, choice, (size_t)s->n_axes * sizeof *choice);
  r->ranks = sweep_ranks (s);
  r->steps = sweep_steps (s);
  text_clear (&dir);
  return e;
}

static enum status
try_run (struct sweep *s, const int *choice, const char **words)
{
  struct text wrong, id;
  enum status e = OK;
  text_init (&wrong);
  for (int i = 0; i < s->n_axes; i++)
    words[i] = s->axis[i].word[choice[i]];
  sweep_resolve (s, s->n_axes, words, &wrong);
  text_clear (&wrong);
  for (int i = 0; i < s->n_rules; i++)
    if (sweep_rule_holds (s, &s->rule[i])) {
      s->n_excluded++;
      return OK;
    }
  text_init (&id);
  make_id (s, choice, &id);
  if (is_there (s, id.data))
    s->n_equal++;
  else
    e = add_run (s, choice, id.data);
  text_clear (&id);
  return e;
}

/* -- all runs -------------------------------------------------------------- */

/* The next position of the wheels; false when all have gone round. */
static bool
turn (const struct sweep *s, int *choice)
{
  int i = s->n_axes - 1;
  for (; i >= 0; i--) {
    if (s->axis[i].tied != i)
      continue;
    if (++choice[i] < s->axis[i].n)
      break;
    choice[i] = 0;
  }
  for (int j = 0; j < s->n_axes; j++)
    choice[j] = choice[s->axis[j].tied];
  return i >= 0;
}

static double
combinations (const struct sweep *s)
{
  double n = 1;
  for (int i = 0; i < s->n_axes; i++)
    if (s->axis[i].tied == i)
      n *= s->axis[i].n;
  return n;
}

static enum status
default_root (struct sweep *s)
{
  struct text t;
  if (s->root)
    return OK;
  text_init (&t);
  text_add (&t, "runs/%s", s->name);
  enum status e = mem_text (t.data, &s->root);
  text_clear (&t);
  return e;
}

enum status
sweep_expand (struct sweep *s)
{
  int *choice = NULL;
  const char **words = NULL;
  TRY (default_root (s));
  for (int i = 0; i < s->n_ties; i++)
    tie (s, s->tie_line[i], s->tie[i]);
  double n = combinations (s);
  if (n > SWEEP_RUNS)
    sweep_complain (s, 0, "%.0f combinations; more than %d are not taken", n,
                    SWEEP_RUNS);
  if (s->n_wrong > 0)
    return OK;
  enum status e = MEM_NEW ((size_t)n + 1, &s->run, "runs");
  if (e == OK)
    e = MEM_NEW ((size_t)s->n_axes + 1, &choice, "a position");
  if (e == OK)
    e = MEM_NEW ((size_t)s->n_axes + 1, &words, "words");
  if (e == OK && n > 0)
    do
      e = try_run (s, choice, words);
    while (e == OK && turn (s, choice));
  mem_free (&choice);
  mem_free (&words);
  return e;
}

void
sweep_words (const struct sweep *s, int i, const char **words, struct text *dir)
{
  for (int j = 0; j < s->n_axes; j++)
    words[j] = s->axis[j].word[s->run[i].choice[j]];
  text_init (dir);
  text_add (dir, "%s=%s", KEY_NAME (dir), s->run[i].dir);
  words[s->n_axes] = dir->data;
}

static const char *
last_part (const char *path)
{
  const char *slash = strrchr (path, '/');
  return slash ? slash + 1 : path;
}

enum status
sweep_find (const struct sweep *s, const char *which, int *out)
{
  int64_t number;
  const char **ids = NULL;
  if (text_to_long (which, &number)) {
    if (number < 1 || number > s->n_runs)
      return fail (E_USAGE, "%s: run %s is not there: it has runs 1 to %d",
                   s->file, which, s->n_runs);
    *out = (int)number - 1;
    return OK;
  }
  for (int i = 0; i < s->n_runs; i++)
    if (strcmp (s->run[i].id, which) == 0 ||
        strcmp (last_part (s->run[i].dir), which) == 0) {
      *out = i;
      return OK;
    }
  TRY (MEM_NEW ((size_t)s->n_runs + 1, &ids, "names"));
  for (int i = 0; i < s->n_runs; i++)
    ids[i] = s->run[i].id;
  const char *near = text_nearest (which, ids, (size_t)s->n_runs);
  enum status e =
      fail (E_USAGE, "%s: no run %s%s%s%s; `list` shows them", s->file, which,
            near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
  mem_free (&ids);
  return e;
}
