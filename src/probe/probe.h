/* probe/probe.h -- what the outputs of stages still hold: linear probes,
 * spectra and similarity of large matrices, on ScaLAPACK.
 *
 * Who computes the outputs gives them in rows (probe_rows), on whichever rank
 * has them; turns (probe_turn) take them to the ranks that own them in the
 * grid, so that no rank ever holds a whole matrix.  Never touches a live run.
 */
#ifndef PROBE_PROBE_H
#define PROBE_PROBE_H

#include "base/status.h"
#include "base/text.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

#define PROBE_SIDES 8 /* checkpoints at most */
#define PROBE_WORD 64
#define PROBE_PATH 1024
#define PROBE_CLASSES 256

/* "ScaLAPACK", or that there is none. */
const char *
probe_describe (void);

struct probe_spec {
  bool wide;                /* double precision */
  int grid_rows, grid_cols; /* 0: as square as the ranks allow */
  int block;                /* 0: chosen */
  double memory_bytes;      /* of each rank; 0: what the machine has left */
  uint64_t seed;            /* of the division of the samples */
  int classes;              /* of tokens, at most; 0: PROBE_CLASSES */
};

struct probe;
/* E_UNSUPPORTED without ScaLAPACK; E_CONFIG when the grid does not fit the
 * ranks.  w is borrowed.  Collective on world: a fence. */
enum status
probe_open (struct wire *w, const struct probe_spec *spec, struct probe **out);
void
probe_close (struct probe **p);

/* One checkpoint.  All is borrowed during probe_begin only. */
struct probe_side {
  const char *name;
  int64_t step;
  int n_stages;
  const int64_t *width;      /* n_stages: columns of each stage's rows */
  const char *const *behind; /* n_stages: last block of the stage */
  int64_t n_samples;
  int64_t batch;         /* rows that one probe_rows gives at most */
  bool tokens;           /* classes: a vocabulary, which probe_begin cuts */
  int classes, threads;  /* threads: of this rank */
  const int32_t *labels; /* n_samples */
  uint64_t digest;       /* of the data set and split */
};
/* Of several sides: what each will be, before the first begins, in their order;
 * then, whether all of them together fit.  E_DATA and E_MEMORY as below;
 * nothing is made.  Collective on world: fences. */
enum status
probe_expect (struct probe *p, const struct probe_side *side);
enum status
probe_expected (struct probe *p);
/* Chooses grid and block (first side), says so, predicts the memory of the rank
 * that needs most and refuses (E_MEMORY, with numbers) when it is not there;
 * makes the matrices.  *per_turn: calls of probe_rows per stage between two
 * turns, at most.  Sides must have the same samples (E_DATA).  Collective on
 * world: a fence. */
enum status
probe_begin (struct probe *p, const struct probe_side *side, int *per_turn);
/* Rows [n, width] of a stage, samples first .. first+n-1; copied.  Local. */
enum status
probe_rows (struct probe *p, int stage, int64_t first, int64_t n,
            const float *rows);
/* Everything given so far goes to its owners.  Collective on world. */
enum status
probe_turn (struct probe *p);
/* All samples of all stages are there; E_NUMBERS when an output is not finite.
 * Collective on world: a fence. */
enum status
probe_end (struct probe *p);

/* Linear probe and spectrum of every stage, similarity of all stages of all
 * sides.  Collective on world. */
struct probe_result;
enum status
probe_study (struct probe *p, struct probe_result **out);
void
probe_result_destroy (struct probe_result **r);
/* Tables for people.  Local. */
void
probe_print (const struct probe *p, const struct probe_result *r,
             struct text *out);
/* The name for results of several checkpoints: as given, or with -2, -3 ..
 * where those of other checkpoints have it in dir.  Adds to out.  Local: on
 * root. */
void
probe_name (const struct probe *p, const char *dir, const char *given,
            struct text *out);
/* DIR/NAME.h5, DIR/NAME-stages.csv, -spectrum.csv, -cka.csv; words: what goes
 * into the file as attribute `asked`.  E_IO.  Local: on root. */
enum status
probe_write (const struct probe *p, const struct probe_result *r,
             const char *dir, const char *name, const char *words);

#endif
