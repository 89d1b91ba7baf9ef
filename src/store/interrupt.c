/* store/interrupt.c -- work that a signal ends leaves no half-made file.
 *
 * What is made beside an output may be as large as it, and a program that helps
 * may run for hours: both must go.  The handler calls only functions that POSIX
 * allows in a handler, then lets the signal end the process.
 */
#include "store/file.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
enum { N_ENDS = sizeof ends / sizeof *ends };

static char left[4096]; /* PART; empty: nothing to remove */
static size_t left_bytes;
static void (*also) (char *path, size_t bytes);
static volatile sig_atomic_t child;

static void
on_signal (int number)
{
  if (child > 0)
    kill ((pid_t)child, SIGTERM);
  if (left_bytes > 0)
    unlink (left);
  if (left_bytes > 0 && also)
    also (left, left_bytes);
  signal (number, SIG_DFL);
  raise (number); /* comes when the handler is left */
}

void
store_interrupt_guard (const char *part,
                       void (*remove) (char *path, size_t bytes))
{
  size_t n = part ? strlen (part) : 0;
  struct sigaction before, a = {.sa_handler = n ? on_signal : SIG_DFL};
  if (n + STORE_INTERRUPT_ROOM > sizeof left)
    return;
  if (n > 0)
    memcpy (left, part, n + 1);
  left_bytes = n;
  also = remove;
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
store_interrupt_child (pid_t pid)
{
  child = (sig_atomic_t)pid;
}
