/* main/sweep_set.c -- an open sweep file: what the room `sweep` asks about
 * configurations, and what is wrong with the lines of the file.
 */
#include "main/sweep_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "design/ask.h"
#include "train/train.h"
#include "wire/wire.h"
#include <stdio.h>
#include <string.h>

#define SECTION "sweep"

/* -- what a sweep asks ------------------------------------------------------
 */

static bool
door_key (void *context, const char *name, bool *list, struct text *near)
{
  const struct key *k = key_named (name);
  (void)context;
  if (k)
    *list = k->kind == KEY_LIST;
  else
    key_suggest_for (name, near);
  return k != NULL;
}

static bool
door_value (void *context, const char *name, const char *value,
            struct text *why)
{
  const struct key *k = key_named (name);
  struct config scratch;
  (void)context;
  memset (&scratch, 0, sizeof scratch);
  /* Known but not in this version: said with the run it would give. */
  if (!k || key_is_later (k, value) || key_set (k, value, &scratch))
    return true;
  text_add (why, "wanted ");
  key_wanted (k, why);
  return false;
}

static int
door_resolve (void *context, int n, const char *const *words,
              struct text *wrong)
{
  struct sweep_set *t = context;
  struct complaints said = {.n = 0};
  enum log_level level = log_level_get ();
  text_init (&said.lines);
  t->source.n_words = n;
  t->source.words = words;
  log_level_set (LOG_ERROR); /* warnings come when the run does */
  design_configure_parse (&t->source, &t->c, &said);
  log_level_set (level);
  text_add (wrong, "%s", said.lines.data);
  text_clear (&said.lines);
  return said.n;
}

static void
door_get (void *context, const char *name, const char *value, struct text *out)
{
  struct sweep_set *t = context;
  const struct key *k = key_named (name);
  if (k)
    config_get (&t->c, k, value, out);
}

/* Words of keys that this version does not use keep their runs apart too. */
static void
door_canonical (void *context, struct text *out)
{
  struct sweep_set *t = context;
  char name[2 * CONFIG_WORD];
  config_canonical (&t->c, out);
  for (int i = 0; i < t->source.n_words; i++) {
    const char *word = t->source.words[i];
    const char *value = strchr (word, '=') + 1;
    snprintf (name, sizeof name, "%.*s", (int)(value - 1 - word), word);
    const struct key *k = key_named (name);
    if (k && (!key_applies (k, &t->c) || key_is_later (k, value)))
      text_add (out, "%s\n", word);
  }
}

/* What the text says of a key, like what c has; a text without it is of a
 * version that did not know it. */
static bool
says (const struct sweep_set *t, const struct ini *text, const struct key *k)
{
  const char *value = ini_get (text, k->full);
  struct text is, was;
  if (!value)
    return true;
  text_init (&is);
  text_init (&was);
  config_get (&t->c, k, NULL, &is);
  config_get (&t->c, k, value, &was);
  bool same = strcmp (is.data, was.data) == 0;
  /* What was chosen for the run is what `yes` comes to. */
  if (k == KEY_OF (tune) && strcmp (is.data, "yes") == 0)
    same = strcmp (was.data, "no") != 0;
  text_clear (&is);
  text_clear (&was);
  return same;
}

static enum sweep_like
compare (const struct sweep_set *t, const struct ini *text, int n,
         const struct sweep_axis *keys)
{
  struct text other;
  text_init (&other);
  train_compare (&t->c, text, &other);
  bool differs = other.size > 0;
  text_clear (&other);
  for (int i = 0; !differs && i < n; i++) {
    const struct key *k = key_named (keys[i].key);
    if (k && k->resume == KEY_RESUME_SAME_RUN)
      differs = !says (t, text, k);
  }
  if (differs)
    return SWEEP_OTHER;
  if (!says (t, text, KEY_OF (steps)) || !says (t, text, KEY_OF (epochs)))
    return SWEEP_LENGTH;
  return says (t, text, KEY_OF (file)) && says (t, text, KEY_OF (init))
             ? SWEEP_SAME
             : SWEEP_MOVED;
}

/* Keys that say how a run is done, or where files lie, make no other
 * experiment; swept ones are what the set is about. */
static enum sweep_like
door_like (void *context, const char *text, int n,
           const struct sweep_axis *keys)
{
  struct ini ini;
  ini_open (text, NULL, &ini);
  enum sweep_like like = compare (context, &ini, n, keys);
  ini_close (&ini);
  return like;
}

static int
door_ranks (void *context, int most)
{
  const struct config *c = &((struct sweep_set *)context)->c;
  int64_t pipe = most > 0 ? most / c->replicas : c->count;
  if (pipe > c->count)
    pipe = c->count;
  return (int)(c->replicas * (pipe < 1 ? 1 : pipe));
}

/* Samples of the training split; 0 when that cannot be told. */
static int64_t
training_samples (struct sweep_set *t)
{
  struct data_set *d = NULL;
  if (strcmp (t->data, t->c.file) != 0) {
    snprintf (t->data, sizeof t->data, "%s", t->c.file);
    memset (&t->info, 0, sizeof t->info);
    if (data_open (t->c.file, &d) == OK)
      data_info (d, &t->info);
    data_close (&d);
    fail_clear ();
  }
  int64_t n =
      data_info_samples (&t->info, (enum data_split)t->c.train, t->c.context,
                         t->c.stride, t->c.order == CONFIG_SHUFFLE);
  return t->c.limit > 0 && t->c.limit < n ? t->c.limit : n;
}

static int64_t
door_steps (void *context)
{
  struct sweep_set *t = context;
  if (t->c.steps == 0 && (!t->count || t->c.file[0] == '\0'))
    return 0;
  return design_steps (&t->c, t->c.steps > 0 ? 0 : training_samples (t));
}

/* -- opening ----------------------------------------------------------------
 */

/* Lines that are wrong are said when the file is read as a configuration. */
static void
read_lines (struct sweep_set *t)
{
  struct ini ini;
  ini_open (t->text, SECTION, &ini);
  for (int i = 0; i < ini.n; i++) {
    const struct ini_line *l = &ini.line[i];
    if (!l->bad && strcmp (l->section, SECTION) == 0)
      sweep_item (&t->sweep, l->number, l->name, l->value);
  }
  ini_close (&ini);
}

static bool
begins (const char *line, const char *file)
{
  size_t n = file ? strlen (file) : 0;
  return file && strncmp (line, file, n) == 0 && line[n] == ':';
}

/* What is wrong with the lines of the files, whatever the run. */
static enum status
refuse_lines (struct sweep_set *t)
{
  struct sweep *s = &t->sweep;
  struct complaints said = {.lines = s->wrong, .n = s->n_wrong};
  struct text wrong;
  char *save = NULL;
  text_init (&wrong);
  door_resolve (t, 0, NULL, &wrong);
  for (char *line = wrong.size ? strtok_r (wrong.data, "\n", &save) : NULL;
       line; line = strtok_r (NULL, "\n", &save))
    if (begins (line, s->file) || begins (line, s->base)) {
      text_add (&said.lines, "%s\n", line);
      said.n++;
    }
  text_clear (&wrong);
  s->wrong = said.lines;
  return config_refuse (s->file, &said);
}

static enum status
expand (struct sweep_set *t)
{
  struct sweep *s = &t->sweep;
  TRY (refuse_lines (t));
  TRY (sweep_expand (s));
  struct complaints said = {.lines = s->wrong, .n = s->n_wrong};
  TRY (config_refuse (s->file, &said));
  if (s->n_runs == 0)
    return fail (E_CONFIG, "%s: no run is left: %d combination%s excluded",
                 s->file, s->n_excluded, s->n_excluded == 1 ? "" : "s");
  return OK;
}

/* The root looks at the disk, and says what it found: a line "LIKE DIR" for
 * each run. */
static enum status
settle (struct sweep_set *t, struct wire *w)
{
  struct sweep *s = &t->sweep;
  struct text lines;
  char *all = NULL, *save = NULL;
  enum status e = wire_rank (w) == 0 ? sweep_settle (s) : OK;
  text_init (&lines);
  for (int i = 0; i < s->n_runs; i++)
    text_add (&lines, "%d%s\n", (int)s->run[i].like, s->run[i].dir);
  if (e == OK)
    e = mem_text (lines.data, &all);
  text_clear (&lines);
  TRY (wire_agree (w, e));
  TRY (wire_broadcast_text (w, &all, 0));
  char *line = strtok_r (all, "\n", &save);
  for (int i = 0; e == OK && line && i < s->n_runs; i++) {
    s->run[i].like = (enum sweep_like) (line[0] - '0');
    mem_free (&s->run[i].dir);
    e = mem_text (line + 1, &s->run[i].dir);
    line = strtok_r (NULL, "\n", &save);
  }
  mem_free (&all);
  return wire_agree (w, e);
}

enum status
sweep_set_open (struct sweep_set *t, const char *path, struct wire *w)
{
  t->door = (struct sweep_door){.context = t,
                                .key = door_key,
                                .value = door_value,
                                .resolve = door_resolve,
                                .get = door_get,
                                .canonical = door_canonical,
                                .like = door_like,
                                .ranks = door_ranks,
                                .steps = door_steps};
  TRY (wire_agree (w, sweep_init (&t->sweep, path, &t->door)));
  TRY (file_share (w, path, &t->text));
  read_lines (t);
  if (t->sweep.base)
    TRY (file_share (w, t->sweep.base, &t->base_text));
  t->source = (struct config_source){.name = path,
                                     .text = t->text,
                                     .base = t->sweep.base,
                                     .base_text = t->base_text,
                                     .also = SECTION};
  TRY (wire_agree (w, expand (t)));
  return settle (t, w);
}

void
sweep_set_close (struct sweep_set *t)
{
  sweep_clear (&t->sweep);
  mem_free (&t->text);
  mem_free (&t->base_text);
}
