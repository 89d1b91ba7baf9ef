/* model/kernels.h -- what rooms above may know of kernels: that a rank has
 * some, what they were chosen and proven to be, and that stages are made with
 * them.
 *
 * A struct kernels is the library, opened once per rank, and the table of
 * choices for one network.  All calls are Local, but those that are given a
 * team.
 */
#ifndef MODEL_KERNELS_H
#define MODEL_KERNELS_H

#include "base/status.h"
#include "base/text.h"
#include "model/stage.h"
#include <stdbool.h>

struct kernels;

/* -- levels of instructions, by the library's names ------------------------ */

/* The highest that would be used here; the one in use, settled from here on. */
const char *
kernels_level_have (void);
const char *
kernels_level_use (void);
/* The highest that both include. */
const char *
kernels_level_common (const char *a, const char *b);
/* The level that run.isa = word asks for, where all ranks have `common`.
 * groups: who has what, "" where all have the same; whose: the ranks, for a
 * message.  Fails with E_UNSUPPORTED, E_MISSING. */
enum status
kernels_level_choose (const char *word, const char *common, const char *groups,
                      const char *whose, const char **out);
/* Before the first kernels are opened. */
enum status
kernels_level_limit (const char *level);

/* -- the library ------------------------------------------------------------
 */

/* "oneDNN 2.6.3 (52b5f107), OpenMP"; "f32, arithmetic strict".  Static. */
const char *
kernels_library (void);
const char *
kernels_numbers (void);
/* threads: >= 1.  narrow: in bf16 (kern_precision).  With an empty table.
 * Owned by the caller. */
enum status
kernels_open (int threads, bool narrow, struct kernels **out);
void
kernels_close (struct kernels **k);
/* "oneDNN 2.6.3, avx512_core, OpenMP"; lives as long as k. */
const char *
kernels_describe (const struct kernels *k);
/* In bf16 with kernels for it (kern_native). */
bool
kernels_native (const struct kernels *k);
/* Channels of a block of the inner layout. */
int
kernels_block (const struct kernels *k);

/* -- choices -----------------------------------------------------------------
 */

/* An empty table again. */
enum status
kernels_forget (struct kernels *k);
/* The table as text, and back; origin: of the text, for messages. */
void
kernels_print (const struct kernels *k, struct text *out);
enum status
kernels_parse (struct kernels *k, const char *text, const char *origin);
/* The machine that the choices were made with, where that is not this one;
 * NULL: it is. */
const char *
kernels_elsewhere (const struct kernels *k);
/* What the chosen ones took where they were measured; 0: they were not. */
double
kernels_seconds (const struct kernels *k);
/* By rule, and by measuring (stage_tune); heads: by unit, or NULL.  was: the
 * choices of the checkpoint to go on from, NULL or "" where there is none: its
 * products and batch normalisation stay those of its version. */
enum status
kernels_choose_by_rule (struct kernels *k, const struct network *net,
                        const char *was);
enum status
kernels_choose (struct kernels *k, const struct network *net, int64_t n_samples,
                const char *const *heads, const struct stage_team *team);

/* -- verdicts ----------------------------------------------------------------
 */

/* Compare what the network may use with plain arithmetic, unless it is known
 * (stage_prove).  mine: of this rank so far; agreed on first. */
enum status
kernels_prove (struct kernels *k, const struct network *net, int64_t n_samples,
               const char *const *heads, const struct stage_team *team,
               enum status mine);
/* Believe what was found out before: of the table, and of a text that
 * kernels_print has made. */
enum status
kernels_believe (struct kernels *k);
enum status
kernels_believe_text (struct kernels *k, const char *text, const char *origin);
/* How many were compared; they as text, and the table with them. */
int
kernels_proven (const struct kernels *k);
void
kernels_print_proofs (const struct kernels *k, struct text *out);
void
kernels_print_all (const struct kernels *k, struct text *out);
/* To the log: each that is right, "ok N - ...", and how many; what was dropped.
 */
void
kernels_say_proofs (const struct kernels *k, int *right, int *dropped);
void
kernels_say_dropped (struct kernels *k);

/* -- stages ------------------------------------------------------------------
 */

/* stage_create and stage_measure with these kernels; spec's tuning is not
 * looked at. */
enum status
kernels_stage (struct kernels *k, struct stage_spec *spec, struct stage **out);
enum status
kernels_measure (struct kernels *k, const struct network *net,
                 int64_t n_samples, int n, struct stage_measured *list);
/* After the last stage: room for what they share. */
enum status
kernels_seal (struct kernels *k);

#endif
