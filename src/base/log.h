/* base/log.h -- what people read on the terminal and in the log.
 *
 * say speaks on the root rank only; tell speaks on any rank and is stamped with
 * rank, stage and step.  Both go to stderr (warnings, errors) or stdout (info)
 * and, when one is set, to the log file.  NO_COLOR is respected.
 *
 * Names, paths and words from files are in what is said: a control character
 * among them never reaches a terminal, here or in the log file (text_plain).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Highest level that is printed; default LOG_INFO, or $INTERLOCK_LOG =
 * error|warn|info|debug|trace. */
void
log_level_set (enum log_level level);
enum log_level
log_level_get (void);
/* Copy all messages to this file too (borrowed until log_file_set (NULL)). */
void
log_file_set (FILE *file);

/* A line of text, newline added.  say: only where place_rank () == 0. */
void
say (enum log_level level, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));
void
tell (enum log_level level, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));

/* Text to stdout on the root rank (tables, help); no newline added. */
void
put (const char *fmt, ...) __attribute__ ((nonnull (1), format (printf, 1, 2)));
/* A piece of a text whose characters may be cut between pieces, as a model
 * writes it: bytes that are no UTF-8 stay, control characters are spelt out. */
void
put_piece (const char *piece, size_t n);
/* False where any of it was lost, as on a full disk. */
bool
put_done (void);

/* The live line: on a terminal it is redrawn in place; otherwise the call
 * prints nothing (callers print a plain line at their own rate).  done: end
 * the line so that others may follow. */
void
log_live (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));
void
log_live_done (void);
bool
log_is_terminal (void);
/* How far a long piece of work is: live on a terminal, else a plain line of
 * information now and then (log_progress_rate: seconds between them, 30 at
 * first; the first comes as long after log_progress_begin, or the first call).
 * A move (base/status.h). */
void
log_progress (const char *fmt, ...) __attribute__ ((format (printf, 1, 2)));
void
log_progress_begin (void);
void
log_progress_rate (double seconds);

#endif
