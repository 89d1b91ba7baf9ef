/* store/run.h -- a run directory: its lock, its record, how far it is.
 *
 * Local.  Formats are those of the manual page interlock(5).
 */
#ifndef STORE_RUN_H
#define STORE_RUN_H

#include "base/status.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct store_run; /* an open run directory; only the root rank has one */

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
/* Remove what starts that were killed have left half-written, RUN/NAME.part and
 * RUN/checkpoints/NAME.part.  For the holder of the lock. */
void
store_run_sweep (const struct store_run *r);

/* -- rows, events, the mark ------------------------------------------------ */

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

/* -- seen from outside ----------------------------------------------------- */

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
