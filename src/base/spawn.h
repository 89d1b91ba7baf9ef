/* base/spawn.h -- other programs, started without a shell, and a copy of this
 * one.
 *
 * A program is found on PATH and has nothing to read.
 */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include "base/status.h"
#include <stdbool.h>
#include <sys/types.h>

/* How a program has ended: with a code, or by a signal (0: by none). */
struct spawn_end {
  int code, signal;
};

bool
spawn_found (const char *program);

/* Start argv[0].  out and err: files that are made for what it says; out NULL:
 * that is lost.  0, or an errno. */
int
spawn_start (const char *const *argv, const char *out, const char *err,
             pid_t *child);
/* Wait for it; meanwhile is called again and again, at most every 0.2 s.  False
 * where there is no such child, by errno. */
bool
spawn_wait (pid_t child, void (*meanwhile) (void *context), void *context,
            struct spawn_end *end);

/* Run argv[0] and keep what it prints, a MiB at most; *out is owned by the
 * caller.  Its errors go where ours go, or nowhere when quiet.  *code: its exit
 * code, 127 when it could not be started, 128 when a signal ended it. */
enum status
spawn_read (const char *const *argv, bool quiet, char **out, int *code);

/* What ask answers in a copy of this process, which ends then.  False: there
 * can be none. */
bool
spawn_ask (unsigned (*ask) (void), unsigned *answer);

#endif
