/* design/design_impl.h -- how a design is made, in parts. */
#ifndef DESIGN_DESIGN_IMPL_H
#define DESIGN_DESIGN_IMPL_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "design/design.h"

/* -- deriving things from the configuration (derive.c) ----------------------
 */

enum plan_mix
derive_mix (const struct config *c);
/* A table [K x K] of a reach in the words of strategy.span. */
enum status
derive_reach (const struct config *c, const char *words, double own, int K,
              double *route);
/* A matrix that several stages use moves with all of them.  It belongs to the
 * output: a frozen first stage would move with it, and without a loss there
 * nobody would move it.  E_CONFIG. */
enum status
derive_check_shared (const struct config *c, int K, const double *route);
enum plan_order
derive_order (const struct config *c);
enum optimizer_kind
derive_optimizer_kind (const struct config *c);
enum status
derive_optimizer (const struct config *c, struct optimizer *out);
/* steps: of the whole run. */
enum status
derive_schedule (const struct config *c, int64_t steps, struct schedule *out);
/* Ranks of a replica: those of all must divide. */
enum status
derive_pipe (const struct config *c, int ranks, int *n_pipe);
/* Every rank of a pipe must have one of K stages; cure: what to do about it,
 * for a message. */
enum status
derive_work (int n_pipe, int64_t K, int64_t R, const char *cure);
/* Samples of a micro-batch: the batch must divide; the same for another number
 * of micro-batches than the configuration's. */
enum status
derive_micro (const struct config *c, int64_t *n_samples);
enum status
derive_micro_of (const struct config *c, int64_t micro, int64_t *n_samples);
/* A preset's sizes where the configuration says none. */
void
derive_sizes (struct config *c);
/* Threads of each rank: --threads, else OMP_NUM_THREADS, else the affinity mask
 * shared fairly by the ranks that have it; the same on all ranks.  Warns on
 * ranks that share cores and on idle cores.  Collective on world. */
enum status
derive_threads (struct wire *w, const struct config *c, int *out);

/* What --threads or, without it, OMP_NUM_THREADS asks for; 0: nothing. */
int64_t
derive_asked (const struct config *c);

/* Threads of a rank as far as is known yet: 1 where none are asked for, or more
 * than a rank can have, which is refused later. */
int
derive_threads_known (const struct design *d);

/* Keep the message of a failed call as one more line. */
void
complaints_note (enum status s, struct complaints *said);

/* -- a strategy by hand (route.c) ------------------------------------------ */

/* A table [K x K] of rows with / between, numbers with blanks or commas; name:
 * what has it, for messages.  E_CONFIG. */
enum status
route_parse (const char *name, const char *text, int K, double *route);
/* The same, or a file after @, as rows in their plainest form, added where
 * nothing is wrong with them: that is added to said.  Collective, where
 * source->read is. */
enum status
route_rows (const struct config_source *source, const char *name,
            const char *words, int K, struct complaints *said,
            struct text *rows);
/* Words as the value of a key.  E_CONFIG: they are too long. */
enum status
route_keep (const struct key *k, const struct text *words, struct config *c);
/* Rows of strategy.route, from a file or as they stand, as they are written;
 * what is wrong with them is added to said, and then there is none.
 * Collective, where source->read is. */
void
route_resolve (const struct config_source *source, struct config *c,
               struct complaints *said);

/* -- a strategy that changes (dial.c) -------------------------------------- */

/* The phases of strategy.dial as they are written, tables in place of files;
 * as route_resolve. */
void
dial_resolve (const struct config_source *source, struct config *c,
              struct complaints *said);
/* What is wrong with it for c's stages and, where that is known, its number of
 * steps.  E_CONFIG. */
enum status
dial_check (const struct config *c);
/* Whether another number of steps would move a phase. */
bool
dial_follows_length (const struct config *c);
/* Whether two strategies have the same phases, table by table, c->count being
 * the same.  Local. */
bool
dial_same (const struct config *a, const struct config *b);

/* -- measured things (measure.c, costs.c) ---------------------------------- */

void
unit_costs_clear (struct unit_costs *u);
/* From counted work alone; heads here and below: by unit, NULL: none.  Local.
 */
enum status
unit_costs_guess (const struct network *net, int64_t n_samples,
                  const char *const *heads, struct unit_costs *out);
/* Of what is done at the border in front of unit `first`, which is too little
 * to be measured: guessed. */
struct stage_cost
unit_costs_border (const struct design *d, int first);
/* Measured by all ranks at once, each a share, so that what ranks take from
 * each other (memory bandwidth) is in it.  Collective on world. */
enum status
unit_costs_measure (struct wire *w, struct kernels *k,
                    const struct network *net, int64_t n_samples,
                    const char *const *heads, struct unit_costs *out);
/* The sum of all. */
double
unit_costs_seconds (const struct unit_costs *u);
/* All ranks as a team for stage_tune.  Local; borrows w. */
void
unit_costs_team (struct wire *w, struct stage_team *out);
/* As text lines for the run directory, and back (false: of another network,
 * machine or batch). key: what they depend on. */
void
unit_costs_print (const struct unit_costs *u, const char *key,
                  struct text *out);
bool
unit_costs_parse (const char *text, const char *key, int n,
                  struct unit_costs *out);

/* Seconds of an update, per parameter: read w, g, v, write w, v at 8 GB/s. */
#define DESIGN_UPDATE_S (20 / 8e9)
/* The same of a square of a gradient that is summed, of a shared matrix's
 * gradients that are added up, and of its values that are copied in and out. */
#define DESIGN_SQUARES_S (4 / 8e9)
#define DESIGN_FOLD_S (12 / 8e9)
#define DESIGN_COPY_S (16 / 8e9)
/* Costs for micro-batches of so many samples from measured ones: those of that
 * size, else on the line through the two nearest sizes, else in proportion.
 * E_CONFIG: of another network.  Local. */
enum status
design_costs_take (const struct design_costs *c, const struct network *net,
                   int64_t n_samples, const char *head, struct unit_costs *out);

/* The same from spec.kept: of each number the lower quartile of those that are
 * told.
 * E_CONFIG: none is of this network and size, or none has its heads.  Local. */
enum status
design_costs_kept (const struct design *d, struct unit_costs *out);

/* -- making one ---------------------------------------------------------------
 */

/* What the options of a plan ask for. */
struct design_spec
design_spec_of (const struct design_plan_spec *o);
/* A text of the run directory, or of a file (dir ""), on all ranks, owned by
 * the caller; "" when there is none, or dir is NULL.  Collective on world. */
enum status
design_read_text (struct design *d, const char *dir, const char *name,
                  char **out);

/* -- the cut and the heads (stages.c) --------------------------------------
 */

/* Both from the configuration; what a measured cut decides is left to
 * design_make_plan: d->first NULL, and with heads by stage d->head NULL, too.
 * Local. */
enum status
design_stages (struct design *d);
void
design_stages_clear (struct design *d);
/* Whether any stage but the last has a head. */
bool
design_wants_heads (const struct design *d);
/* Heads, and where their costs are asked for, when the cut is there. */
enum status
design_heads (struct design *d);
/* Weighed operations of the units from .. end - 1, both gradients with them. */
double
design_counted (const struct design *d, int from, int end);
/* The cut that makes these even. */
enum status
design_counted_cut (const struct design *d, int *first);
/* The head of stage k if it were the units from .. end - 1; and the one that
 * stages.head = auto would take, with its part of the stage's work. */
enum status
design_head_of (const struct design *d, int k, int from, int end,
                char grammar[CONFIG_TEXT]);
enum status
design_head_auto (const struct design *d, int from, int end,
                  char grammar[CONFIG_TEXT], double *share);
/* What a head takes behind these units: as its work is to theirs. */
enum status
design_head_guess (const struct design *d, int from, int end,
                   const char *grammar, struct stage_cost *out);
/* The same of all stages whose heads' costs are not known, into d->costs. */
enum status
design_head_costs (struct design *d);
/* How even the cut is and what heads cost, as lines (balance.c). */
void
design_show_balance (const struct design *d, struct text *out);
/* Both into the configuration. */
void
design_settle_stages (struct design *d);
/* choices.c.  Root, Local: tune.txt. */
enum status
design_put_tuning (const struct design *d, struct store_run *run);
/* Root, Local: costs.txt. */
enum status
design_put_costs (const struct design *d, struct store_run *run);
/* d->costs as the text of costs.txt, and back: of these very heads. */
void
design_costs_print (const struct design *d, struct text *out);
bool
design_costs_parse_own (struct design *d, const char *text);
/* Costs of blocks, from the cache or measured; and from costs.txt before that.
 * Collective on world. */
enum status
design_find_costs (struct design *d);
enum status
design_open_costs (struct design *d);
/* Where runs of a sweep share a measured cut, once costs are there: sets
 * d->shared.  E_IO, E_CONFIG.  Collective on world. */
enum status
design_share_cut (struct design *d);
/* What blocks compute, a line each; heads: and those behind them.  Local. */
void
design_describe_blocks (const struct design *d, bool heads, struct text *out);
/* No kernel is used before it was compared with plain arithmetic: those that
 * the network may use, on all ranks, whatever the choices come from.  What is
 * new is kept with the choices.  Collective. */
enum status
design_prove (struct design *d);
/* What costs.txt of a run of d's network and size tells; *heads: of the heads
 * of its stages, too.  False: it is of another.  Local. */
bool
design_costs_parse (const struct design *d, const char *text, bool *heads,
                    struct unit_costs *out);
/* -- what earlier starts of any run have found (cached.c) -------------------
 */

enum design_cached {
  DESIGN_CHOICES,
  DESIGN_PROOFS,
  DESIGN_COSTS,
  DESIGN_CACHED
};
/* Once kernels are open: sets d->cache.  Collective on world. */
enum status
design_cache_open (struct design *d);
/* Kernel choices into the table, proofs of kernels, or costs of blocks into
 * d->costs, where there are some and the root wants them.  Collective on world.
 */
enum status
design_cache_take (struct design *d, enum design_cached which, bool wanted,
                   bool *taken);
/* What d has of them, for others; the root does.  Local. */
void
design_cache_put (const struct design *d, enum design_cached which);
/* Agree with all ranks on what is computed with, and open the kernels
 * (kernels.c).  Sets threads and kernels.  Collective on world: a fence. */
enum status
design_kernels (struct design *d);

/* Choose kernels (tuning.c), and prove what is chosen.  Collective on world. */
enum status
design_open_tuning (struct design *d);

/* design_sketch in steps.  Data and network; then, as often as wanted, the
 * costs of blocks in micro-batches of so many samples; then the plan for K, M,
 * config.span and config.run_schedule as they stand in d.  tuned: kernels are
 * chosen already.  The first two are Collective on world. */
enum status
design_blocks (struct wire *w, const struct config *c,
               const struct design_spec *spec, struct design *d);
enum status
design_recost (struct design *d, int64_t n_samples, bool tuned);
enum status
design_replan (struct design *d, int n_pipe);
/* The last of these: cut, costs of stages and plan, from route and costs of
 * blocks.  Local. */
enum status
design_make_plan (struct design *d, int n_pipe);
/* Those of all phases. */
void
design_drop_plans (struct design *d);
/* Whether costs of heads are known behind every unit. */
bool
design_knows_heads (const struct design *d);
/* The cut that makes stages even in time, once it is known what they do. */
enum status
design_measured_cut (const struct design *d, int *first);
/* What stages do together, of the network and the configuration. */
void
design_joint (const struct design *d, struct plan_joint *out);
/* The program itself, MPI and the other libraries, kernels that were compiled
 * and the roundings of large blocks: what a rank's resident memory is beyond
 * its stages, 59 to 67 MB in runs of language models. */
#define DESIGN_PROGRAM_BYTES 62e6
/* Memory of the loaders of a rank with stage 0, by their sizes (feed.c).
 * Local. */
double
design_feed_bytes (const struct design *d);
/* Sets cores.  Collective on world. */
void
design_count_cores (struct design *d);
/* Sets decode_s, by decoding some images.  Local. */
void
design_measure_feed (struct design *d);
/* Images per second of decoding beside what plan p needs; nothing where that
 * is not known.  Local. */
void
design_show_feed (const struct design *d, const struct plan *p,
                  struct text *out);
/* E_MEMORY when the ranks of a node need more, by the plan, than there is; the
 * plan may be another one then.  Collective on world. */
enum status
design_check_memory (struct design *d);
/* The same before anything is measured, with guessed costs; leaves no plan.
 * Collective on world. */
enum status
design_foresee_memory (struct design *d);
/* Raises what is asked of stage k to what one plan does. */
void
design_needs_raise (const struct plan *p, int k, struct design_needs *n);
/* Memory of such a stage, if it were the units from .. end - 1; stages of a
 * rank work in the same. */
struct stage_bytes
design_range_bytes (const struct design *d, const struct design_needs *need,
                    int from, int end);

/* The plan as JSON (show_json.c).  E_MEMORY. */
enum status
design_plan_json (const struct design *d, struct text *out);

#endif
