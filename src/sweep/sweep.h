/* sweep/sweep.h -- a set of runs from one file: what crosses what, which runs
 * that gives, how far each of them is, and how the rest is given to Slurm.
 *
 * The grammar of a sweep file is in interlock(5).  Nothing here trains.
 * Everything is Local.
 */
#ifndef SWEEP_SWEEP_H
#define SWEEP_SWEEP_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include "data/data.h"
#include "store/run.h"
#include <stdbool.h>
#include <stdint.h>

/* How like the configuration of a run is what lies in a directory. */
enum sweep_like {
  SWEEP_SAME,
  SWEEP_MOVED,  /* but for where files lie */
  SWEEP_LENGTH, /* but for its length */
  SWEEP_OTHER
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
  struct config_source source; /* texts of file and base; borrowed */
  bool count;             /* steps that depend on the data set are wanted */
  struct config c;        /* of the words that were resolved last */
  char data[CONFIG_PATH]; /* the set that was looked at last ... */
  struct data_info info;  /* ... and what is in it */
  char *file;             /* for messages; owned, as all texts here */
  char *name, *root;      /* defaults: from the file's name */
  char *base;             /* NULL: none; path, beside the sweep file */
  char *script;           /* NULL: looked for */
  int ranks;              /* of a run, at most; 0: one for each stage */
  int at_once, pack;      /* 0: no limit; 1: one run in a job */
  double memory_bytes;    /* of a rank; 0: not said */
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
sweep_init (struct sweep *s, const char *file);
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
/* Make s->c from the texts and these words.  Adds what is wrong with it, a line
 * each, and returns how many. */
int
sweep_resolve (struct sweep *s, int n, const char *const *words,
               struct text *wrong);
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
/* Folder of the measured cuts that its runs share. */
#define SWEEP_CUTS "cuts"
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
  const char *script;  /* NULL: looked for ... */
  const char *jobs;    /* ... at last in this folder, "DIR/"; NULL: none */
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
