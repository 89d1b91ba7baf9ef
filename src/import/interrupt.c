/* import/interrupt.c -- an import that a signal ends leaves nothing behind.
 *
 * The files beside the output grow as large as the corpus, and the tokenizer's
 * program may run for hours: both must go.  The handler calls only functions
 * that POSIX allows in a handler, then lets the signal end the process.
 */
#include "import/import_impl.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
enum { N_ENDS = sizeof ends / sizeof *ends };

static char left[4096]; /* PART; empty: nothing to remove */
static size_t left_bytes;
static volatile sig_atomic_t child;

/* All that import makes: see corpus.c and text.c. */
static void
remove_all (void)
{
  static const char *const parts[] = {"", ".train", ".valid", ".test", ".spm"};
  static const char *const kinds[] = {"",     ".txt",   ".ends", ".ids",
                                      ".err", ".model", ".vocab"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
      size_t n = strlen (parts[i]), m = strlen (kinds[k]);
      memcpy (left + left_bytes, parts[i], n);
      memcpy (left + left_bytes + n, kinds[k], m + 1);
      unlink (left);
    }
}

static void
on_signal (int number)
{
  if (child > 0)
    kill ((pid_t)child, SIGTERM);
  if (left_bytes > 0)
    remove_all ();
  signal (number, SIG_DFL);
  raise (number); /* comes when the handler is left */
}

void
import_interrupt_guard (const char *part)
{
  size_t n = part ? strlen (part) : 0;
  struct sigaction before, a = {.sa_handler = n ? on_signal : SIG_DFL};
  if (n + 16 > sizeof left)
    return;
  if (n > 0)
    memcpy (left, part, n);
  left_bytes = n;
  sigemptyset (&a.sa_mask);
  for (int i = 0; i < N_ENDS; i++)
    sigaddset (&a.sa_mask, ends[i]);
  for (int i = 0; i < N_ENDS; i++) { /* nohup has its way */
    sigaction (ends[i], NULL, &before);
    if (before.sa_handler == (n ? SIG_DFL : on_signal))
      sigaction (ends[i], &a, NULL);
  }
}

void
import_interrupt_child (pid_t pid)
{
  child = (sig_atomic_t)pid;
}
