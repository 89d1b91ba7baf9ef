/* import/process.c -- one other program, run to its end. */
#include "import/import_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/spawn.h"
#include "store/file.h"
#include <errno.h>
#include <string.h>

/* What it said last, without blanks and line breaks at the end. */
static void
last_words (const char *err, char out[512])
{
  char *text = NULL;
  size_t n = 0;
  out[0] = '\0';
  if (store_file_read (err, &text, &n) != OK) {
    fail_clear ();
    return;
  }
  while (n > 0 && strchr (" \n\r\t", text[n - 1]))
    text[--n] = '\0';
  snprintf (out, 512, ": %s", n > 500 ? text + n - 500 : text);
  mem_free (&text);
}

/* Programs say all sorts of things about a full disk, or nothing: a few blocks
 * more tell, in the file of what they said, which is of no use any longer. */
static enum status
check_room (const char *program, const char *err)
{
  static const char zeros[65536];
  FILE *f = fopen (err, "ab");
  bool good = f && fwrite (zeros, sizeof zeros, 1, f) == 1;
  if (f && fclose (f) != 0)
    good = false;
  return good ? OK
              : fail (E_IO, "%s failed, and %s cannot be written: %s", program,
                      err, strerror (errno));
}

static enum status
judge (const char *program, struct spawn_end end, const char *err)
{
  char words[512];
  if (end.code == 0 && end.signal == 0)
    return OK;
  last_words (err, words);
  TRY (check_room (program, err));
  if (end.signal != 0)
    return fail (E_DATA, "%s ended by signal %d%s", program, end.signal, words);
  return fail (E_DATA, "%s failed with code %d%s", program, end.code, words);
}

struct wait {
  const char *program, *out;
  double start_s;
};

/* It may take hours and says nothing meanwhile: what grows is shown. */
static void
show (void *context)
{
  const struct wait *w = context;
  const char *time = text_seconds (clock_now_s () - w->start_s);
  if (w->out)
    log_progress ("%s: %s written in %s", w->program,
                  text_bytes ((double)store_file_bytes (w->out)), time);
  else
    log_progress ("%s: %s", w->program, time);
}

enum status
import_process_run (const char *const *argv, const char *package,
                    const char *out, const char *err)
{
  if (!spawn_found (argv[0]))
    return fail (E_MISSING,
                 "%s is not on PATH: install SentencePiece's programs (Debian: "
                 "apt install %s)",
                 argv[0], package);
  struct wait w = {argv[0], out, clock_now_s ()};
  struct spawn_end end;
  pid_t child;
  int error = spawn_start (argv, out, err, &child);
  if (error != 0)
    return fail (E_MISSING, "%s: not started: %s", argv[0], strerror (error));
  store_interrupt_child (child);
  bool ended = spawn_wait (child, show, &w, &end);
  store_interrupt_child (0);
  if (!ended)
    return fail (E_FAULT, "%s: %s", argv[0], strerror (errno));
  return judge (argv[0], end, err);
}
