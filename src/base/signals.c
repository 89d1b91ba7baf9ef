/* base/signals.c -- one thread takes the signals of all. */
#include "base/signals.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* What a thread's own instructions raise has to end it there. */
static void
all_from_outside (sigset_t *set)
{
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                            SIGTRAP, SIGSYS, SIGABRT};
  sigfillset (set);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    sigdelset (set, own[i]);
}

static void *
take_all (void *unused)
{
  for (;;)
    pause ();
  return unused;
}

/* The thread begins with the mask of its maker, so that no moment is left in
 * which nobody takes a signal. */
enum status
signals_apart (void)
{
  static bool apart;
  pthread_t thread;
  sigset_t set;
  if (apart)
    return OK;
  int error = pthread_create (&thread, NULL, take_all, NULL);
  if (error != 0)
    return fail (E_MEMORY, "no thread for signals: %s", strerror (error));
  pthread_detach (thread);
  all_from_outside (&set);
  pthread_sigmask (SIG_BLOCK, &set, NULL);
  apart = true;
  return OK;
}
