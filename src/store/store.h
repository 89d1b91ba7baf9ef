/* store/store.h -- what lies in files: checkpoints, runs, results.
 *
 * The only room that knows HDF5; data and import see it by store/raw.h.
 * Formats are those of the manual page interlock(5).  Local unless it says
 * Collective.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/status.h"
#include "base/tensor.h"
#include "base/text.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Start the library of files before MPI: it would end itself in MPI_Finalize
 * otherwise, and crash there when a file could not be closed, as on a full
 * disk. Local. */
void
store_start (void);
const char *
store_describe (void); /* "HDF5 1.10.8 (parallel)" */

/* -- checkpoints ----------------------------------------------------------- */

/* Three digests of a whole training state: the same lines give the same words,
 * whoever held the tensors. */
struct store_digests {
  char weights[33];   /* of /model and /heads */
  char optimizer[33]; /* of /optimizer */
  char state[33];     /* of step, epoch, sample, seed, order, data set */
};

struct store_attributes {
  int64_t step, epoch, sample, seed;
  const char *config;   /* resolved configuration, text */
  const char *tuning;   /* kernel choices, text; may be "" */
  const char *library;  /* library versions, threads, ISA */
  const char *order;    /* "shuffle", "sequential"; NULL or "": not known */
  const char *data;     /* digest of the data set; NULL or "": not known */
  const char *metrics;  /* rows of metrics.csv without times; as order */
  const char *progress; /* sums of the row under way; as order */
  /* As the file says; empty where it does not.  Not read by writing, which
   * computes them. */
  struct store_digests digests;
};
/* From lines "PATH DIGEST", sorted, of all tensors of a checkpoint. */
void
store_checkpoint_digests (const char *lines, const struct store_attributes *a,
                          struct store_digests *out);
/* One tensor of this rank.  path: full ("/model/conv1.weight",
 * "/heads/1/0.weight", "/optimizer/momentum/model/conv1.weight"). */
struct store_tensor {
  char path[TENSOR_NAME + 64];
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  void *data; /* plain layout; borrowed during the call */
  enum tensor_type type;
};
size_t
store_tensor_bytes (const struct store_tensor *t);
struct store_run;
struct store_saved;
struct store_how {
  bool collective;             /* transfers of parallel HDF5 */
  const struct store_run *run; /* root: asked store_run_mine before the rename;
                                  NULL: nobody else is about */
  struct store_saved *saved;   /* filled but for message; may be NULL */
};
/* Write a whole checkpoint: every tensor is given by exactly one rank of the
 * world (n may be 0).  Parallel HDF5 under another name, closed, synced, read
 * back and verified against the digests, renamed.  E_IO leaves the old files
 * untouched.  how NULL: independent.  Collective on world; all ranks return the
 * same. */
enum status
store_checkpoint_write (struct wire *w, const char *path,
                        const struct store_attributes *a,
                        const struct store_tensor *tensors, int n,
                        const struct store_how *how);

/* A saver writes checkpoints beside the steps: a thread per rank does the work
 * in four legs (digests; root makes the file; every rank writes, syncs and
 * reads back its own part; root compares and renames), and after each leg the
 * ranks tell each other in a round of wire, which each joins when it gets
 * there.  The file is the same, byte for byte, as that of
 * store_checkpoint_write. */
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

struct store_checkpoint; /* open for reading */
/* Checks format and version; E_CHECKPOINT, E_MISSING. */
enum status
store_checkpoint_open (const char *path, struct store_checkpoint **out);
void
store_checkpoint_close (struct store_checkpoint **c);
/* Strings live until close. */
void
store_checkpoint_attributes (const struct store_checkpoint *c,
                             struct store_attributes *out);
bool
store_checkpoint_has (const struct store_checkpoint *c, const char *path);
/* Read t->path into t->data; another shape, a missing tensor or one that is not
 * what its digest says (a checkpoint of ours has one for each): E_CHECKPOINT
 * naming file, path and both shapes. */
enum status
store_checkpoint_read (const struct store_checkpoint *c,
                       const struct store_tensor *t);
/* Whether it would be read: there, and of this shape.  data is not touched. */
enum status
store_checkpoint_fits (const struct store_checkpoint *c,
                       const struct store_tensor *t);
/* Whether attributes and the tensors' digests are those that the digest over
 * all was made of; the data themselves are compared where they are read.
 * E_CHECKPOINT; a parameter file of other programs has none and agrees. */
enum status
store_checkpoint_agrees (const struct store_checkpoint *c);
/* The digest that the file tells of a tensor: that of its numbers as 32-bit
 * floats.  E_CHECKPOINT when it tells none. */
enum status
store_checkpoint_digest (const struct store_checkpoint *c, const char *path,
                         char out[33]);
/* Floats with a shape, unlike a counter. */
bool
store_checkpoint_is_weight (const struct store_checkpoint *c, const char *path);
/* Paths of all tensors, sorted, one a line. */
enum status
store_checkpoint_paths (const struct store_checkpoint *c, struct text *out);
/* Read all of a file from the disk and compare every digest: E_CHECKPOINT when
 * it is damaged.  *n_tensors may be NULL. */
enum status
store_checkpoint_verify (const char *path, int *n_tensors);
/* What `interlock info` prints; check: verify every digest. */
enum status
store_checkpoint_print (const char *path, bool check, struct text *out);
/* "dataset", "checkpoint" or "" for a file. */
enum status
store_file_kind (const char *path, char kind[16]);
/* Newest whole checkpoint of a run directory ("" when none). */
enum status
store_checkpoint_newest (const char *run_dir, struct text *path);

struct store_found { /* a checkpoint of a run directory */
  char path[512];
  int64_t step;
};
/* The checkpoints of a run directory that can be opened, newest first, not yet
 * verified; the others are named in a warning.  *list is owned by the caller.
 * *n_files counts all files under such names. */
enum status
store_checkpoint_candidates (const char *run_dir, struct store_found **list,
                             int *n, int *n_files);

/* Remove all but the `keep` newest readable checkpoints of a run directory
 * (keep < 1: none is removed), and never `good`, RUN/checkpoints/NAME, which
 * has just been verified: newer ones may be damaged.  E_IO. */
enum status
store_checkpoint_prune (const char *run_dir, int64_t keep, const char *good);

/* An open run directory: struct store_run; only the root rank has one. */
/* Remove what starts that were killed have left half-written, RUN/NAME.part and
 * RUN/checkpoints/NAME.part.  For the holder of the lock. */
void
store_run_sweep (const struct store_run *r);

/* -- the record of a run --------------------------------------------------- */

/* Make the directory (and parents), take its lock (E_USAGE naming host, pid and
 * job of the holder).  A lock is replaced when its process on this host is
 * gone, when it is of this job before a restart, or when its holder on another
 * host gives no sign of life for half a minute, which is waited for. */
enum status
store_run_open (const char *dir, struct store_run **out);
void
store_run_close (struct store_run **r);
/* Begin anew: move all that interlock has left in the directory, but the lock
 * and the file stop, to RUN/old-N, which is added to *where (nothing: there was
 * nothing).  Before anything is recorded; the log is another one then.  The
 * first event of the new run is "fresh", with `by`.  Where a start is killed
 * meanwhile the next one finishes the move.  E_IO. */
enum status
store_run_aside (struct store_run *r, const char *by, struct text *where);
/* OK while this run directory is ours.  E_USAGE, naming the new holder, when
 * another start has taken it over because we seemed to be dead (or the lock is
 * gone): then nothing may be published in it any more.  Call it right before a
 * rename.  Local; one small read. */
enum status
store_run_mine (const struct store_run *r);
/* Whether it was found to be another's within the last seconds; costs nothing.
 */
bool
store_run_lost (const struct store_run *r);
/* Put a whole text file in its place (written under another name, renamed). */
enum status
store_run_put (struct store_run *r, const char *name, const char *text);
/* The same of a short one that is there and cannot be put: where it lies. */
enum status
store_run_overwrite (struct store_run *r, const char *name, const char *text);
/* A whole text file of the directory, or, dir "", of that path; *text owned by
 * the caller; E_MISSING. */
enum status
store_run_get (const char *dir, const char *name, char **text);
/* The digest of all bytes of a file.  E_MISSING, E_IO. */
enum status
store_file_digest (const char *path, char out[33]);
/* The log file, for log_file_set. */
FILE *
store_run_log (struct store_run *r);
/* The rows of metrics.csv so far for a checkpoint: what a clock says left
 * empty.
 */
enum status
store_run_rows (const struct store_run *r, struct text *out);
/* Whether the row of a split after `step` steps is there. */
bool
store_run_has_row (const struct store_run *r, const char *split, int64_t step);
/* Before the first row of a start that goes on after `step` steps: rows of
 * later steps are taken out; where the file has other columns, or fewer rows
 * than the checkpoint kept, the newest metrics-N.csv comes back if it has them,
 * else those of the checkpoint are put in its place. */
enum status
store_run_rows_back (struct store_run *r, int64_t step, const char *kept);
/* Before the first row of a start from nothing, or with other stages: the rows
 * so far are kept as metrics-1.csv, -2, ...; why: "is of an earlier start". */
enum status
store_run_rows_aside (struct store_run *r, const char *why);
/* One row of metrics.csv; the first call of a new file writes the header.
 * columns and values: n each; a value NAN is written empty. */
enum status
store_run_metrics (struct store_run *r, int n, const char *const *columns,
                   const char *split, const double *values);
/* The same; texts[n]: where it is not NULL, the word that is written. */
enum status
store_run_row (struct store_run *r, int n, const char *const *columns,
               const char *split, const double *values,
               const char *const *texts);
/* One line of events.jsonl: {"event": ..., "time": ..., "job": ..., k: v ...}.
 * fields: n pairs key, value; value is quoted unless it reads as a number,
 * true, false or null. */
enum status
store_run_event (struct store_run *r, const char *event, int n,
                 const char *const (*fields)[2]);

/* How far a run has come, in a small file that is written in place, so that it
 * outlives a kill: steps known to be done, the step that this start and those
 * before it began at, and how many did. */
struct store_mark {
  int64_t step, start, attempts;
  double time; /* of its last change, s since 1970; of reading only */
};
enum status
store_run_mark (struct store_run *r, const struct store_mark *m);
/* All 0 when there is none, or none that can be read. */
void
store_mark_read (const char *dir, struct store_mark *out);

/* All lines of events.jsonl that are whole, in order; none when there is no
 * such file. */
struct store_history;
enum status
store_history_read (const char *dir, struct store_history **out);
void
store_history_destroy (struct store_history **h);
int
store_history_count (const struct store_history *h);
/* A value of event i as text, without quotes; "" when it has none of that name.
 * Borrowed from h. */
const char *
store_history_word (const struct store_history *h, int i, const char *name);

struct store_trace_op { /* of trace.json */
  int rank, stage, micro, stream;
  int64_t step;
  double begin_s, end_s;
  char verb[16];
};
/* Add to the events of a rank the one that names it; an operation. */
void
store_trace_rank (int rank, const char *host, struct text *out);
void
store_trace_op (const struct store_trace_op *op, struct text *out);
/* Write trace.json: parts[n], the events of each rank. */
enum status
store_run_trace (struct store_run *r, int n, char *const *parts);
/* A line of trace.json, n bytes; false where it tells no operation.  The stream
 * is not read. */
bool
store_trace_read (const char *line, size_t n, struct store_trace_op *out);

/* What `interlock info` prints of a run directory: its starts, resumes, stops,
 * checkpoints, steps lost, time. */
enum status
store_run_print (const char *dir, struct text *out);

/* -- results ----------------------------------------------------------------
 */

struct store_array { /* written as f64 */
  char path[64];     /* "/cka", "/eigenvalues/3" */
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  const double *data; /* borrowed */
};
struct store_results { /* all borrowed */
  const char *format;  /* root attribute interlock_format; version is 1 */
  int n_texts, n_rows, n_arrays;
  const char *const (*texts)[2]; /* root attributes: name, value */
  const char *const *rows;       /* root attribute rows: a list of strings */
  const struct store_array *arrays;
};
/* The bytes of an HDF5 file of them; *data is owned by the caller.  E_MEMORY.
 */
enum status
store_results_make (const struct store_results *r, char **data, size_t *size);

/* A whole file under a name that the user gave, or nothing; through links,
 * pipes and devices.  Its directory has to be there.  E_USAGE, E_IO. */
enum status
store_output_put (const char *name, const void *data, size_t size);

struct store_piece { /* all borrowed */
  const char *path;
  const void *data;
  size_t size;
};
/* Files that belong together, their directories made.  All are written under
 * other names and synced before the first is renamed: where one cannot be
 * written, what was there before stays as it was.  E_IO. */
enum status
store_set_write (const struct store_piece *piece, int n);

/* How far a run is, seen from outside. */
enum store_run_state {
  STORE_RUN_MISSING,  /* never started, or never got as far as its first row */
  STORE_RUN_RUNNING,  /* somebody is at work in it */
  STORE_RUN_STOPPED,  /* early, or died: to be started again */
  STORE_RUN_FINISHED, /* all steps */
  STORE_RUN_FAILED    /* ended with an error */
};
struct store_run_look {
  enum store_run_state state;
  int code;     /* exit code of the last start that ended; 0: none or good */
  int64_t step; /* steps taken, as far as is recorded */
  char host[256], job[64]; /* of its lock; "" where it has none */
};
/* Reads status, lock and metrics.csv; takes no lock, changes nothing, never
 * fails. */
void
store_run_look (const char *dir, struct store_run_look *out);
const char *
store_run_state_name (enum store_run_state s);

#endif
