/* design/prove.c -- the kernels of a network are proven, or known from an
 * earlier start to be right.
 */
#include "design/design_impl.h"

#include <string.h>

/* Verdicts of an earlier start; of its choices only those, where it chose by
 * rule. */
static enum status
take_verdicts (struct design *d)
{
  const char *was = d->spec.was_tuning;
  TRY (kernels_believe (d->kernels));
  return was && was[0] ? kernels_believe_text (
                             d->kernels, was, "the checkpoint's kernel choices")
                       : OK;
}

enum status
design_prove (struct design *d)
{
  struct stage_team team;
  unit_costs_team (d->wire, &team);
  bool taken;
  const int here = kernels_proven (d->kernels); /* while choosing */
  TRY (wire_agree (d->wire, d->spec.proves ? OK : take_verdicts (d)));
  const int known = kernels_proven (d->kernels);
  const bool own = known > here; /* of a run that goes on: it has its own */
  TRY (design_cache_take (d, DESIGN_PROOFS, !own, &taken));
  const int with_cache = kernels_proven (d->kernels);
  TRY (kernels_prove (d->kernels, d->net, d->n_samples, d->behind, &team, OK));
  if (!own && here + kernels_proven (d->kernels) > with_cache)
    design_cache_put (d, DESIGN_PROOFS);
  enum status e = OK;
  const bool keeps = d->spec.run && strcmp (d->config.tune, "no") != 0;
  if (keeps && (kernels_proven (d->kernels) > known || d->tunes))
    e = design_put_tuning (d, d->spec.run);
  return wire_agree (d->wire, e);
}
