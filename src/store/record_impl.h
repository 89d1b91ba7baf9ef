/* store/record_impl.h -- an open run directory. */
#ifndef STORE_RECORD_IMPL_H
#define STORE_RECORD_IMPL_H

#include "store/json.h"
#include "store/run.h"

struct store_lock;

struct store_run {
  char *dir;
  struct store_lock *lock;
  int mark; /* descriptor of the progress mark; -1 before first use */
  FILE *log, *metrics, *json, *events; /* all but log NULL before first use */
  char **column; /* names in metrics.csv, split among them */
  int n_columns;
};

/* Take the lock of the directory; E_USAGE names the holder. */
enum status
store_lock_take (const char *dir, struct store_lock **out);
/* Our own lock only: one that another has taken over stays. */
void
store_lock_release (struct store_lock **l);
enum status
store_lock_mine (const struct store_lock *l);
/* The same as the thread has last seen it; costs nothing. */
bool
store_lock_lost (const struct store_lock *l);
/* Whether somebody is at work in this directory, and who it is or was; as far
 * as can be told without waiting.  Left as they are where there is no lock. */
bool
store_lock_held (const char *dir, char host[256], char job[64]);
/* Seconds between signs of life, and of silence until a holder on another host
 * is taken for gone: 5 and 30; for tests. */
void
store_lock_times (double beat, double watch);
/* Lines of events.jsonl that could not be read. */
int
store_history_damaged (const struct store_history *h);
/* Open a file of lines for adding to it; a last line that was not finished is
 * cut off. */
enum status
store_lines_open (const char *dir, const char *name, FILE **out);

/* All of metrics.csv, header included; "" where there is none. */
enum status
store_rows_read (const struct store_run *r, char **all);
/* A row of metrics.csv, or the beginning of one followed by others, as a line
 * of metrics.jsonl; added to out. */
enum status
store_row_json (const struct store_run *r, const char *row, struct text *out);
/* metrics.jsonl from metrics.csv, and open for more.  The columns are known. */
enum status
store_rows_json_open (struct store_run *r);

enum status
store_run_log_open (struct store_run *r);
/* Whether NAME.part in a folder of a run directory ("", "checkpoints") is a
 * file that interlock writes before it has its name. */
bool
store_part_is_own (const char *folder, const char *name);
/* Whether a name in RUN/checkpoints is one that interlock gives: no other file
 * is ever removed. */
bool
store_checkpoint_is_own (const char *name);
/* E_USAGE where a name of ours in a run directory is no plain file. */
enum status
store_run_check_plain (const char *dir);
/* Finish the move that a start has begun and not lived to finish. */
enum status
store_aside_finish (struct store_run *r);

#endif
