/* main/main.c -- from argv to an exit code. */
#include "main/main.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/place.h"
#include "data/data.h"
#include "probe/probe.h"
#include "design/ask.h"
#include "store/h5.h"
#include "train/train.h"
#include "wire/wire.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For most commands stdout is their result: if it was not written whole, as on
 * a full disk, they have failed. */
static enum status
check_put (void)
{
  return put_done () ? OK
                     : fail (E_IO, "standard output: writing failed (is the "
                                   "disk full?)");
}

static enum status
print_help (const struct command *c)
{
  struct text out;
  text_init (&out);
  if (c)
    help_command (c, &out);
  else
    help_program (&out);
  put ("%s", out.data);
  text_clear (&out);
  return check_put ();
}

static enum status
print_where (const char *name)
{
  struct text out;
  text_init (&out);
  enum status s = where_is (name, &out);
  if (s == OK)
    put ("%s\n", out.data);
  text_clear (&out);
  return s == OK ? check_put () : s;
}

static enum status
print_completion (void)
{
  struct text out;
  text_init (&out);
  completion_add (&out);
  put ("%s", out.data);
  text_clear (&out);
  return check_put ();
}

static enum status
print_version (void)
{
  struct wire *w = NULL;
  TRY (wire_open_alone (&w));
  put ("interlock %s\n%s\n%s\n%s\n%s\n%s\n", PACKAGE_VERSION,
       design_describe_kernels (), store_describe (), data_describe_images (),
       wire_describe (w), probe_describe ());
#ifdef IL_CONFIGURE
  put ("configured with: %s\n", IL_CONFIGURE);
#endif
  wire_close (&w);
  return check_put ();
}

/* Before MPI is open, the launcher's environment tells which of the copies may
 * print.  Order matters: ranks that a helper of MPICH has started see the
 * helper's own PMIX_RANK and SLURM_PROCID, so these come last. */
static void
guess_rank (void)
{
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK",
                                      "PMIX_RANK", "SLURM_PROCID"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *word = getenv (names[i]);
    int64_t rank;
    if (word && text_to_long (word, &rank)) {
      place_rank_set ((int)rank, (int)rank + 1);
      return;
    }
  }
}

/* Prints a message that no fence has printed.  Wrong words are the same on all
 * ranks, so root alone says it; other trouble may be one rank's own. */
static enum status
speak (enum status s)
{
  bool shared = s == E_USAGE || s == E_CONFIG || place_rank () == 0;
  if (s != OK && fail_message ()[0] != '\0') {
    if (shared)
      say (LOG_ERROR, "%s", fail_message ());
    else
      tell (LOG_ERROR, "%s", fail_message ());
  }
  fail_clear ();
  return s;
}

/* Everything behind the program's name, as a shell would read it. */
static void
add_words (int argc, char *const *argv, struct text *out)
{
  for (int i = 1; i < argc; i++) {
    bool plain = argv[i][0] && !strpbrk (argv[i], " \t\n'\"");
    text_add (out, "%s%s", out->size ? " " : "", plain ? "" : "'");
    for (const char *c = argv[i]; *c; c++)
      text_add (out, "%c", *c == '\n' ? ' ' : *c);
    text_add (out, "%s", plain ? "" : "'");
  }
}

/* A launcher may start several programs with several lines of words as one
 * world.  Words say what is computed, and their program how: both are of all
 * ranks.  Collective on world. */
static enum status
same_start (struct wire *w, const char *words)
{
  char program[80];
  snprintf (program, sizeof program, "interlock %s, %s", PACKAGE_VERSION,
            hash_program ());
  const struct wire_fact facts[] = {
      {"words of the command line", words,
       "one start trains one network: give every rank the same words", E_USAGE},
      {"program", program,
       "every node has to run the same build (install it where all see it)",
       E_MISSING}};
  return wire_agree (w, wire_alike (w, sizeof facts / sizeof *facts, facts));
}

static enum status
work (int argc, char **argv, const struct command *c, const struct given *o,
      const char *words)
{
  struct wire *w = NULL;
  bool ranks = o->needs & NEEDS_RANKS;
  enum status s = o->needs & NEEDS_STOP ? train_catch_signals () : OK;
  if (ranks)
    design_ask_machine ();
  if (s == OK)
    s = ranks ? wire_open (&argc, &argv, &w) : wire_open_alone (&w);
  if (s == OK)
    s = same_start (w, words);
  if (s == OK)
    s = c->work (o, w);
  if ((s == OK || s == E_DIFFER) && o->needs & NEEDS_STDOUT && !o->output) {
    enum status written = wire_agree (w, check_put ());
    s = written == OK ? s : written;
  }
  s = speak (s);
  wire_close (&w);
  return s;
}

int
main (int argc, char **argv)
{
  const struct command *command;
  struct given *options = NULL;
  struct text words; /* before they are put in another order */
  status_abort_hook (wire_abort);
  store_start ();
  text_init (&words);
  signal (SIGXFSZ, SIG_IGN); /* beyond ulimit -f a write fails (74) instead */
  add_words (argc, argv, &words);
  guess_rank ();
  enum status s = command_parse (argc, argv, &command, &options);
  if (s != OK)
    speak (s);
  else if (options->version)
    s = speak (print_version ());
  else if (options->help)
    s = speak (print_help (command));
  else if (options->where)
    s = speak (print_where (options->where));
  else if (options->completion)
    s = speak (print_completion ());
  else
    s = work (argc, argv, command, options, words.data);
  command_free (&options);
  text_clear (&words);
#ifdef IL_DEBUG
  mem_leaks ();
#endif
  return status_exit (s);
}
