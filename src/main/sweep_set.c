/* main/sweep_set.c -- an open sweep file, read by the root rank for all. */
#include "main/sweep_impl.h"

#include "base/memory.h"
#include "wire/wire.h"
#include <stdio.h>
#include <string.h>

#define SECTION "sweep"

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
  sweep_resolve (s, 0, NULL, &wrong);
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
  TRY (wire_agree (w, sweep_init (&t->sweep, path)));
  TRY (file_share (w, path, &t->text));
  read_lines (t);
  if (t->sweep.base)
    TRY (file_share (w, t->sweep.base, &t->base_text));
  t->sweep.source = (struct config_source){.name = path,
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
