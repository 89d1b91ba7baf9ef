/* train/train.h -- a training from its start to its end: what resumes by
 * itself, walks the steps, evaluates, saves, stops, and keeps the record of all
 * that in a run directory.
 *
 * Everything is Collective on world unless it says Local.  All ranks return the
 * same status, after its owner has spoken through a fence.
 */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include "wire/wire.h"

struct session; /* run/session.h */
struct stage_loss;

/* Everything that a start on so many ranks would be refused for that can be
 * known without tensors and without MPI, its directory included, as the status
 * that it would leave with.  Local. */
enum status
train_foresee (const struct config *c, int ranks);

/* From here on USR1, USR2, TERM and INT only set a flag that train_run looks
 * at, and no signal interrupts a kernel (base/signals.h).  Before MPI is
 * opened, so that a signal during the start is not lost.  E_MEMORY.  Local.
 */
enum status
train_catch_signals (void);
/* Trains, resuming by itself.  E_STOPPED: stopped early, all is saved. */
enum status
train_run (struct wire *w, const struct config *c);
/* Begin with the parameters of train.init, ours or other programs', where the
 * configuration names a file. */
enum status
train_init (struct session *s);
/* One step that nothing rides beside, for checks: *sum gets its losses, K of
 * all replicas; NULL: not wanted.  E_NUMBERS where one is not finite. */
enum status
train_lone_step (struct session *s, int64_t step, struct stage_loss *sum);

#endif
