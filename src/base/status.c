/* base/status.c -- kept messages and checks.
 *
 * The kept message belongs to a thread.  Nothing here prints except a failed
 * check that finds no abort hook.
 */
#include "base/status.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 2048
#define WHERE_BYTES 160

static const struct {
  int exit_code;
  const char *text;
} status_table[STATUS_COUNT] = {
#define X(name, code, text) {code, text},
    STATUS_LIST (X)
#undef X
};

const char *
status_text (enum status s)
{
  if ((int)s < 0 || s >= STATUS_COUNT)
    return "unknown status";
  return status_table[s].text;
}

int
status_exit (enum status s)
{
  if ((int)s < 0 || s >= STATUS_COUNT)
    return status_table[E_FAULT].exit_code;
  return status_table[s].exit_code;
}

/* -- the kept message ------------------------------------------------------ */

static _Thread_local char kept_message[MESSAGE_BYTES];
static _Thread_local char kept_where[WHERE_BYTES];

/* The last two parts of a path: the room and the file.  What comes before
 * depends on where the tree was built. */
static const char *
short_path (const char *path)
{
  int slashes = 0;
  for (const char *p = path + strlen (path); p > path; p--)
    if (p[-1] == '/' && ++slashes == 2)
      return p;
  return path;
}

enum status
status_fail (enum status s, const char *file, int line, const char *fmt, ...)
{
  if (kept_message[0] != '\0')
    return s;
  va_list args;
  va_start (args, fmt);
  vsnprintf (kept_message, sizeof kept_message, fmt, args);
  va_end (args);
  snprintf (kept_where, sizeof kept_where, "%s:%d", short_path (file), line);
  return s;
}

const char *
fail_message (void)
{
  return kept_message;
}

const char *
fail_where (void)
{
  return kept_where;
}

void
fail_clear (void)
{
  kept_message[0] = '\0';
  kept_where[0] = '\0';
}

void
fail_adopt (const char *message, const char *where)
{
  /* The arguments may be the kept texts themselves. */
  if (message != kept_message)
    snprintf (kept_message, sizeof kept_message, "%s", message);
  if (where != kept_where)
    snprintf (kept_where, sizeof kept_where, "%s", where);
}

/* -- checks ---------------------------------------------------------------- */

static void (*abort_hook) (enum status s);

void
status_abort_hook (void (*hook) (enum status s))
{
  abort_hook = hook;
}

void
status_check_failed (const char *cond, const char *file, int line,
                     const char *fmt, ...)
{
  char text[MESSAGE_BYTES / 2], message[MESSAGE_BYTES], where[WHERE_BYTES];
  va_list args;
  va_start (args, fmt);
  vsnprintf (text, sizeof text, fmt, args);
  va_end (args);
  snprintf (message, sizeof message, "check failed: %s [%s]", text, cond);
  snprintf (where, sizeof where, "%s:%d", short_path (file), line);
  fail_adopt (message, where);
  status_end (E_FAULT);
}

void
status_end (enum status s)
{
  if (abort_hook != NULL)
    abort_hook (s);
  /* A program without a hook has no log that anybody reads. */
  fprintf (stderr, "interlock: %s (%s)\n", fail_message (), fail_where ());
  abort ();
}
