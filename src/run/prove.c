/* run/prove.c -- the kernels of a session's network are proven, or known from
 * an earlier start to be right.
 */
#include "run/session.h"

#include <string.h>

/* Verdicts of an earlier start; of its choices only those, where it chose by
 * rule. */
static enum status
take_verdicts (struct session *s)
{
  struct kern_tuning *was = NULL;
  TRY (kern_verdicts_take (s->kern, s->tuning));
  if (!s->was_tuning || !s->was_tuning[0])
    return OK;
  TRY (kern_tuning_create (&was));
  enum status e =
      kern_tuning_parse (s->was_tuning, "the checkpoint's kernel choices", was);
  if (e == OK)
    e = kern_verdicts_take (s->kern, was);
  kern_tuning_destroy (&was);
  return e;
}

enum status
session_prove (struct session *s)
{
  int n = network_units (s->net) - 1, *after = NULL;
  struct stage_team team;
  unit_costs_team (s->wire, &team);
  enum status e = s->proves ? OK : take_verdicts (s);
  const int known = kern_proof_count (s->kern);
  if (e == OK)
    e = MEM_NEW ((size_t)n, &after, "head places");
  for (int i = 0; e == OK && i < n; i++)
    after[i] = i;
  TRY (wire_agree (s->wire, e));
  e = stage_prove (s->kern, s->net, s->n_samples, session_head (s), after, n,
                   &team, s->tuning);
  mem_free (&after);
  TRY (e);
  const bool keeps = s->run && strcmp (s->config.tune, "no") != 0;
  if (keeps && (kern_proof_count (s->kern) > known || s->tunes))
    e = session_put_tuning (s);
  return wire_agree (s->wire, e);
}
