/* run/choices.c -- what was measured once in the life of a run directory, kept
 * in it: kernel choices and the costs of blocks.
 */
#include "run/session.h"

#include <stdio.h>
#include <string.h>

enum status
session_put_tuning (struct session *s)
{
  struct text printed;
  text_init (&printed);
  kern_tuning_print (s->tuning, &printed);
  kern_verdicts_print (s->kern, &printed);
  enum status e = store_run_put (s->run, "tune.txt", printed.data);
  text_clear (&printed);
  return e;
}

/* What the costs depend on. */
static void
costs_key (const struct session *s, char key[1024])
{
  snprintf (key, 1024, "%lld samples; %d units %lld parameters; head %s",
            (long long)s->n_samples, network_units (s->net),
            (long long)network_params (s->net),
            session_head (s) ? s->config.head : "none");
}

static enum status
put_costs (struct session *s)
{
  char key[1024];
  struct text out;
  costs_key (s, key);
  text_init (&out);
  unit_costs_print (&s->costs, key, &out);
  enum status e = store_run_put (s->run, "costs.txt", out.data);
  text_clear (&out);
  return e;
}

enum status
session_put_choices (struct session *s)
{
  if (strcmp (s->config.tune, "no") != 0)
    TRY (session_put_tuning (s));
  return put_costs (s);
}

/* Measured once in the life of a run directory, whatever machine and ranks it
 * goes on with: the balanced cut follows from the costs, and a checkpoint only
 * fits the cut it was made with. */
enum status
session_open_costs (struct session *s)
{
  char key[1024], *text = NULL;
  costs_key (s, key);
  TRY (
      session_read_text (s, s->run ? s->config.dir : NULL, "costs.txt", &text));
  bool known = unit_costs_parse (text, key, network_units (s->net), &s->costs);
  mem_free (&text);
  /* The root's answer counts: others read the same text. */
  if (known)
    return OK;
  TRY (unit_costs_measure (s->wire, s->kern, s->net, s->tuning, s->n_samples,
                           session_head (s), &s->costs));
  return wire_agree (s->wire, s->run ? put_costs (s) : OK);
}
