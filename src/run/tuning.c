/* run/tuning.c -- where a session's kernel choices come from: a rule, a file,
 * an earlier start of its run, or a measurement.
 *
 * Choices hold for the instruction set and the library they were made with.
 */
#include "run/session.h"

#include <string.h>

/* All ranks measure, each a share. */
static enum status
measure_tuning (struct session *s)
{
  int n = network_units (s->net) - 1, *after = NULL;
  struct stage_team team;
  unit_costs_team (s->wire, &team);
  TRY (wire_agree (s->wire, MEM_NEW ((size_t)n, &after, "head places")));
  for (int i = 0; i < n; i++)
    after[i] = i;
  enum status e = stage_tune (s->kern, s->net, s->n_samples, session_head (s),
                              after, n, &team, s->tuning);
  mem_free (&after);
  return e;
}

/* Choices that were made with another instruction set or library may not even
 * be offered here: the table is empty then. */
static enum status
forget_elsewhere (struct session *s, bool *forgot)
{
  *forgot = kern_tuning_elsewhere (s->kern, s->tuning);
  if (!*forgot)
    return OK;
  say (LOG_INFO, "kernel choices were made with %s: chosen anew",
       kern_tuning_machine (s->tuning));
  kern_tuning_destroy (&s->tuning);
  return wire_agree (s->wire, kern_tuning_create (&s->tuning));
}

/* Of a checkpoint that is only looked at. */
static enum status
take_given_tuning (struct session *s)
{
  bool forgot;
  TRY (wire_agree (s->wire,
                   kern_tuning_parse (s->given_tuning,
                                      "the checkpoint's tuning", s->tuning)));
  TRY (forget_elsewhere (s, &forgot));
  if (forgot)
    stage_tune_rule (s->kern, s->net, s->tuning);
  return OK;
}

/* Whether train.tune names what an earlier start of this run has chosen. */
static bool
is_own_tuning (const struct session *s)
{
  const char *word = s->config.tune;
  const size_t n = strlen (s->config.dir);
  return strcmp (word, "yes") == 0 || (strncmp (word, s->config.dir, n) == 0 &&
                                       strcmp (word + n, "/tune.txt") == 0);
}

/* The choices that the checkpoint was made with, and tune.txt as they are. */
static enum status
take_was_tuning (struct session *s)
{
  enum status e = kern_tuning_parse (
      s->was_tuning, "the checkpoint's kernel choices", s->tuning);
  if (e == OK && s->run)
    e = store_run_put (s->run, "tune.txt", s->was_tuning);
  return wire_agree (s->wire, e);
}

/* Kernel choices: by rule, from a file, from an earlier start of this run (its
 * checkpoint, or tune.txt where it left none), or measured now. */
static enum status
choose_kernels (struct session *s)
{
  const char *word = s->config.tune;
  char *text = NULL;
  bool forgot = false;
  TRY (wire_agree (s->wire, kern_tuning_create (&s->tuning)));
  if (s->given_tuning && s->given_tuning[0])
    return take_given_tuning (s);
  if (strcmp (word, "no") == 0) {
    stage_tune_rule (s->kern, s->net, s->tuning);
    return OK;
  }
  if (s->was_tuning && s->was_tuning[0] && is_own_tuning (s)) {
    TRY (take_was_tuning (s));
    TRY (forget_elsewhere (s, &forgot));
    s->tunes = forgot;
    return forgot ? measure_tuning (s) : OK;
  }
  bool file = strcmp (word, "yes") != 0;
  const char *dir = file ? "" : s->run ? s->config.dir : NULL;
  TRY (session_read_text (s, dir, file ? word : "tune.txt", &text));
  enum status e = OK;
  bool known = text[0] != '\0';
  if (file && !known)
    e = fail (E_MISSING, "train.tune: cannot read %s", word);
  else if (known)
    e = kern_tuning_parse (text, file ? word : "tune.txt", s->tuning);
  if (e == OK && file && s->run)
    e = store_run_put (s->run, "tune.txt", text);
  mem_free (&text);
  TRY (wire_agree (s->wire, e));
  if (known && is_own_tuning (s))
    TRY (forget_elsewhere (s, &forgot));
  s->tunes = !known || forgot;
  return s->tunes ? measure_tuning (s) : OK;
}

enum status
session_open_tuning (struct session *s)
{
  TRY (choose_kernels (s));
  return session_prove (s);
}
