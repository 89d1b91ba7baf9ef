/* design/ask.h -- what can be asked about a configuration before there is a
 * tensor: whether it is right, what it needs, how long a step takes, where
 * which strategy is fastest.
 *
 * Local unless said otherwise, and without MPI.
 */
#ifndef DESIGN_ASK_H
#define DESIGN_ASK_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include "design/map.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

/* -- from words to a configuration (check_config.c) ------------------------ */

/* config_parse, and the sizes of a Transformer that are not given are its
 * preset's.  Local. */
void
design_configure_parse (const struct config_source *source, struct config *out,
                        struct complaints *said);
/* The same, and everything else that can be found wrong without data or ranks.
 * Local. */
void
design_configure_collect (const struct config_source *source,
                          enum config_use use, struct config *out,
                          struct complaints *said);
/* The same, with all complaints kept as one message: E_CONFIG, and *out is as
 * before.  Local. */
enum status
design_configure (const struct config_source *source, enum config_use use,
                  struct config *out);

/* -- what a configuration changes against another (changes.c) ---------------
 */

/* Add "WHAT IS, was WAS" to a list. */
void
changes_add (struct text *out, const char *what, const char *is,
             const char *was);
/* Add "SECTION.KEY = IS, was WAS" to a list. */
void
changes_say (struct text *out, const struct key *k, const char *is,
             const char *was);
/* Give c what the run of which `was` was read began with, where only its
 * beginning depended on that, and says so; and its cut and heads, where c
 * leaves them to be chosen. */
void
changes_keep (const struct ini *was, struct config *c);
/* Whether c has another value of a key than the text that `was` was read from;
 * no, where that has none. */
bool
changes_key (const struct ini *was, const struct config *c,
             const struct key *k);
/* What c tells of the network in other words. */
void
changes_network (const struct ini *was, const struct config *c,
                 struct text *out);
/* What makes another run, and what changes bits. */
void
changes_find (const struct ini *was, const struct config *c,
              struct text *refused, struct text *bits);
/* Whether c is another experiment than another configuration says: what
 * differs is added to other.  Files are not opened: where a path differs that
 * is no difference here.  Local. */
void
design_compare (const struct config *c, const struct ini *was,
                struct text *other);

/* -- what it comes to -------------------------------------------------------
 */

/* Steps of the whole run on a training split of so many samples.  Local. */
int64_t
design_steps (const struct config *c, int64_t samples);
/* What a run on `ranks` ranks will need, from its plan: opens the data set,
 * makes the network and the timetable, but no tensor.  Fails with what training
 * would fail with.  Local; no MPI. */
struct design_estimate {
  double most_bytes; /* of the rank that needs most memory */
  int rank;          /* which */
};
enum status
design_estimate (const struct config *c, int ranks,
                 struct design_estimate *out);

/* Whether a configuration divides into so many ranks.  Local. */
enum status
design_check_ranks (const struct config *c, int size);
/* Find out what this machine has, before MPI is opened: a process is started
 * that asks.  Local. */
void
design_ask_machine (void);

/* One line naming the kernel library, for --version.  Local. */
const char *
design_describe_kernels (void);
/* What a machine takes for blocks and messages: measured once, by
 * design_calibrate, for any number of predictions. */
#define DESIGN_SIZES 8
/* forward, data, weights; of the head the same; saved, input (model/stage.h) */
#define DESIGN_COST_NUMBERS 8
struct design_costs {
  char network[CONFIG_TEXT]; /* which it is; compared */
  int ranks, threads;        /* that were at work */
  struct wire_link link;
  int n_units, n_sizes;
  int64_t samples[DESIGN_SIZES]; /* of a micro-batch, ascending */
  double *seconds; /* n_sizes x n_units x DESIGN_COST_NUMBERS; owned */
};
enum status
design_costs_open (struct design_costs *c); /* n_units, n_sizes are set */
void
design_costs_close (struct design_costs *c);
/* Blocks in micro-batches of each of the sizes (samples, n_sizes of them), and
 * the links between ranks.  Collective on world. */
enum status
design_calibrate (struct wire *w, const struct config *c, int n_sizes,
                  const int64_t *samples, struct design_costs *out);
/* Assumed of messages where nothing was measured or given. */
#define DESIGN_LATENCY_S 2e-5
#define DESIGN_BYTES_PER_S 5e9
/* Seconds of a step, in each phase of a run: from step first[i] on. */
struct design_pace {
  int n;
  int64_t first[CONFIG_PHASES];
  double step_s[CONFIG_PHASES];
};
/* The pace of a run as its plan has it on so many ranks: from the
 * costs of its blocks, of which `kept` are texts of costs.txt (n of them: the
 * run's own, and those of runs of the same network, cut and threads; of several
 * the lower quartiles count), and from messages as assumed above.  E_CONFIG
 * where the run does not fit the ranks, or no text its network; E_MISSING:
 * there is no text, or no data set.
 * Local; no MPI. */
enum status
design_predict (const struct config *c, int ranks, int n,
                const char *const *kept, struct design_pace *out);
/* What `interlock plan` prints for n_pipe ranks per replica.  Local; no MPI.
 * unit_costs: forward = data = weights = 1. measure: time the blocks here. */
struct design_plan_spec {
  int ranks;   /* world size to plan for */
  int columns; /* of the Gantt */
  bool unit_costs, measure, list;
  bool json; /* one document, for programs, in place of words */
  const struct design_costs *costs; /* borrowed; NULL: guessed, or measured */
  double latency_s, bytes_per_s;    /* of messages; -1, 0: assumed */
};
enum status
design_plan (const struct config *c, const struct design_plan_spec *o,
             struct text *out);
/* Fills in m, opened with all axes set.  As many stages as the network has
 * blocks: the network, cut as `plan` would; more: a chain of mean blocks.
 * o->ranks: at most so many ranks (0: one per stage).  Local; no MPI. */
enum status
design_map (const struct config *c, const struct design_plan_spec *o,
            struct map *m);

#endif
