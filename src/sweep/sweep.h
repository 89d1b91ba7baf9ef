/* sweep/sweep.h -- a set of runs from one file: what crosses what, which runs
 * that gives, how far each of them is, and how the rest is given to Slurm.
 *
 * The grammar of a sweep file is in interlock(5).  What a key of the
 * configuration is, and what a configuration comes to, this room does not know:
 * it asks through struct sweep_door, which main fills.  Nothing here trains.
 * Everything is Local.
 */
#ifndef SWEEP_SWEEP_H
#define SWEEP_SWEEP_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include "store/run.h"
#include <stdbool.h>
#include <stdint.h>

struct sweep_axis;
/* What a sweep asks about configurations. */
enum sweep_like {
  SWEEP_SAME,
  SWEEP_MOVED,  /* but for where files lie */
  SWEEP_LENGTH, /* but for its length */
  SWEEP_OTHER
};
struct sweep_door {
  void *context;
  /* Is section.key one?  If so, *list says whether its values have commas of
   * their own; if not, near gets "; did you mean ...?" or nothing. */
  bool (*key) (void *context, const char *name, bool *list, struct text *near);
  /* May the key have this value?  If not, why gets what was wanted. */
  bool (*value) (void *context, const char *name, const char *value,
                 struct text *why);
  /* Make a configuration from the base and these words; the questions below are
   * about it.  Adds what is wrong with it, a line each, and returns how many.
   */
  int (*resolve) (void *context, int n, const char *const *words,
                  struct text *wrong);
  /* A value of that configuration (value NULL: its own) in a form that compares
   * equal for equal meanings. */
  void (*get) (void *context, const char *name, const char *value,
               struct text *out);
  /* All that tells one run from another, as text; not its directory. */
  void (*canonical) (void *context, struct text *out);
  /* How like the text of a run's config.ini is; in keys, swept ones, no value
   * differs between runs that are the same.  NULL: names alone tell. */
  enum sweep_like (*like) (void *context, const char *text, int n,
                           const struct sweep_axis *keys);
  /* Ranks to start it on, at most `most` (0: no limit). */
  int (*ranks) (void *context, int most);
  /* Its steps; 0 when that cannot be told. */
  int64_t (*steps) (void *context);
};

struct sweep_axis {
  char *key; /* section.key; owned */
  int line;
  int n;        /* values */
  char **value; /* n; owned */
  char **word;  /* n times "section.key=value"; owned */
  int tied;     /* axis whose position this one shares; itself when none */
};

struct sweep_rule; /* one line `exclude` */

struct sweep_run {
  char *id;             /* readable name and hash; owned */
  char *dir;            /* ROOT/ID; owned */
  int *choice;          /* n_axes numbers of values; owned */
  int ranks;            /* to start it on */
  int64_t steps;        /* 0: not known */
  enum sweep_like like; /* of what is in dir */
  /* filled by sweep_look */
  struct store_run_look look;
  char job[64]; /* "123_4" when Slurm has it in its queue, else "" */
};

struct sweep {
  const struct sweep_door *door; /* borrowed */
  char *file;                    /* for messages; owned, as all texts here */
  char *name, *root;             /* defaults: from the file's name */
  char *base;                    /* NULL: none; path, beside the sweep file */
  char *script;                  /* NULL: looked for */
  int ranks;                     /* of a run, at most; 0: one for each stage */
  int at_once, pack;             /* 0: no limit; 1: one run in a job */
  double memory_bytes;           /* of a rank; 0: not said */
  int n_axes, n_rules, n_ties, n_runs;
  int n_excluded, n_equal; /* combinations left out */
  struct sweep_axis *axis; /* owned, in order of the file */
  struct sweep_rule *rule; /* owned */
  char **tie;              /* owned; lines `zip` as they stand ... */
  int *tie_line;           /* ... and where */
  struct sweep_run *run;   /* owned; the last axis changes fastest */
  struct text wrong;       /* complaints, one per line */
  int n_wrong;
};

/* An empty sweep of this file. */
enum status
sweep_init (struct sweep *s, const char *file, const struct sweep_door *door);
void
sweep_clear (struct sweep *s);
/* One key of the section [sweep]; what is wrong with it goes to s->wrong. */
void
sweep_item (struct sweep *s, int line, const char *name, const char *value);
/* All combinations that are not excluded, equal ones once; what is wrong with
 * ties and rules goes to s->wrong.  Fails only for want of memory.  A
 * configuration that is wrong in itself still gives a run. */
enum status
sweep_expand (struct sweep *s);
/* Where the runs are: ROOT/ID, or, where that is none of them, a directory of
 * ROOT whose name ends in the same hash, or whose config.ini is that of the
 * run.  Looks at the disk. */
enum status
sweep_settle (struct sweep *s);
/* Words of a run, n_axes and run.dir=DIR behind them; the last is *dir, which
 * must be cleared after use. */
void
sweep_words (const struct sweep *s, int i, const char **words,
             struct text *dir);
/* Which run that is: a number from 1, an id, or the name of its directory.
 * E_USAGE with the nearest. */
enum status
sweep_find (const struct sweep *s, const char *which, int *i);

/* -- how far it is --------------------------------------------------------- */

/* Look at every run directory, and at Slurm's queue where there is one. */
enum status
sweep_look (struct sweep *s);
/* At one of them, without the queue.  What has finished after fewer steps has
 * stopped; a directory that holds another experiment is one that failed (64).
 */
void
sweep_look_at (struct sweep_run *r);
/* Is it neither finished nor running nor in the queue? */
bool
sweep_wants (const struct sweep_run *r);
/* Table, or comma-separated lines. */
void
sweep_list (const struct sweep *s, bool csv, struct text *out);
/* The last accuracy of every head on a split (NULL: test, or valid where there
 * is no test). */
enum status
sweep_table (const struct sweep *s, const char *split, bool csv,
             struct text *out);

/* -- Slurm ----------------------------------------------------------------- */

struct sweep_submit {
  const char *program; /* absolute path of interlock */
  const char *script;  /* NULL: looked for */
  int at_once, pack;   /* 0: the file's */
  bool dry;            /* say the commands only */
  int n_words;
  const char *const *words; /* for sbatch */
};
/* Give what sweep_wants says to sbatch; out gets the report. */
enum status
sweep_submit (struct sweep *s, const struct sweep_submit *how,
              struct text *out);

#endif
