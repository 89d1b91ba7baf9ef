/* design/choices.c -- what was measured once in the life of a run directory,
 * kept in it: kernel choices and the costs of blocks.
 */
#include "design/design_impl.h"

#include <stdio.h>
#include <string.h>

enum status
design_put_tuning (const struct design *d, struct store_run *run)
{
  struct text printed;
  text_init (&printed);
  kernels_print_all (d->kernels, &printed);
  enum status e = store_run_put (run, "tune.txt", printed.data);
  text_clear (&printed);
  return e;
}

/* What the costs depend on. */
static void
costs_key (const struct design *d, const char *head, char key[1024])
{
  snprintf (key, 1024, "%lld samples; %d units %lld parameters; head %s",
            (long long)d->n_samples, network_units (d->net),
            (long long)network_params (d->net), head ? head : "none");
}

static enum status
put_costs (const struct design *d, struct store_run *run)
{
  char key[1024];
  struct text out;
  costs_key (d, design_head (d), key);
  text_init (&out);
  unit_costs_print (&d->costs, key, &out);
  enum status e = store_run_put (run, "costs.txt", out.data);
  text_clear (&out);
  return e;
}

enum status
design_put_choices (const struct design *d, struct store_run *run)
{
  if (strcmp (d->config.tune, "no") != 0)
    TRY (design_put_tuning (d, run));
  return put_costs (d, run);
}

/* Measured once in the life of a run directory, whatever machine and ranks it
 * goes on with: the balanced cut follows from the costs, and a checkpoint only
 * fits the cut it was made with. */
enum status
design_open_costs (struct design *d)
{
  char key[1024], *text = NULL;
  costs_key (d, design_head (d), key);
  TRY (design_read_text (d, d->spec.run ? d->config.dir : NULL, "costs.txt",
                         &text));
  bool known = unit_costs_parse (text, key, network_units (d->net), &d->costs);
  mem_free (&text);
  /* The root's answer counts: others read the same text. */
  if (known)
    return OK;
  TRY (unit_costs_measure (d->wire, d->kernels, d->net, d->n_samples,
                           design_head (d), &d->costs));
  return wire_agree (d->wire, d->spec.run ? put_costs (d, d->spec.run) : OK);
}

bool
design_costs_parse (const struct design *d, const char *text, bool *heads,
                    struct unit_costs *out)
{
  char key[1024];
  const int n = network_units (d->net);
  costs_key (d, d->config.head, key);
  *heads = unit_costs_parse (text, key, n, out);
  if (*heads)
    return true;
  costs_key (d, NULL, key);
  return unit_costs_parse (text, key, n, out);
}
