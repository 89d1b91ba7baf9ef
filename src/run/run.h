/* run/run.h -- the engine: what it does with a checkpoint.
 *
 * The commands of the program that touch a network.  main makes a struct
 * config; everything here is Collective on world unless it says Local.  All
 * ranks return the same status, after its owner has spoken through a fence.
 */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

/* Metrics of every head of a checkpoint on a split. c: as the checkpoint's own
 * configuration, with later words applied. */
enum status
run_eval (struct wire *w, const struct config *c, const char *checkpoint,
          const char *split);
struct run_generate {
  const char *prompt; /* NUL-terminated */
  int64_t tokens;     /* at most so many more */
  double temperature; /* 0: the likeliest */
  int64_t top_k;      /* 0: all */
  int64_t seed;
  int head; /* -1: the last */
};
/* Prompt and what a checkpoint's network goes on with, to stdout of root. */
enum status
run_generate (struct wire *w, const struct config *c, const char *checkpoint,
              const struct run_generate *g);
/* Outputs of every stage of a checkpoint on the first `samples` samples of a
 * split (0: all), given to a sink on the ranks that compute them.  Any number
 * of ranks: those that stages leave over become replicas.
 *
 * Of tokens positions are the samples, and the next token is the label: as many
 * as asked for, drawn by the seed among the first windows that hold
 * RUN_FEATURES_SPREAD times as many (or all there are), in the order of the
 * split. */
#define RUN_FEATURES_SPREAD 8
struct run_shape { /* all borrowed */
  int n_stages;
  const int64_t *width;      /* n_stages: numbers in a row */
  const char *const *behind; /* n_stages: last block of each stage */
  int64_t n_samples, batch;  /* batch: rows at most in one call */
  bool tokens;               /* samples are positions, classes the vocabulary */
  int classes, threads;      /* threads: of this rank */
  const int32_t *labels;     /* n_samples */
  uint64_t digest;           /* of the data set, split and number */
  int64_t step;              /* of the checkpoint */
};
struct run_sink {
  /* *per_turn: batches between two turns.  Collective on world. */
  enum status (*begin) (void *context, const struct run_shape *shape,
                        int *per_turn);
  /* Samples first .. first+n-1 of a stage, [n, width].  Local. */
  enum status (*rows) (void *context, int stage, int64_t first, int64_t n,
                       const float *rows);
  /* Equally often on all ranks.  Collective on world. */
  enum status (*turn) (void *context);
  void *context;
};
struct run_features {
  const char *checkpoint, *split;
  int64_t samples;
  bool pooled;   /* means over height and width; else whole maps; images */
  uint64_t seed; /* of the choice of positions */
  bool look;     /* begin alone is called; no outputs are computed */
  bool classes;  /* a number of classes was asked for: E_CONFIG of images */
};
enum status
run_features (struct wire *w, const struct config *c,
              const struct run_features *ask, const struct run_sink *sink);

#endif
