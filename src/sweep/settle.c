/* sweep/settle.c -- which directory of the root holds which run.
 *
 * A run is its resolved configuration, not its name: another axis, another
 * order of lines or another version of the program make other names, and in a
 * directory of the right name there may be anything.  So the config.ini of a
 * directory decides, and its name only where there is none.
 */
#include "sweep/sweep_impl.h"

#include "base/memory.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

struct place {
  char *dir;    /* ROOT/NAME; owned */
  char *config; /* config.ini; NULL: not there; owned */
  bool taken;   /* by a run */
};

struct places {
  struct place *list; /* n; owned */
  int n;
};

static enum status
add_place (struct places *p, const char *root, const char *name)
{
  size_t n = (size_t)p->n;
  struct text dir;
  TRY (mem_grow (&p->list, n, n + 1, sizeof *p->list, "run directories"));
  p->list[n] = (struct place){.taken = false};
  text_init (&dir);
  text_add (&dir, "%s/%s", root, name);
  enum status e = mem_text (dir.data, &p->list[n].dir);
  text_clear (&dir);
  TRY (e);
  p->n++;
  if (store_run_get (p->list[n].dir, "config.ini", &p->list[n].config) != OK)
    fail_clear ();
  return OK;
}

static int
by_name (const void *a, const void *b)
{
  return strcmp (((const struct place *)a)->dir,
                 ((const struct place *)b)->dir);
}

/* All of the root; a root that is not there has none. */
static enum status
read_places (const struct sweep *s, struct places *p)
{
  DIR *d = opendir (s->root);
  enum status e = OK;
  for (struct dirent *i; e == OK && d && (i = readdir (d));)
    if (i->d_name[0] != '.' && strcmp (i->d_name, SWEEP_FOLDER) != 0)
      e = add_place (p, s->root, i->d_name);
  if (d)
    closedir (d);
  if (p->n > 1)
    qsort (p->list, (size_t)p->n, sizeof *p->list, by_name);
  return e;
}

static void
clear_places (struct places *p)
{
  for (int i = 0; i < p->n; i++) {
    mem_free (&p->list[i].dir);
    mem_free (&p->list[i].config);
  }
  mem_free (&p->list);
}

/* -- a run and a directory ------------------------------------------------- */

/* Names alone tell where a directory says nothing. */
static enum sweep_like
like (const struct sweep *s, const struct place *p)
{
  struct ini ini;
  if (!p->config)
    return SWEEP_SAME;
  ini_open (p->config, NULL, &ini);
  enum sweep_like how = sweep_likeness (s, &ini);
  ini_close (&ini);
  return how;
}

static enum status
take (struct sweep_run *r, struct place *p, enum sweep_like like)
{
  char *dir = NULL;
  TRY (mem_text (p->dir, &dir));
  mem_free (&r->dir);
  r->dir = dir;
  r->like = like;
  p->taken = true;
  return OK;
}

/* ROOT/ID first, then names with the same hash: pass 0 and 1; what is of this
 * experiment is taken. */
static enum status
find_by_name (const struct sweep *s, struct sweep_run *r, struct places *p,
              bool *found)
{
  for (int pass = 0; pass < 2; pass++)
    for (int i = 0; i < p->n; i++) {
      struct place *q = &p->list[i];
      bool named = strcmp (q->dir, r->dir) == 0;
      if (q->taken || (pass == 0 ? !named : !sweep_same_id (q->dir, r->id)))
        continue;
      enum sweep_like l = like (s, q);
      if (named)
        r->like = l;
      if (l == SWEEP_OTHER)
        continue;
      *found = true;
      return take (r, q, l);
    }
  return OK;
}

static enum status
find_by_config (const struct sweep *s, struct sweep_run *r, struct places *p)
{
  for (int i = 0; i < p->n; i++)
    if (!p->list[i].taken && p->list[i].config &&
        like (s, &p->list[i]) == SWEEP_SAME)
      return take (r, &p->list[i], SWEEP_SAME);
  return OK;
}

static void
ask_of (struct sweep *s, const struct sweep_run *r, const char **words)
{
  struct text wrong;
  text_init (&wrong);
  for (int i = 0; i < s->n_axes; i++)
    words[i] = s->axis[i].word[r->choice[i]];
  sweep_resolve (s, s->n_axes, words, &wrong);
  text_clear (&wrong);
}

/* Names before contents, for all runs: a directory that is named for one is not
 * another's. */
static enum status
settle_all (struct sweep *s, struct places *p, const char **words, bool *found)
{
  for (int i = 0; i < s->n_runs; i++) {
    ask_of (s, &s->run[i], words);
    TRY (find_by_name (s, &s->run[i], p, &found[i]));
  }
  for (int i = 0; i < s->n_runs; i++) {
    if (found[i])
      continue;
    ask_of (s, &s->run[i], words);
    TRY (find_by_config (s, &s->run[i], p));
  }
  return OK;
}

enum status
sweep_settle (struct sweep *s)
{
  struct places p = {.n = 0};
  const char **words = NULL;
  bool *found = NULL;
  enum status e = read_places (s, &p);
  if (e == OK && p.n > 0)
    e = MEM_NEW ((size_t)s->n_axes + 1, &words, "words");
  if (e == OK && p.n > 0)
    e = MEM_NEW ((size_t)s->n_runs + 1, &found, "runs");
  if (e == OK && p.n > 0)
    e = settle_all (s, &p, words, found);
  clear_places (&p);
  mem_free (&words);
  mem_free (&found);
  return e;
}
