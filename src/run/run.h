/* run/run.h -- the engine: evaluate, generate, plan.
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
#include "map/map.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

/* -- from words to a configuration (check_config.c) ------------------------ */

/* config_parse, and the sizes of a Transformer that are not given are its
 * preset's.  Local. */
void
run_configure_parse (const struct config_source *source, struct config *out,
                     struct complaints *said);
/* The same, and everything else that can be found wrong without data or ranks.
 * Local. */
void
run_configure_collect (const struct config_source *source, enum config_use use,
                       struct config *out, struct complaints *said);
/* The same, with all complaints kept as one message: E_CONFIG, and *out is as
 * before.  Local. */
enum status
run_configure (const struct config_source *source, enum config_use use,
               struct config *out);

/* Steps of the whole run on a training split of so many samples.  Local. */
int64_t
run_steps (const struct config *c, int64_t samples);
/* What a run on `ranks` ranks will need, from its plan: opens the data set,
 * makes the network and the timetable, but no tensor.  Fails with what training
 * would fail with.  Local; no MPI. */
struct run_estimate {
  double most_bytes; /* of the rank that needs most memory */
  int rank;          /* which */
};
enum status
run_estimate (const struct config *c, int ranks, struct run_estimate *out);

/* Find out what this machine has, before MPI is opened: a process is started
 * that asks.  Local. */
void
run_ask_machine (void);

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
/* One line naming the kernel library, for --version.  Local. */
const char *
run_describe (void);
/* What a machine takes for blocks and messages: measured once, by
 * run_calibrate, for any number of predictions. */
#define RUN_SIZES 8
/* forward, data, weights; of the head the same; saved, input (model/stage.h) */
#define RUN_COST_NUMBERS 8
struct run_costs {
  char network[CONFIG_TEXT]; /* which it is; compared */
  int ranks, threads;        /* that were at work */
  struct wire_link link;
  int n_units, n_sizes;
  int64_t samples[RUN_SIZES]; /* of a micro-batch, ascending */
  double *seconds;            /* n_sizes x n_units x RUN_COST_NUMBERS; owned */
};
enum status
run_costs_open (struct run_costs *c); /* n_units, n_sizes are set */
void
run_costs_close (struct run_costs *c);
/* Blocks in micro-batches of each of the sizes (samples, n_sizes of them), and
 * the links between ranks.  Collective on world. */
enum status
run_calibrate (struct wire *w, const struct config *c, int n_sizes,
               const int64_t *samples, struct run_costs *out);
/* Assumed of messages where nothing was measured or given. */
#define RUN_LATENCY_S 2e-5
#define RUN_BYTES_PER_S 5e9
/* What `interlock plan` prints for n_pipe ranks per replica.  Local; no MPI.
 * unit_costs: forward = data = weights = 1. measure: time the blocks here. */
struct run_plan_options {
  int ranks;   /* world size to plan for */
  int columns; /* of the Gantt */
  bool unit_costs, measure, list;
  const struct run_costs *costs; /* borrowed; NULL: guessed, or measured */
  double latency_s, bytes_per_s; /* of a message; -1, 0: RUN_LATENCY_S, ... */
};
enum status
run_plan (const struct config *c, const struct run_plan_options *o,
          struct text *out);
/* Fills in m, opened with all axes set.  As many stages as the network has
 * blocks: the network, cut as `plan` would; more: a chain of mean blocks.
 * o->ranks: at most so many ranks (0: one per stage).  Local; no MPI. */
enum status
run_map (const struct config *c, const struct run_plan_options *o,
         struct map *m);

#endif
