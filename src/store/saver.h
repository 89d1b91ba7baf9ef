/* store/saver.h -- checkpoints written beside the steps.
 *
 * A thread per rank does the work in four legs (digests; root makes the file;
 * every rank writes, syncs and reads back its own part; root compares and
 * renames), and after each leg the ranks tell each other in a round of wire,
 * which each joins when it gets there.  The file is the same, byte for byte, as
 * that of store_checkpoint_write.
 */
#ifndef STORE_SAVER_H
#define STORE_SAVER_H

#include "store/checkpoint.h"

struct store_saver;
struct store_saved {
  enum status status; /* E_NUMBERS: abandoned */
  char message[768];  /* why not; "" when saved */
  char warning[512];  /* root: saved, but old files could not be removed */
  char path[1024];
  int64_t step, bytes; /* bytes: of all tensors */
  double write_s;      /* the slowest rank's write and sync */
  double total_s;      /* from begin to the end, on this rank */
  struct store_digests digests;
};
/* tensors: this rank's, with data in memory that stays until close; each of
 * them is given by exactly one rank (n may be 0).  run: root, may be NULL;
 * keep: as store_checkpoint_prune of dir, 0: all.  Data of STORE_PAGED bytes or
 * more should begin at a multiple of STORE_PAGE in memory: they go to the disk
 * without a copy.  Collective on world. */
#define STORE_PAGED 16384
#define STORE_PAGE 4096
enum status
store_saver_open (struct wire *w, const struct store_tensor *tensors, int n,
                  const struct store_run *run, const char *dir, int64_t keep,
                  struct store_saver **out);
/* Not while busy: begin to write what the tensors' memory holds now; it must
 * not change until the saver is idle.  Local; the same saves on all ranks. */
void
store_saver_begin (struct store_saver *v, const char *path, int64_t step);
/* Root, once after begin: the file may be made, with these attributes (copied).
 * NULL: it must not; the save is given up.  Local. */
enum status
store_saver_describe (struct store_saver *v, const struct store_attributes *a);
/* Root: whether a begun save waits for that. */
bool
store_saver_waits (const struct store_saver *v);
bool
store_saver_busy (const struct store_saver *v);
/* Move it on, if it can; cheap.  Suited to pulse_hook.  Local. */
void
store_saver_push (struct store_saver *v);
/* Move it on.  True once for each begin: it is over, *out says how, the same on
 * all ranks (not at the same time).  Local. */
bool
store_saver_poll (struct store_saver *v, struct store_saved *out);
/* Local; waits for what the thread is doing. */
void
store_saver_close (struct store_saver **v);

#endif
