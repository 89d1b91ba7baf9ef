/* report/pair_impl.h -- two runs side by side: where the record of one first
 * says something else than that of the other (pair*.c).
 */
#ifndef REPORT_PAIR_IMPL_H
#define REPORT_PAIR_IMPL_H

#include "report/report_impl.h"

struct side { /* one of the two */
  struct run run;
  const char *metrics; /* text of metrics.csv */
  struct store_history *history;
  struct store_found *found; /* n_found checkpoints; owned */
  int n_found;
};

/* What one kind of record says. */
struct apart {
  const char *kind;
  int steps;    /* rows or files that both have */
  int64_t same; /* the last one before any difference; -1: none */
  int64_t step; /* the first that differs; -1: none */
  int stage;    /* the first that differs there; -1: not known */
  bool before;  /* that one, or one before it */
  struct text words;
};

/* Digests of weights and losses in metrics.csv; checkpoints.  Each fills f,
 * whose words are its to begin and the caller's to clear. */
void
pair_digests (struct pool *p, const struct side *a, const struct side *b,
              struct apart *f);
void
pair_losses (struct pool *p, const struct side *a, const struct side *b,
             struct apart *f);
/* E_CHECKPOINT, E_MISSING: a file cannot be read. */
enum status
pair_checkpoints (struct pool *p, const struct side *a, const struct side *b,
                  struct apart *f);
/* What they are and run on: settings, program, libraries, machines. */
void
pair_facts (struct pool *p, const struct side *a, const struct side *b,
            struct text *out);

/* Whether stage k, and its head, are the same blocks in both. */
bool
pair_same_stages (const struct side *a, const struct side *b);
/* The stage of a tensor of a checkpoint, by its path: -1 where the
 * configuration does not tell.  paths: of all tensors, one a line. */
int
pair_stage (const struct words *config, const char *paths, const char *path);

#endif
