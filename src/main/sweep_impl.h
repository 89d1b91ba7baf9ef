/* main/sweep_impl.h -- an open sweep file, as the command `sweep` has it. */
#ifndef MAIN_SWEEP_IMPL_H
#define MAIN_SWEEP_IMPL_H

#include "main/main.h"
#include "sweep/sweep.h"

struct sweep_set {
  struct sweep sweep;
  char *text, *base_text; /* owned */
};

/* Read the file and its base, expand it, refuse what is wrong with either; *t
 * is zero but for sweep.count, and can be closed in any case.  Collective on
 * world.
 */
enum status
sweep_set_open (struct sweep_set *t, const char *path, struct wire *w);
void
sweep_set_close (struct sweep_set *t);
/* Everything that can be found wrong in any of the runs, as one refusal, or the
 * good news into out (sweep_check.c).  Local. */
enum status
sweep_set_check (struct sweep_set *t, struct text *out);

/* Whether words that make `now` out of `set` are for one start of run i only:
 * E_CONFIG with those that belong to the set.  Local. */
enum status
sweep_set_words (const struct sweep *s, int i, const struct config *set,
                 const struct config *now, const struct given *g);

#endif
