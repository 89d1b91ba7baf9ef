/* sweep/sweep_impl.h -- the inside of a sweep. */
#ifndef SWEEP_SWEEP_IMPL_H
#define SWEEP_SWEEP_IMPL_H

#include "sweep/sweep.h"

#define SWEEP_VALUES 1000  /* of one key */
#define SWEEP_RUNS 20000   /* of one file */
#define SWEEP_CONDITIONS 8 /* in one line `exclude` */

enum sweep_compare {
  SWEEP_EQUAL,
  SWEEP_UNEQUAL,
  SWEEP_LESS,
  SWEEP_AT_MOST,
  SWEEP_GREATER,
  SWEEP_AT_LEAST
};

struct sweep_condition {
  char *left;  /* section.key; owned */
  char *right; /* section.key or a value; owned */
  bool right_is_key;
  enum sweep_compare compare;
};

struct sweep_rule { /* true when all conditions are */
  int n;
  struct sweep_condition condition[SWEEP_CONDITIONS];
};

/* resolve.c: of the configuration that was resolved last: a value (NULL: its
 * own) in a form that compares equal for equal meanings. */
void
sweep_get (const struct sweep *s, const char *name, const char *value,
           struct text *out);
/* All that tells one run from another, as text; not its directory. */
void
sweep_canonical (const struct sweep *s, struct text *out);
/* How like another configuration it is; in keys that are swept no value differs
 * between runs that are the same. */
enum sweep_like
sweep_likeness (const struct sweep *s, const struct ini *was);
/* Ranks to start it on. */
int
sweep_ranks (const struct sweep *s);
/* Its steps; 0 when that cannot be told. */
int64_t
sweep_steps (struct sweep *s);

/* line.c: a complaint with FILE:LINE (line 0: FILE alone). */
void
sweep_complain (struct sweep *s, int line, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));
/* The next part of a list, without blanks around, into *part (owned by the
 * caller), or false at the end. */
bool
sweep_next (const char **at, const char *separators, char **part);
/* rule.c: one line `exclude`, read and asked. */
void
sweep_rule_read (struct sweep *s, int line, const char *text);
bool
sweep_rule_holds (const struct sweep *s, const struct sweep_rule *r);
void
sweep_rule_clear (struct sweep_rule *r);

/* expand.c: whether two names of a run, or of its directory, end in the same
 * hash. */
bool
sweep_same_id (const char *a, const char *b);

/* look.c: what Slurm has of this user: lines "JOB ARRAY TASK STATE"; "" when
 * it cannot be asked. */
enum status
sweep_queue (char **out);
/* Is there a line whose `field`-th word and the one behind it are these?  b
 * NULL: that field alone. */
bool
sweep_queue_has (const char *queue, int field, const char *a, const char *b);

/* submit.c: folder of lists and of what was submitted. */
#define SWEEP_FOLDER "submitted"

#endif
