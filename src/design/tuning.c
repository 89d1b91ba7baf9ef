/* design/tuning.c -- where the choices of kernels come from: a rule, a
 * file, an earlier start of its run or of a like one, or a measurement.
 *
 * Choices hold for the instruction set and the library they were made with.
 */
#include "design/design_impl.h"

#include <string.h>

/* Of an earlier start of a like run, or measured: by all ranks, each a share.
 */
static enum status
find_tuning (struct design *d)
{
  struct stage_team team;
  bool taken;
  TRY (design_cache_take (d, DESIGN_CHOICES, true, &taken));
  if (taken)
    return OK;
  TRY (wire_agree (d->wire, kernels_forget (d->kernels)));
  unit_costs_team (d->wire, &team);
  TRY (kernels_choose (d->kernels, d->net, d->n_samples, d->behind, &team));
  design_cache_put (d, DESIGN_CHOICES);
  return OK;
}

/* Choices that were made with another instruction set or library may not even
 * be offered here: the table is empty then. */
static enum status
forget_elsewhere (struct design *d, bool *forgot)
{
  const char *machine = kernels_elsewhere (d->kernels);
  *forgot = machine != NULL;
  if (!machine)
    return OK;
  say (LOG_INFO, "kernel choices were made with %s: chosen anew", machine);
  return wire_agree (d->wire, kernels_forget (d->kernels));
}

/* Of a checkpoint that is only looked at. */
static enum status
take_given_tuning (struct design *d)
{
  bool forgot;
  TRY (wire_agree (d->wire, kernels_parse (d->kernels, d->spec.tuning,
                                           "the checkpoint's tuning")));
  TRY (forget_elsewhere (d, &forgot));
  return forgot ? kernels_choose_by_rule (d->kernels, d->net, NULL) : OK;
}

/* Whether train.tune names what an earlier start of this run has chosen. */
static bool
is_own_tuning (const struct design *d)
{
  const char *word = d->config.tune;
  const size_t n = strlen (d->config.dir);
  return strcmp (word, "yes") == 0 || (strncmp (word, d->config.dir, n) == 0 &&
                                       strcmp (word + n, "/tune.txt") == 0);
}

/* The choices that the checkpoint was made with, and tune.txt as they are. */
static enum status
take_was_tuning (struct design *d)
{
  enum status e = kernels_parse (d->kernels, d->spec.was_tuning,
                                 "the checkpoint's kernel choices");
  if (e == OK && d->spec.run)
    e = store_run_put (d->spec.run, "tune.txt", d->spec.was_tuning);
  return wire_agree (d->wire, e);
}

/* Kernel choices: by rule, from a file, from an earlier start of this run (its
 * checkpoint, or tune.txt where it left none) or of a like one, or measured
 * now. */
static enum status
choose_kernels (struct design *d)
{
  const char *word = d->config.tune;
  char *text = NULL;
  bool forgot = false;
  TRY (wire_agree (d->wire, kernels_forget (d->kernels)));
  if (d->spec.tuning && d->spec.tuning[0])
    return take_given_tuning (d);
  if (strcmp (word, "no") == 0)
    return wire_agree (d->wire, kernels_choose_by_rule (d->kernels, d->net,
                                                        d->spec.was_tuning));
  if (d->spec.was_tuning && d->spec.was_tuning[0] && is_own_tuning (d)) {
    TRY (take_was_tuning (d));
    TRY (forget_elsewhere (d, &forgot));
    d->tunes = forgot;
    return forgot ? find_tuning (d) : OK;
  }
  bool file = strcmp (word, "yes") != 0;
  const char *dir = file ? "" : d->spec.run ? d->config.dir : NULL;
  TRY (design_read_text (d, dir, file ? word : "tune.txt", &text));
  enum status e = OK;
  bool known = text[0] != '\0';
  if (file && !known)
    e = fail (E_MISSING, "%s: cannot read %s", KEY_NAME (tune), word);
  else if (known)
    e = kernels_parse (d->kernels, text, file ? word : "tune.txt");
  if (e == OK && file && d->spec.run)
    e = store_run_put (d->spec.run, "tune.txt", text);
  mem_free (&text);
  TRY (wire_agree (d->wire, e));
  if (known && is_own_tuning (d))
    TRY (forget_elsewhere (d, &forgot));
  d->tunes = !known || forgot;
  return d->tunes ? find_tuning (d) : OK;
}

enum status
design_open_tuning (struct design *d)
{
  TRY (choose_kernels (d));
  return design_prove (d);
}
